#include "cmd/own_cluster.hpp"

#include "certs/x509.hpp"
#include "config/paths.hpp"
#include "config/store.hpp"
#include "kube/client.hpp"
#include "support/ip.hpp"
#include "support/log.hpp"
#include "support/yaml.hpp"

#include <fmt/format.h>

namespace kubestrap::cmd {

namespace {

namespace paths = config::paths;
constexpr std::string_view advertised = "kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint";

/// "n1" of the certificate with which the kubelet, or else etcd, makes itself known.
std::optional<std::string> nameOfCertificate(host::Host& host, const config::Path& path, std::string_view prefix) {
  const auto pem = host.read(path);
  if (!pem) return std::nullopt;
  const auto name = certs::X509Certificate::parse(*pem, path.string()).subject().commonName;
  return name.starts_with(prefix) ? std::optional(name.substr(prefix.size())) : std::nullopt;
}

/// Where the API server's pod says that it is.
std::optional<HostPort> advertisedIn(const Value& pod) {
  const auto* annotations = find(pod, "metadata.annotations");
  if (!annotations || !annotations->contains(advertised)) return std::nullopt;
  return splitHostPort(annotations->at(std::string(advertised)).get<std::string>());
}

} // namespace

OwnCluster ownCluster(const config::InitFlags& flags, const std::optional<std::string>& kubeconfig, Machine& machine) {
  std::vector<std::string> warnings;
  const auto placeholders = [&](const std::vector<Document>& documents) {
    config::Facts facts;
    facts.hostname = "node";
    facts.defaultAddress = IpAddress::v4(1, 2, 3, 4);
    return config::loadInit(documents, flags, facts, machine.random(), warnings).cluster;
  };
  if (flags.configFile) return {placeholders(machine.readDocuments(*flags.configFile))};
  const auto path = kubeconfig ? std::filesystem::absolute(*kubeconfig) : paths::adminConf;
  try {
    if (const auto text = machine.host().read(path)) {
      kube::Client client(machine.http(), kube::parseKubeconfig(*text, path.string()));
      if (const auto stored = client.get({"v1", "ConfigMap", "kube-system", "kubeadm-config"}))
        return {config::clusterFromDocuments(parseYaml(stored->at("data").at("ClusterConfiguration").get<std::string>(), "kubeadm-config"),
                                             warnings)};
    }
  } catch (const Interrupted&) {
    throw;
  } catch (const std::exception& error) {
    log::warn(fmt::format("the cluster's configuration cannot be read ({}); the defaults are taken", error.what()));
  }
  return {placeholders({}), false};
}

config::Node ownNode(Machine& machine, const config::Cluster& cluster) {
  auto& host = machine.host();
  const auto manifest = paths::manifests / "kube-apiserver.yaml";
  const auto text = host.read(manifest);
  if (!text)
    throw Error(fmt::format("{} is absent: this machine is no control plane of a cluster", manifest.string()), "run it on a control plane node");
  config::Node node;
  auto name = nameOfCertificate(host, paths::kubeletClientCertificate, "system:node:");
  if (!name) name = nameOfCertificate(host, cluster.pki.folder / "etcd/server.crt", "");
  if (!name)
    throw Error("this node's name is not known: it has neither a kubelet's nor an etcd member's certificate", "look at /var/lib/kubelet/pki");
  node.name = node.hostname = *name;
  const auto endpoint = advertisedIn(parseYamlValue(*text, manifest.string()));
  const auto address = endpoint ? IpAddress::parse(endpoint->host) : std::nullopt;
  if (!address)
    throw Error(fmt::format("{} does not say at which address the API server is", manifest.string()),
                fmt::format("the annotation {} is missing", advertised));
  node.advertiseAddress = *address;
  node.bindPort = endpoint->port.value_or(6443);
  return node;
}

} // namespace kubestrap::cmd
