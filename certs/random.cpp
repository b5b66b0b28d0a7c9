#include "certs/random.hpp"

#include "certs/openssl.hpp"

#include <openssl/rand.h>

namespace kubestrap::certs {

std::string randomBytes(std::size_t count) {
  std::string bytes(count, '\0');
  openssl::clearErrors();
  openssl::require(RAND_bytes(openssl::octets(bytes), openssl::length(bytes)), "draw random octets");
  return bytes;
}

} // namespace kubestrap::certs
