#pragma once

#include <string>

namespace kubestrap::certs {

/// That many octets from OpenSSL's generator. Throws Error when it has no seed.
std::string randomBytes(std::size_t count);

} // namespace kubestrap::certs
