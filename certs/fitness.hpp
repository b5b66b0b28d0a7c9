#pragma once

#include "certs/spec.hpp"
#include "certs/x509.hpp"

#include <span>
#include <string>
#include <vector>

namespace kubestrap::certs {

/// Whether the holder of a certificate is known by its subject, or by its names alone.
enum class KnownBy { subject, names };

/// Everything for which a certificate that was signed elsewhere would not do as `wanted`: its issuer, dates, usages, names and
/// subject. `chain` is what its file holds: the certificate itself, then those between it and the authority. `roots` are trusted; of no
/// meaning for an authority.
std::vector<std::string> flaws(const CertSpec& wanted, KnownBy knownBy, std::span<const X509Certificate> chain,
                               std::span<const X509Certificate> roots, TimePoint now);

} // namespace kubestrap::certs
