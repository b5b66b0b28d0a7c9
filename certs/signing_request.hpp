#pragma once

#include "certs/request.hpp"

#include <memory>
#include <optional>

struct X509_req_st;
struct evp_pkey_st;

namespace kubestrap::certs {

/// A PKCS#10 request.
class SigningRequest {
public:
  /// Signs what `request` says with the key that the certificate shall be for.
  static SigningRequest make(const Request& request, const PrivateKey& key);
  /// Throws Error naming `source` for what is none, or is not signed by its own key.
  static SigningRequest parse(std::string_view pem, std::string_view source);

  std::string pem() const;
  DistinguishedName subject() const;
  Hosts hosts() const;
  std::vector<Extension> extensions() const; ///< all of them
  KeyRequest keyKind() const;
  bool belongsTo(const PrivateKey& key) const;
  X509_req_st* native() const { return request_.get(); } ///< for certs/ only

private:
  SigningRequest(std::shared_ptr<X509_req_st> request, std::optional<PrivateKey> key) : request_(std::move(request)), key_(std::move(key)) {}
  const evp_pkey_st* publicKey() const;
  std::shared_ptr<X509_req_st> request_; ///< immutable after construction
  std::optional<PrivateKey> key_;        ///< of one that was made here, whose public key OpenSSL has only as it is written
};

} // namespace kubestrap::certs
