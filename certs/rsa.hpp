#pragma once

#include <openssl/types.h>

#include <cstddef>

namespace kubestrap::certs::openssl {

/// A new RSA key of two primes and the exponent 65537; the caller owns it. OpenSSL's own generator looks for primes of a special form
/// (SP 800-56B with auxiliary primes), which costs two and a half times as much; these are its probable primes (BN_generate_prime_ex2, 64
/// rounds of Miller-Rabin), put together as RFC 8017 says, as OpenSSL did itself before version 3 and as Go does.
EVP_PKEY* generateRsa(std::size_t bits);

} // namespace kubestrap::certs::openssl
