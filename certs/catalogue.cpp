#include "certs/catalogue.hpp"

#include <algorithm>
#include <array>

namespace kubestrap::certs {

namespace {

constexpr std::array<CertificateRow, 10> certificates{{
    {.name = "ca",
     .file = "ca",
     .issuer = "ca",
     .commonName = "kubernetes",
     .summary = "the authority of the cluster, which all components trust",
     .names = NamesOf::ownCommonName},
    {.name = "apiserver",
     .file = "apiserver",
     .issuer = "ca",
     .commonName = "kube-apiserver",
     .summary = "what the API server shows to its clients",
     .server = true,
     .names = NamesOf::apiServer},
    {.name = "apiserver-kubelet-client",
     .file = "apiserver-kubelet-client",
     .issuer = "ca",
     .commonName = "kube-apiserver-kubelet-client",
     .summary = "what the API server shows to kubelets",
     .client = true},
    {.name = "front-proxy-ca",
     .file = "front-proxy-ca",
     .issuer = "front-proxy-ca",
     .commonName = "front-proxy-ca",
     .summary = "the authority for extension API servers",
     .names = NamesOf::ownCommonName},
    {.name = "front-proxy-client",
     .file = "front-proxy-client",
     .issuer = "front-proxy-ca",
     .commonName = "front-proxy-client",
     .summary = "what the API server shows to extension API servers",
     .client = true},
    {.name = "etcd-ca",
     .file = "etcd/ca",
     .issuer = "etcd-ca",
     .commonName = "etcd-ca",
     .summary = "the authority of etcd",
     .names = NamesOf::ownCommonName,
     .localEtcdOnly = true},
    {.name = "etcd-server",
     .file = "etcd/server",
     .issuer = "etcd-ca",
     .commonName = "",
     .summary = "what etcd shows to its clients",
     .server = true,
     .client = true,
     .names = NamesOf::etcdServer,
     .localEtcdOnly = true},
    {.name = "etcd-peer",
     .file = "etcd/peer",
     .issuer = "etcd-ca",
     .commonName = "",
     .summary = "what etcd members show to each other",
     .server = true,
     .client = true,
     .names = NamesOf::etcdPeer,
     .localEtcdOnly = true},
    {.name = "etcd-healthcheck-client",
     .file = "etcd/healthcheck-client",
     .issuer = "etcd-ca",
     .commonName = "kube-etcd-healthcheck-client",
     .summary = "what probes of etcd show to it",
     .client = true,
     .localEtcdOnly = true},
    {.name = "apiserver-etcd-client",
     .file = "apiserver-etcd-client",
     .issuer = "etcd-ca",
     .commonName = "kube-apiserver-etcd-client",
     .summary = "what the API server shows to etcd",
     .client = true,
     .localEtcdOnly = true},
}};

// Users and groups: kubeadm, phases/kubeconfig/kubeconfig.go. The kubelet's file is made here on the first node only;
// on every other node the kubelet gets it by its TLS bootstrap.
constexpr std::array<KubeconfigRow, 5> files{{
    {.name = "admin",
     .file = "admin.conf",
     .user = "kubernetes-admin",
     .organization = "kubeadm:cluster-admins",
     .summary = "for the administrator"},
    {.name = "super-admin",
     .file = "super-admin.conf",
     .user = "kubernetes-super-admin",
     .organization = "system:masters",
     .firstNodeOnly = true,
     .summary = "for emergencies: no authorisation rule applies to it"},
    {.name = "kubelet",
     .file = "kubelet.conf",
     .user = "system:node:",
     .organization = "system:nodes",
     .localServer = true,
     .firstNodeOnly = true,
     .summary = "for the kubelet until it rotates its certificate"},
    {.name = "controller-manager",
     .file = "controller-manager.conf",
     .user = "system:kube-controller-manager",
     .organization = "",
     .localServer = true,
     .summary = "for the controller manager"},
    {.name = "scheduler",
     .file = "scheduler.conf",
     .user = "system:kube-scheduler",
     .organization = "",
     .localServer = true,
     .summary = "for the scheduler"},
}};

constexpr std::array<KubeconfigRow, 1> hostedFiles{{
    {.name = "guard",
     .file = "guard.conf",
     .user = "kubestrap:guard:",
     .organization = "kubestrap:guards",
     .localServer = true,
     .summary = "for the guard of a hosted control plane"},
}};

} // namespace

std::vector<ExtendedUsage> CertificateRow::usages() const {
  std::vector<ExtendedUsage> found;
  if (server) found.push_back(ExtendedUsage::serverAuth);
  if (client) found.push_back(ExtendedUsage::clientAuth);
  return found;
}

std::span<const CertificateRow> catalogue() { return certificates; }
std::span<const KubeconfigRow> kubeconfigs() { return files; }
std::span<const KubeconfigRow> hostedKubeconfigs() { return hostedFiles; }

const CertificateRow* findRow(std::string_view name) {
  const auto found = std::ranges::find(certificates, name, &CertificateRow::name);
  return found == certificates.end() ? nullptr : &*found;
}

} // namespace kubestrap::certs
