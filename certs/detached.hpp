#pragma once

#include "certs/key.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace kubestrap::certs {

/// A signature beside what it is over, as `openssl pkeyutl -sign -rawin` makes it: pure Ed25519; RSA (PKCS#1) and ECDSA (DER) over SHA-256.
std::string signDetached(const PrivateKey& key, std::string_view bytes);

/// A key that signatures are verified with.
class PublicKey {
public:
  /// All "PUBLIC KEY" blocks of a PEM text. Throws Error naming `source` where there is none, or one that signs nothing.
  static std::vector<PublicKey> parseAll(std::string_view pem, std::string_view source);

  bool verifies(std::string_view signature, std::string_view bytes) const;
  /// SHA-256 of its SubjectPublicKeyInfo in hex: how people call it.
  const std::string& fingerprint() const { return fingerprint_; }

private:
  PublicKey(std::shared_ptr<evp_pkey_st> key, std::string fingerprint) : key_(std::move(key)), fingerprint_(std::move(fingerprint)) {}
  std::shared_ptr<evp_pkey_st> key_;
  std::string fingerprint_;
};

} // namespace kubestrap::certs
