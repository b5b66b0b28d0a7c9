#pragma once
// certs/ makes and reads keys, X.509 certificates, requests and sealed bytes as values over OpenSSL; the outside
// (files, time, chance) is handed in. This header is the part that the pure core may see: what is wanted, not how it is
// made.

#include "certs/name.hpp"
#include "support/ip.hpp"
#include "support/time.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kubestrap::certs {

/// kubeadm's `encryptionAlgorithm`, and Ed25519 for requests of the operator's own.
enum class KeyAlgorithm { rsa2048, rsa3072, rsa4096, ecdsaP256, ecdsaP384, ed25519 };
std::string_view name(KeyAlgorithm algorithm); ///< "ECDSA-P256"
std::optional<KeyAlgorithm> parseKeyAlgorithm(std::string_view name);

enum class ExtendedUsage { serverAuth, clientAuth };

struct Subject {
  std::string commonName;
  std::vector<std::string> organizations; ///< a certificate keeps a set of them, without their order
  std::vector<Attribute> others = {};     ///< country, unit and the like, which say nothing to Kubernetes
  bool operator==(const Subject&) const = default;
};

/// For Kubernetes a user is a name and groups, and nothing else.
bool sameUser(const Subject& one, const Subject& other);

/// Subject alternative names; DNS names sorted and unique, addresses unique in their order (kubeadm: pki_helpers.go).
struct AlternativeNames {
  std::vector<std::string> dns;
  std::vector<IpAddress> ips;
  bool empty() const { return dns.empty() && ips.empty(); }
  bool operator==(const AlternativeNames&) const = default;
};
/// In the order and without the doubles that AlternativeNames promises.
AlternativeNames normalized(AlternativeNames names);

/// A certificate that should exist: everything but its bytes. Files are absolute paths below the machine's root.
struct CertSpec {
  std::string name;   ///< "apiserver": the catalogue's and the phase's name
  std::string issuer; ///< name of the issuing authority in the catalogue; its own name for an authority
  bool authority = false;
  Subject subject;
  AlternativeNames names;
  std::vector<ExtendedUsage> usages;
  KeyAlgorithm algorithm = KeyAlgorithm::ecdsaP256;
  Duration life{};                                    ///< from now on
  std::filesystem::path certificate, key;             ///< "/etc/kubernetes/pki/apiserver.crt", ".key"
  std::filesystem::path issuerCertificate, issuerKey; ///< equal to the own ones for an authority
  /// One that stays valid for less than this is issued anew; zero: only when it has expired.
  Duration renewWithin{};
  AlternativeNames unwanted = {}; ///< one that has any of these is issued anew
};

/// What an operator wants otherwise of a certificate; what is not said here stays.
struct Override {
  Subject subject;         ///< an empty common name stays; organizations are further ones; of others, those of a type take the place of its own
  AlternativeNames names;  ///< beside its own
  std::optional<KeyAlgorithm> algorithm;
  std::optional<Duration> life;
  bool operator==(const Override&) const = default;
};
CertSpec overlaid(CertSpec spec, const Override& wish);

} // namespace kubestrap::certs
