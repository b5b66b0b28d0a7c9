#pragma once

#include "certs/spec.hpp"
#include "support/secret.hpp"

#include <memory>

struct evp_pkey_st;

namespace kubestrap::certs {

/// What key somebody asks for, in cfssl's words; kinds and sizes beyond those that a cluster's configuration has.
struct KeyRequest {
  std::string algorithm = "ecdsa"; ///< rsa, ecdsa, ed25519
  int size = 256;                  ///< bits of an RSA modulus or of a curve; of no meaning for ed25519
  bool operator==(const KeyRequest&) const = default;
};
KeyRequest keyRequest(KeyAlgorithm algorithm);
/// Which member of it ("algo", "size") nobody can make a key of, and why; nothing when it is fine.
std::optional<std::pair<std::string, std::string>> whyUnusable(const KeyRequest& request);

/// A private key: RSA, ECDSA or Ed25519.
class PrivateKey {
public:
  static PrivateKey generate(KeyAlgorithm algorithm);
  static PrivateKey generate(const KeyRequest& request); ///< throws Error for one that is unusable
  /// PKCS#1, SEC1 or PKCS#8 in PEM, unencrypted. Throws Error naming `source`.
  static PrivateKey parse(const Secret& pem, std::string_view source);

  /// As Go's kubeadm writes: "RSA PRIVATE KEY" (PKCS#1), "EC PRIVATE KEY" (SEC1); Ed25519 as "PRIVATE KEY" (PKCS#8).
  Secret pem() const;
  std::string publicPem() const; ///< "PUBLIC KEY" (PKIX)
  std::string publicDer() const; ///< SubjectPublicKeyInfo
  KeyRequest kind() const;       ///< its kind and size, of any that can be read
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
