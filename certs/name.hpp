#pragma once

#include "support/error.hpp"
#include "support/ip.hpp"

#include <span>
#include <string>
#include <string_view>
#include <vector>

struct X509_name_st;

namespace kubestrap::certs {

/// A part of a subject: "2.5.4.10" and "Example".
struct Attribute {
  std::string type, value;
  bool operator==(const Attribute&) const = default;
};

namespace attribute {
inline constexpr std::string_view commonName = "2.5.4.3", serialNumber = "2.5.4.5", country = "2.5.4.6", locality = "2.5.4.7",
                                  province = "2.5.4.8", street = "2.5.4.9", organization = "2.5.4.10", organizationalUnit = "2.5.4.11",
                                  postalCode = "2.5.4.17", email = "1.2.840.113549.1.9.1";
}

/// A whole subject, in no order of its own.
struct DistinguishedName {
  std::vector<Attribute> parts;

  std::vector<std::string> all(std::string_view type) const;
  std::string first(std::string_view type) const; ///< "" when there is none
  void add(std::string_view type, std::string value); ///< an empty value adds nothing
  bool empty() const { return parts.empty(); }
  /// "O=a, CN=b", for people.
  std::string string() const;
};

/// `given`, completed by those parts of `base` of whose type it has none.
DistinguishedName overlaid(DistinguishedName given, const DistinguishedName& base);

DistinguishedName readDistinguishedName(const X509_name_st* name);
/// In Go's order (crypto/x509/pkix.Name.ToRDNSequence): values of one type in one set; types that it has no member for come last.
void writeDistinguishedName(X509_name_st* name, const DistinguishedName& from);

/// Alternative names by their kind, each kind in the order given.
struct Hosts {
  std::vector<std::string> dns, emails, uris;
  std::vector<IpAddress> ips;
  bool empty() const { return dns.empty() && emails.empty() && uris.empty() && ips.empty(); }
  std::vector<std::string> all() const;
};

/// Tells addresses, mail addresses, URIs and DNS names apart (cfssl: csr.GenerateDER). An empty text, which scripts write for "none", is
/// none. What is none of them becomes a problem at `field[i]`.
Hosts parseHosts(std::span<const std::string> given, std::string_view where, std::string_view field, std::vector<Problem>& problems);

/// Whether `text` is an object identifier in dots, as X.509 can hold it.
bool isObjectIdentifier(std::string_view text);

} // namespace kubestrap::certs
