#pragma once

#include "certs/key.hpp"
#include "certs/name.hpp"
#include "support/time.hpp"
#include "support/value.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kubestrap::certs {

/// An extension as it stands in a request or a certificate.
struct Extension {
  std::string type; ///< "2.5.29.17"
  bool critical = false;
  std::string der; ///< its value
};

/// What a request asks of an authority's own certificate.
struct AuthorityRequest {
  std::optional<int> pathLength; ///< nothing: any
  std::optional<Duration> expiry, backdate;
};

/// A certificate request as data, in cfssl's JSON (csr.CertificateRequest).
struct Request {
  DistinguishedName subject;
  Hosts hosts;
  KeyRequest key;
  std::optional<AuthorityRequest> authority;
  bool delegation = false;
  std::vector<Extension> extensions;
  std::string revocationList; ///< crl_url
};

/// Reads a CSR document. Throws Problems with everything that is wrong, or cannot be honoured, each with its member's path.
Request parseRequest(std::string_view json, std::string_view source);
Request readRequest(const Value& document, std::string_view source);
/// A subject alone, as `sign` takes it: CN, names, SerialNumber.
DistinguishedName parseSubject(std::string_view json, std::string_view source);
/// The document that reads back as `request`.
Value document(const Request& request);

} // namespace kubestrap::certs
