#include "certs/spec.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace kubestrap::certs {

namespace {

/// The names of ClusterConfiguration's `encryptionAlgorithm` (kubeadm: apis/kubeadm/types.go), and one of our own.
constexpr std::array<std::pair<KeyAlgorithm, std::string_view>, 6> algorithms{{
    {KeyAlgorithm::rsa2048, "RSA-2048"},
    {KeyAlgorithm::rsa3072, "RSA-3072"},
    {KeyAlgorithm::rsa4096, "RSA-4096"},
    {KeyAlgorithm::ecdsaP256, "ECDSA-P256"},
    {KeyAlgorithm::ecdsaP384, "ECDSA-P384"},
    {KeyAlgorithm::ed25519, "Ed25519"},
}};

} // namespace

std::string_view name(KeyAlgorithm algorithm) {
  return std::ranges::find(algorithms, algorithm, &std::pair<KeyAlgorithm, std::string_view>::first)->second;
}

std::optional<KeyAlgorithm> parseKeyAlgorithm(std::string_view name) {
  const auto found = std::ranges::find(algorithms, name, &std::pair<KeyAlgorithm, std::string_view>::second);
  if (found == algorithms.end()) return std::nullopt;
  return found->first;
}

bool sameUser(const Subject& one, const Subject& other) {
  return one.commonName == other.commonName && std::ranges::is_permutation(one.organizations, other.organizations);
}

AlternativeNames normalized(AlternativeNames names) {
  std::ranges::sort(names.dns);
  names.dns.erase(std::unique(names.dns.begin(), names.dns.end()), names.dns.end());
  std::vector<IpAddress> ips;
  for (const IpAddress& ip : names.ips)
    if (std::ranges::find(ips, ip) == ips.end()) ips.push_back(ip);
  names.ips = std::move(ips);
  return names;
}

CertSpec overlaid(CertSpec spec, const Override& wish) {
  auto& [commonName, organizations, others] = spec.subject;
  if (!wish.subject.commonName.empty()) commonName = wish.subject.commonName;
  for (const auto& organization : wish.subject.organizations)
    if (std::ranges::find(organizations, organization) == organizations.end()) organizations.push_back(organization);
  std::erase_if(others, [&](const Attribute& own) { return std::ranges::find(wish.subject.others, own.type, &Attribute::type) != wish.subject.others.end(); });
  others.insert(others.end(), wish.subject.others.begin(), wish.subject.others.end());
  spec.names.dns.insert(spec.names.dns.end(), wish.names.dns.begin(), wish.names.dns.end());
  spec.names.ips.insert(spec.names.ips.end(), wish.names.ips.begin(), wish.names.ips.end());
  spec.names = normalized(std::move(spec.names));
  if (wish.algorithm) spec.algorithm = *wish.algorithm;
  if (wish.life) spec.life = *wish.life;
  return spec;
}

} // namespace kubestrap::certs
