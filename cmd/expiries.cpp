#include "cmd/expiries.hpp"

#include "certs/catalogue.hpp"
#include "certs/x509.hpp"
#include "kube/kubeconfig.hpp"
#include "phases/certificates.hpp"

#include <algorithm>

namespace kubestrap::cmd {

namespace {

void read(Expiry& expiry, const std::optional<std::string>& pem, const std::string& source) {
  if (!pem || pem->empty()) return;
  const auto certificate = certs::X509Certificate::parse(*pem, source);
  expiry.begins = certificate.notBefore();
  expiry.ends = certificate.notAfter();
}

} // namespace

Expiries lookAtCertificates(host::Host& host, const config::Cluster& cluster, const config::Path& folder) {
  const auto file = [&](std::string_view name, const char* ending) { return folder / (std::string(name) + ending); };
  const auto keyIsElsewhere = [&](const certs::CertificateRow& authority) { return !host.status(file(authority.file, ".key")); };
  Expiries found;
  for (const auto& row : certs::catalogue()) {
    if (row.localEtcdOnly && !cluster.etcd.isLocal()) continue;
    const auto path = file(row.file, ".crt");
    Expiry expiry{.name = std::string(row.name)};
    read(expiry, host.read(path), path.string());
    const auto& authority = *certs::findRow(row.issuer);
    expiry.managedElsewhere = keyIsElsewhere(authority);
    if (!row.authority()) expiry.issuer = row.issuer;
    (row.authority() ? found.authorities : found.certificates).push_back(std::move(expiry));
  }
  for (const auto& row : phases::kubeconfigRows(cluster)) {
    if (row.name == "kubelet") continue; // the kubelet renews its own
    const auto path = phases::kubeconfigFile(row, cluster);
    Expiry expiry{.name = std::string(row.file), .issuer = "ca", .managedElsewhere = keyIsElsewhere(*certs::findRow("ca"))};
    if (const auto text = host.read(path)) {
      auto kubeconfig = kube::parseKubeconfig(*text, path.string());
      kube::readCredentials(kubeconfig, [&](const auto& each) { return host.read(each); });
      read(expiry, kubeconfig.clientCertificate, path.string());
    }
    found.certificates.push_back(std::move(expiry));
  }
  for (auto* list : {&found.certificates, &found.authorities}) std::ranges::sort(*list, {}, &Expiry::name);
  return found;
}

} // namespace kubestrap::cmd
