#include "phases/certificates.hpp"

#include "manifests/front.hpp"
#include "manifests/hosted.hpp"
#include "phases/node.hpp"
#include "support/error.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::phases {

using certs::AlternativeNames;
using certs::CertificateRow;
using certs::CertSpec;
using certs::ExtendedUsage;
using certs::KubeconfigRow;

namespace {

/// Adds names and addresses as the operator wrote them; what is neither was refused when the configuration was read.
void add(AlternativeNames& names, const std::vector<std::string>& given) {
  for (const auto& each : given) {
    if (const auto ip = IpAddress::parse(each)) names.ips.push_back(*ip);
    else names.dns.push_back(each);
  }
}

AlternativeNames tidy(AlternativeNames names) {
  std::sort(names.dns.begin(), names.dns.end());
  names.dns.erase(std::unique(names.dns.begin(), names.dns.end()), names.dns.end());
  std::vector<IpAddress> unique;
  for (const auto& ip : names.ips)
    if (std::find(unique.begin(), unique.end(), ip) == unique.end()) unique.push_back(ip);
  names.ips = std::move(unique);
  return names;
}

AlternativeNames apiServerNames(const config::Setup& setup) {
  const auto& [cluster, node, request] = setup;
  AlternativeNames names;
  names.dns = {node.name, "kubernetes", "kubernetes.default", "kubernetes.default.svc"};
  if (!cluster.networks.dnsDomain.empty()) names.dns.push_back("kubernetes.default.svc." + cluster.networks.dnsDomain);
  names.ips = {cluster.networks.apiServerServiceAddress(), node.advertiseAddress};
  if (cluster.controlPlaneEndpoint) add(names, {cluster.controlPlaneEndpoint->host});
  if (const auto& vip = cluster.kubestrap.vip) add(names, {vip->address.string()});
  add(names, cluster.apiServerCertSANs);
  return names;
}

AlternativeNames etcdNames(const config::Setup& setup, const std::vector<std::string>& given) {
  AlternativeNames names;
  names.dns = {setup.node.name, "localhost"};
  names.ips = {setup.node.advertiseAddress, IpAddress::v4(127, 0, 0, 1), *IpAddress::parse("::1")};
  add(names, given);
  return names;
}

AlternativeNames namesOf(const CertificateRow& row, const config::Setup& setup) {
  switch (row.names) {
  case certs::NamesOf::nobody: return {};
  case certs::NamesOf::apiServer: return tidy(apiServerNames(setup));
  case certs::NamesOf::etcdServer: return tidy(etcdNames(setup, setup.cluster.etcd.local.serverCertSANs));
  case certs::NamesOf::etcdPeer: return tidy(etcdNames(setup, setup.cluster.etcd.local.peerCertSANs));
  case certs::NamesOf::ownCommonName: return {.dns = {std::string(row.commonName)}, .ips = {}};
  }
  return {};
}

config::Path pkiFile(const config::Cluster& cluster, std::string_view row, std::string_view ending) {
  const auto* found = certs::findRow(row);
  if (!found) throw Error(fmt::format("there is no certificate {}", row));
  return cluster.pki.folder / fmt::format("{}.{}", found->file, ending);
}

} // namespace

config::Path certificateFile(const config::Cluster& cluster, std::string_view row) { return pkiFile(cluster, row, "crt"); }
config::Path keyFile(const config::Cluster& cluster, std::string_view row) { return pkiFile(cluster, row, "key"); }

const certs::Override& wishOf(const config::Setup& setup, std::string_view name) {
  static const certs::Override none;
  const auto found = setup.cluster.pki.overrides.find(std::string(name));
  return found == setup.cluster.pki.overrides.end() ? none : found->second;
}

bool isNeeded(const CertificateRow& row, const config::Cluster& cluster) {
  return cluster.etcd.isLocal() || !row.localEtcdOnly;
}

CertSpec resolve(const CertificateRow& row, const config::Setup& setup) {
  const auto& cluster = setup.cluster;
  CertSpec spec{.name = std::string(row.name),
                .issuer = std::string(row.issuer),
                .authority = row.authority(),
                .subject = {.commonName = row.commonName.empty() ? setup.node.name : std::string(row.commonName)},
                .names = namesOf(row, setup),
                .usages = row.usages(),
                .algorithm = cluster.pki.algorithm,
                .life = row.authority() ? cluster.pki.authorityLife : cluster.pki.certificateLife,
                .certificate = certificateFile(cluster, row.name),
                .key = keyFile(cluster, row.name),
                .issuerCertificate = certificateFile(cluster, row.issuer),
                .issuerKey = keyFile(cluster, row.issuer)};
  return overlaid(std::move(spec), wishOf(setup, row.name));
}

namespace {

/// Hosted components have a folder each, since a file that is mounted would not be seen to change.
std::optional<config::Path> hostedFolder(const KubeconfigRow& row, const config::Cluster& cluster) {
  if (!manifests::isHosted(cluster)) return std::nullopt;
  for (const auto& component : manifests::components())
    if (component.kubeconfig == row.file) return manifests::credentialsFolder(component);
  if (row.file == certs::hostedKubeconfigs().front().file) return config::paths::guardCredentials;
  return std::nullopt;
}

std::string serverOf(const KubeconfigRow& row, const config::Setup& setup) {
  if (!row.localServer) return setup.publicEndpoint().url();
  return apiServerOf(setup);
}

} // namespace

std::vector<KubeconfigRow> kubeconfigRows(const config::Cluster& cluster) {
  std::vector<KubeconfigRow> rows(certs::kubeconfigs().begin(), certs::kubeconfigs().end());
  if (manifests::isHosted(cluster)) rows.insert(rows.end(), certs::hostedKubeconfigs().begin(), certs::hostedKubeconfigs().end());
  return rows;
}

config::Path kubeconfigFile(const KubeconfigRow& row, const config::Cluster& cluster, const config::Path& folder) {
  const auto hosted = hostedFolder(row, cluster);
  return hosted ? *hosted / "kubeconfig" : folder / row.file;
}

plan::Kubeconfig resolve(const KubeconfigRow& row, const config::Setup& setup) {
  const auto& cluster = setup.cluster;
  const auto hosted = hostedFolder(row, cluster);
  // The kubelet's user is completed with the node's name: the Node authorizer goes by it.
  const auto user = std::string(row.user) + (row.user.ends_with(':') ? setup.node.name : "");
  CertSpec spec{.name = std::string(row.file),
                .issuer = "ca",
                .subject = {.commonName = user},
                .usages = {ExtendedUsage::clientAuth},
                .algorithm = cluster.pki.algorithm,
                .life = cluster.pki.certificateLife,
                .issuerCertificate = certificateFile(cluster, "ca"),
                .issuerKey = keyFile(cluster, "ca")};
  if (!row.organization.empty()) spec.subject.organizations = {std::string(row.organization)};
  spec = overlaid(std::move(spec), wishOf(setup, row.file));
  return {.path = kubeconfigFile(row, cluster, setup.request.kubeconfigDir),
          .server = serverOf(row, setup),
          .clusterName = cluster.name,
          .user = user,
          .authority = certificateFile(cluster, "ca"),
          .credential = plan::EmbeddedCertificate{std::move(spec)},
          .credentialFile = hosted ? *hosted / "client.pem" : config::Path()};
}

plan::Resources hostedKubeconfigs(const config::Setup& setup) {
  plan::Resources resources;
  if (!manifests::isHosted(setup.cluster)) return resources;
  for (const auto& row : certs::hostedKubeconfigs()) resources.push_back(resolve(row, setup));
  return resources;
}

} // namespace kubestrap::phases
