#pragma once

#include "certs/request.hpp"

#include <memory>

struct X509_req_st;

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
  explicit SigningRequest(std::shared_ptr<X509_req_st> request) : request_(std::move(request)) {}
  std::shared_ptr<X509_req_st> request_; ///< immutable after construction
};

} // namespace kubestrap::certs
