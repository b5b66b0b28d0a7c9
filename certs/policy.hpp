#pragma once

#include "support/time.hpp"

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kubestrap::certs {

/// A certificate policy with its qualifiers (RFC 5280, 4.2.1.4).
struct CertificatePolicy {
  struct Qualifier {
    enum class Kind { statement, notice } kind = Kind::statement;
    std::string value;
  };
  std::string id;
  std::vector<Qualifier> qualifiers;
};

/// Which parts of a request may come into the certificate.
struct RequestWhitelist {
  bool subject = false, publicKeyAlgorithm = false, publicKey = false, signatureAlgorithm = false;
  bool dnsNames = false, ipAddresses = false, emailAddresses = false, uris = false;
};

/// How an authority signs: a profile of cfssl's signing policy (config.SigningProfile).
struct Profile {
  std::vector<std::string> usages; ///< "signing", "server auth", as written; each is one of `usageNames()`
  std::vector<std::string> issuerUrls;
  std::string ocspUrl, revocationList;
  bool authority = false;
  std::optional<int> pathLength; ///< of an authority; nothing: any
  bool ocspNoCheck = false, copyExtensions = false;
  Duration expiry{};
  std::optional<Duration> backdate; ///< nothing: five minutes
  std::optional<TimePoint> notBefore, notAfter;
  std::vector<CertificatePolicy> policies;
  std::optional<RequestWhitelist> whitelist;

  std::vector<int> keyUsageBits() const;             ///< RFC 5280, 4.2.1.3
  std::vector<std::string> extendedUsages() const;   ///< object identifiers
};

struct Policy {
  Profile standard; ///< signing.default
  std::map<std::string, Profile> profiles;
  /// An empty name is the default. Throws Error for a name that the policy lacks. What a profile leaves open is filled from the default.
  Profile profile(std::string_view name) const;
};

/// Reads a policy document. Throws Problems with everything that is wrong, unknown, or of cfssl's server and cannot be honoured here.
Policy parsePolicy(std::string_view json, std::string_view source);
/// What signs without a policy: a year, for servers and clients (config.DefaultConfig).
Policy standardPolicy();
/// What an authority's own certificate is made by: five years (initca.CAPolicy).
Profile authorityProfile();

std::vector<std::string> usageNames();

} // namespace kubestrap::certs
