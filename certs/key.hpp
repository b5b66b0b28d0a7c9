#pragma once

#include "certs/spec.hpp"
#include "support/secret.hpp"

#include <memory>

struct evp_pkey_st;

namespace kubestrap::certs {

/// A private key: RSA, ECDSA or Ed25519.
class PrivateKey {
public:
  static PrivateKey generate(KeyAlgorithm algorithm);
  /// PKCS#1, SEC1 or PKCS#8 in PEM, unencrypted. Throws Error naming `source`.
  static PrivateKey parse(const Secret& pem, std::string_view source);

  /// As Go's kubeadm writes: "RSA PRIVATE KEY" (PKCS#1), "EC PRIVATE KEY" (SEC1); Ed25519 as "PRIVATE KEY" (PKCS#8).
  Secret pem() const;
  std::string publicPem() const; ///< "PUBLIC KEY" (PKIX)
  std::string publicDer() const; ///< SubjectPublicKeyInfo
  /// Nothing for a size or curve that is not listed (RSA-1024, P-521).
  std::optional<KeyAlgorithm> algorithm() const;
  evp_pkey_st* native() const { return key_.get(); } ///< for certs/ only

private:
  explicit PrivateKey(std::shared_ptr<evp_pkey_st> key) : key_(std::move(key)) {}
  std::shared_ptr<evp_pkey_st> key_; ///< immutable after construction
};

/// Makes `count` keys of one algorithm, RSA in parallel on the machine's cores.
std::vector<PrivateKey> generateKeys(KeyAlgorithm algorithm, std::size_t count);

} // namespace kubestrap::certs
