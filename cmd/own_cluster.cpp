#include "cmd/own_cluster.hpp"

#include "cmd/wishes.hpp"

#include "certs/x509.hpp"
#include "config/audit.hpp"
#include "config/layout.hpp"
#include "config/machine_defaults.hpp"
#include "config/paths.hpp"
#include "config/store.hpp"
#include "config/v1alpha1.hpp"
#include "kube/client.hpp"
#include "kube/reading.hpp"
#include "manifests/cluster_objects.hpp"
#include "manifests/guard.hpp"
#include "manifests/hosted.hpp"
#include "phases/hosted.hpp"
#include "phases/upgrade.hpp"
#include "support/ip.hpp"
#include "support/log.hpp"
#include "support/yaml.hpp"

#include <fmt/format.h>

namespace kubestrap::cmd {

namespace {

namespace paths = config::paths;
constexpr std::string_view advertisedByEtcd = "kubeadm.kubernetes.io/etcd.advertise-client-urls";
constexpr std::string_view advertised = "kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint";

/// "n1" of the certificate with which the kubelet, or else etcd, makes itself known.
std::optional<std::string> nameOfCertificate(host::Host& host, const config::Path& path, std::string_view prefix) {
  const auto pem = host.read(path);
  if (!pem) return std::nullopt;
  const auto name = certs::X509Certificate::parse(*pem, path.string()).subject().commonName;
  return name.starts_with(prefix) ? std::optional(name.substr(prefix.size())) : std::nullopt;
}

/// The address in an annotation, which is one or a URL.
std::optional<HostPort> annotated(const Value& pod, std::string_view annotation) {
  const auto text = kube::annotationOf(pod, annotation);
  if (!text) return std::nullopt;
  const auto mark = text->find("://");
  return splitHostPort(mark == text->npos ? *text : text->substr(mark + 3));
}

struct StoredRow {
  const char *configMap, *key;
  bool perhapsGenerated = false; ///< kubeadm marks what nobody wrote by hand: it is made anew for another version
};
constexpr StoredRow storedRows[] = {{"kubeadm-config", "ClusterConfiguration"},
                                    {"kubestrap-config", "KubestrapConfiguration"},
                                    {"kubestrap-config", "AuditPolicy"},
                                    {"kubelet-config", "kubelet", true},
                                    {"kube-proxy", "config.conf", true}};

bool wasGenerated(const Value& configMap) {
  const auto hash = kube::annotationOf(configMap, "kubeadm.kubernetes.io/component-config.hash");
  return hash && *hash == manifests::configMapHash(configMap);
}

} // namespace

std::vector<Document> storedDocuments(kube::Client& client) {
  std::vector<Document> documents;
  for (const auto& row : storedRows) {
    std::optional<Value> stored;
    try {
      stored = client.get({"v1", "ConfigMap", "kube-system", row.configMap});
    } catch (const kube::ApiError& error) {
      if (error.status() != 403) throw; // a worker's own credentials may not read all of them, and it does not need them
      log::info(1, "{} may not be read", row.configMap);
    }
    const auto* data = stored ? find(*stored, "data") : nullptr;
    if (!data || !data->contains(row.key) || (row.perhapsGenerated && wasGenerated(*stored))) continue;
    for (auto& document : parseYaml(data->at(row.key).get<std::string>(), row.configMap)) documents.push_back(std::move(document));
  }
  return documents;
}

std::optional<kube::Kubeconfig> readKubeconfig(host::Host& host, const config::Path& path) {
  const auto text = host.read(path);
  if (!text) return std::nullopt;
  auto kubeconfig = kube::parseKubeconfig(*text, path.string());
  kube::readCredentials(kubeconfig, [&](const auto& file) { return host.read(file); });
  return kubeconfig;
}

bool isControlPlane(host::Host& host) {
  return host.status(paths::manifests / "kube-apiserver.yaml") || host.status(paths::nodeState) || host.status(phases::upgradeConfiguration);
}

bool isPlainControlPlane(host::Host& host) { return host.status(paths::manifests / "kube-apiserver.yaml").has_value(); }

std::optional<std::string> nameOfNode(host::Host& host, const config::Path& pki) {
  auto name = nameOfCertificate(host, paths::kubeletClientCertificate, "system:node:");
  return name ? name : nameOfCertificate(host, pki / "etcd/server.crt", "");
}

namespace {

/// The copy on this machine: nobody says how much has changed since.
struct KeptCluster {
  config::Cluster cluster;
  TimePoint written;
};

std::optional<KeptCluster> keptCluster(host::Host& host) {
  const auto text = host.read(phases::keptConfiguration);
  const auto status = host.status(phases::keptConfiguration);
  if (!text || !status) return std::nullopt;
  std::vector<std::string> warnings;
  return KeptCluster{config::clusterFromDocuments(parseYaml(*text, phases::keptConfiguration.string()), warnings), status->modified};
}

} // namespace

OwnCluster ownCluster(const config::InitFlags& flags, const std::optional<std::string>& kubeconfig, Machine& machine) {
  std::vector<std::string> warnings;
  const auto placeholders = [&](const std::vector<Document>& documents) {
    config::Facts facts;
    facts.hostname = "node";
    facts.defaultAddress = IpAddress::v4(1, 2, 3, 4);
    auto meant = flags;
    // The file that init has read says no layout where init chose hosted, and its endpoint has a name that was made up then.
    if (machine.host().status(manifests::guardManifest())) config::chooseLayout(documents, meant, false);
    return config::loadInit(documents, meant, facts, machine.random(), warnings).cluster;
  };
  if (flags.configFile) return {placeholders(withAuditPolicy(machine.readDocuments(*flags.configFile), machine.host()))};
  const auto path = kubeconfig ? std::filesystem::absolute(*kubeconfig) : paths::adminConf;
  try {
    if (const auto text = machine.host().read(path)) {
      kube::Client client(machine.http(), kube::parseKubeconfig(*text, path.string()));
      if (auto cluster = storedCluster(client)) return {*std::move(cluster)};
    }
  } catch (const Interrupted&) {
    throw;
  } catch (const std::exception& error) {
    if (auto kept = keptCluster(machine.host())) {
      log::warn(fmt::format("the cluster's configuration cannot be read ({}); the copy on this machine is taken, of {} and {}", error.what(), formatRfc3339(kept->written), kept->cluster.version.tag()));
      return {std::move(kept->cluster)};
    }
    log::warn(fmt::format("the cluster's configuration cannot be read ({}); the defaults are taken", error.what()));
  }
  return {placeholders({}), false};
}

std::optional<config::Cluster> storedCluster(kube::Client& client, const std::optional<Version>& version, std::vector<Document> instead) {
  auto documents = storedDocuments(client);
  if (documents.empty()) return std::nullopt;
  return clusterOf(std::move(documents), version, std::move(instead));
}

config::Cluster clusterOf(std::vector<Document> documents, const std::optional<Version>& version, std::vector<Document> instead) {
  const auto kindOf = [](const Document& document) { return stringAt(document.value, "kind"); };
  for (auto& given : instead) {
    const auto stored = std::ranges::find(documents, kindOf(given), kindOf);
    if (stored == documents.end()) {
      if (kindOf(given) == config::auditPolicyKind || kindOf(given) == config::v1alpha1::kind) documents.push_back(std::move(given));
      continue;
    }
    if (kindOf(given) == "ClusterConfiguration" && !given.value.contains("kubernetesVersion"))
      given.value["kubernetesVersion"] = stringAt(stored->value, "kubernetesVersion");
    *stored = std::move(given);
  }
  if (version)
    for (auto& document : documents)
      if (kindOf(document) == "ClusterConfiguration") document.value["kubernetesVersion"] = version->tag();
  std::vector<std::string> warnings; // of fields that a newer tool has written, which were told when they were stored
  return config::clusterFromDocuments(documents, warnings);
}

namespace {

/// Where this node's API server is reached, as the manifests say. In the hosted layout the API server's own says nothing of the node, but
/// etcd's does, which is at the same address. The manifests say, too, which layout that is: the cluster may be on its way to the other.
HostPort advertisedEndpoint(host::Host& host, const config::Cluster& cluster) {
  const bool hosted = !isPlainControlPlane(host) && (manifests::isHosted(cluster) || host.status(paths::manifests / "etcd.yaml"));
  const auto manifest = paths::manifests / (hosted ? "etcd.yaml" : "kube-apiserver.yaml");
  const auto text = host.read(manifest);
  if (!text)
    throw Error(fmt::format("{} is absent: this machine is no control plane of a cluster", manifest.string()), "run it on a control plane node");
  const auto annotation = hosted ? advertisedByEtcd : advertised;
  auto endpoint = annotated(parseYamlValue(*text, manifest.string()), annotation);
  if (!endpoint || !IpAddress::parse(endpoint->host))
    throw Error(fmt::format("{} does not say at which address the API server is", manifest.string()),
                fmt::format("the annotation {} is missing", annotation));
  if (!hosted) return *endpoint;
  endpoint->port.reset();
  const auto& apiServer = manifests::component("kube-apiserver");
  // What stands by may be broken: then the one before it says the same.
  for (const auto slot : {manifests::Slot::rescue, manifests::Slot::previous}) {
    try {
      const auto standby = host.read(manifests::standby(apiServer, slot));
      if (standby && !endpoint->port) endpoint->port = manifests::servingPort(apiServer, parseYamlValue(*standby, "the standby of kube-apiserver"));
    } catch (const Interrupted&) {
      throw;
    } catch (const std::exception& error) {
      log::info(1, "{}", error.what());
    }
  }
  return *endpoint;
}

} // namespace

std::optional<std::string> recordedSocket(host::Host& host) {
  const auto text = host.read(paths::kubeletInstanceConfig);
  if (!text) return std::nullopt;
  try {
    if (auto socket = stringAt(parseYamlValue(*text, paths::kubeletInstanceConfig.string()), "containerRuntimeEndpoint"); !socket.empty()) return socket;
  } catch (const Error& error) {
    log::warn(error.message());
  }
  return std::nullopt;
}

std::string foundSocket(const config::Facts& facts) {
  return facts.runtimeSockets.empty() ? "unix:///var/run/containerd/containerd.sock" : facts.runtimeSockets.front();
}

config::Node ownNode(Machine& machine, const config::Cluster& cluster) {
  auto& host = machine.host();
  const auto endpoint = advertisedEndpoint(host, cluster);
  config::Node node;
  const auto name = nameOfNode(host, cluster.pki.folder);
  if (!name)
    throw Error("this node's name is not known: it has neither a kubelet's nor an etcd member's certificate", "look at /var/lib/kubelet/pki");
  node.name = node.hostname = *name;
  node.advertiseAddress = *IpAddress::parse(endpoint.host);
  node.bindPort = endpoint.port.value_or(6443);
  return node;
}

config::Node workerNode(Machine& machine, const config::Cluster& cluster) {
  config::Node node;
  const auto name = nameOfNode(machine.host(), cluster.pki.folder);
  if (!name) throw Error("this machine is no node: its kubelet has no certificate", "run it on a node of the cluster");
  node.name = node.hostname = *name;
  node.controlPlane = false;
  return node;
}

void completeNode(config::Node& node, const config::Facts& facts, host::Host& host, const config::Cluster& cluster) {
  node.criSocket = recordedSocket(host).value_or(foundSocket(facts));
  node.resolvConf = config::resolvConf(facts);
  node.proxyVariables = facts.proxyVariables;
  node.caFolders = config::existingCaFolders(facts);
  node.hasSystemd = facts.initSystem == "systemd";
  node.externalAuthority = host.status(cluster.pki.folder / "ca.crt") && !host.status(cluster.pki.folder / "ca.key");
}

} // namespace kubestrap::cmd
