#pragma once

#include "certs/policy.hpp"
#include "certs/signing_request.hpp"
#include "certs/x509.hpp"

#include <optional>

namespace kubestrap::certs {

/// What is asked of an authority beside the request itself.
struct SigningOrder {
  Profile profile;
  std::optional<Hosts> hosts;                  ///< in place of the request's
  std::optional<DistinguishedName> subject;    ///< what it names takes the place of the request's
  std::string revocationList;                  ///< in place of the profile's
  enum class Dates { wholeMinutes, exact } dates = Dates::wholeMinutes;
};

/// Signs a request by a profile, as cfssl does (signer/local.Sign). `issuer.certificate` is nullptr for an authority's own certificate
/// and for self-signed ones. `serialBytes` are 20 random octets. Throws Error for what the profile or the authority forbids.
X509Certificate sign(const SigningRequest& request, const SigningOrder& order, const Issuer& issuer, TimePoint now,
                     std::string_view serialBytes);

/// The same in PEM, for many at once: what was made is not read back.
std::string signedPem(const SigningRequest& request, const SigningOrder& order, const Issuer& issuer, TimePoint now, std::string_view serialBytes);

/// The order by which an authority's own certificate is made of what it asks for (initca.New).
SigningOrder authorityOrder(const Request& request);

/// The request that would lead to such a certificate, for renewing an authority.
Request requestOf(const X509Certificate& certificate);

} // namespace kubestrap::certs
