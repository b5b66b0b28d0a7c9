#pragma once

#include "certs/x509.hpp"

#include <optional>
#include <span>
#include <string>

namespace kubestrap::certs {

enum class Purpose { any, server, client };

/// Why a verifier would not accept `leaf` at that moment, with the certificate it stumbles over; nothing when it would. `roots` are
/// trusted; an authority that is no root of its own is one all the same when it is among them, as Go has it. Without a moment dates are
/// not looked at.
std::optional<std::string> whyUntrusted(const X509Certificate& leaf, std::span<const X509Certificate> intermediates,
                                        std::span<const X509Certificate> roots, Purpose purpose, std::optional<TimePoint> now);

} // namespace kubestrap::certs
