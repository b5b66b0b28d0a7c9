#include "cmd/join_cluster.hpp"
#include "cmd/look.hpp"
#include "cmd/reconfigure_look.hpp"
#include "cmd/wishes.hpp"

#include "certs/seal.hpp"
#include "config/store.hpp"
#include "kube/client.hpp"
#include "kube/reading.hpp"
#include "manifests/cluster_objects.hpp"
#include "plan/discover.hpp"
#include "support/encoding.hpp"
#include "support/log.hpp"

#include <fmt/format.h>

namespace kubestrap::cmd {

namespace {

namespace paths = config::paths;

/// A node's own way to its cluster: of an administrator on a control plane, else of the kubelet.
std::optional<plan::Discovered> ownCluster(plan::World& world, plan::Reporter& reporter, Duration patience) {
  if (!world.host.status(paths::kubeletConf)) return std::nullopt;
  for (const auto& own : {paths::adminConf, paths::kubeletConf}) {
    if (!world.host.status(own)) continue;
    try {
      return plan::discover({.how = config::FileDiscovery{own.string()}}, std::min<Duration>(patience, std::chrono::seconds(5)), world, reporter);
    } catch (const Interrupted&) {
      throw;
    } catch (const Error& error) {
      log::info(1, "{} does not lead to the cluster: {}", own.string(), error.message());
    }
  }
  return std::nullopt;
}

/// A machine that has its own kubeconfig needs no token any more, and an old one would not help it.
plan::Discovered findCluster(const config::JoinRequest& wanted, plan::World& world, plan::Reporter& reporter) {
  const auto patience = wanted.request.timeouts.discovery;
  auto own = ownCluster(world, reporter, patience);
  if (!own) return plan::discover(wanted.discovery, patience, world, reporter);
  const auto* token = std::get_if<config::TokenDiscovery>(&wanted.discovery.how);
  if (token && !plan::isPinned(own->cluster, *token))
    throw Error(fmt::format("this machine is a node of another cluster already, at {}", own->cluster.server),
                "take it out of that cluster first (kubestrap reset)", ExitCode::refused);
  return *std::move(own);
}

/// Two machines of one name would take each other's pods and certificates.
void refuseTakenName(kube::Client& client, const std::string& name) {
  std::optional<Value> node;
  try {
    node = client.get({"v1", "Node", "", name});
  } catch (const kube::ApiError& error) {
    if (error.status() != 403) throw;
    log::info(1, "whether there is a node {} may not be asked: {}", name, error.message());
  }
  if (node && kube::isReady(*node))
    throw Error(fmt::format("the cluster has a Ready node {} already", name), "choose another name with --node-name, or delete that node",
                ExitCode::refused);
}

std::optional<Value> uploadedCertificates(kube::Client& client) {
  try {
    return client.get({"v1", "Secret", "kube-system", "kubeadm-certs"});
  } catch (const kube::ApiError& error) {
    if (error.status() != 403) throw;
    log::info(1, "kubeadm-certs may not be read: {}", error.message()); // rights and Secret come and go together
    return std::nullopt;
  }
}

/// The files that were uploaded for control planes, decrypted; empty where there are none (any more).
std::map<std::string, Secret> decrypted(const Value& secret, const config::Cluster& cluster, const Secret& key) {
  const auto rawKey = fromHex(key.reveal());
  const auto* data = find(secret, "data");
  std::map<std::string, Secret> files;
  for (const auto& file : manifests::sharedFiles(cluster)) {
    if (file.path.empty() || !data || !data->contains(file.key)) continue;
    const auto sealed = fromBase64((*data)[file.key].get<std::string>());
    if (!sealed || sealed->empty()) continue;
    auto content = rawKey ? certs::unseal(*sealed, Secret(*rawKey)) : std::nullopt;
    if (!content)
      throw Error("the certificate key does not open the uploaded certificates: it is of another upload",
                  "upload them anew on a control plane, which prints the key: kubestrap init phase upload-certs --upload-certs");
    files.emplace(file.key, std::move(*content));
  }
  return files;
}

/// Everything that all control planes share has to be here or to come by download; a file of another cluster is not overwritten.
void checkSharedFiles(const config::Setup& setup, host::Host& host) {
  std::vector<Problem> problems;
  const auto& downloaded = setup.request.joining.sharedFiles;
  const std::string remedy = setup.request.certificateKey.empty()
                                 ? "copy it from another control plane, or join with --certificate-key"
                                 : "the cluster keeps no uploaded certificates (Secret kube-system/kubeadm-certs): they go after two hours. Upload "
                                   "them anew on a control plane: kubestrap init phase upload-certs --upload-certs";
  for (const auto& file : manifests::sharedFiles(setup.cluster)) {
    if (file.path.empty()) continue;
    const auto here = host.read(file.path);
    const auto come = downloaded.find(file.key);
    // An authority whose key is kept elsewhere is uploaded without it; then the leaves have to be here.
    const bool optional = file.key == "ca.key" || file.key == "front-proxy-ca.key" || file.key == "etcd-ca.key";
    if (come == downloaded.end()) {
      if (!here && !optional)
        problems.push_back({.where = file.path.string(), .message = "missing", .remedy = remedy});
    } else if (here && *here != come->second.reveal()) {
      problems.push_back({.where = file.path.string(), .message = "there is another one, of another cluster",
                          .remedy = "move it away: kubestrap overwrites no authority"});
    }
  }
  if (!problems.empty()) throw Problems(std::move(problems), ExitCode::refused);
}

void prepareControlPlane(config::Setup& setup, kube::Client& client, const std::optional<Value>& brought, host::Host& host) {
  if (!setup.cluster.controlPlaneEndpoint)
    throw Error("the cluster has no control plane endpoint: its certificates and kubeconfigs name one machine only",
                "give it one with controlPlaneEndpoint in ConfigMap kube-system/kubeadm-config, and a certificate for it on the first control plane",
                ExitCode::refused);
  refuseWhileJoinsWait(client);
  if (!setup.request.certificateKey.empty())
    if (const auto secret = brought ? brought : uploadedCertificates(client)) setup.request.joining.sharedFiles = decrypted(*secret, setup.cluster, setup.request.certificateKey);
  refuseLeftKeys(setup.cluster, host, "join");
  checkSharedFiles(setup, host);
  takeWishes(setup.cluster.pki, host);
  setup.node.externalAuthority = !setup.request.joining.sharedFiles.contains("ca.key") && !host.status(setup.cluster.pki.folder / "ca.key");
}

} // namespace

config::Setup learnAboutCluster(config::JoinRequest wanted, const std::optional<Value>& certificates, config::Facts& facts, plan::World& world, plan::Reporter& reporter,
                                std::vector<std::string>& warnings) {
  auto& host = world.host;
  const auto found = findCluster(wanted, world, reporter);
  const auto& cluster = found.cluster;
  if (found.clock.ahead) {
    const auto synchronised = facts.clock.synchronised;
    facts.clock = found.clock;
    facts.clock.synchronised = synchronised;
  }
  config::Setup setup{.node = std::move(wanted.node), .request = std::move(wanted.request)};
  const auto documents = plan::readClusterDocuments(cluster, setup.request.timeouts.kubernetesAPICall, world, reporter);
  setup.cluster = config::clusterFromDocuments(documents, warnings);
  auto& joining = setup.request.joining;
  joining.server = cluster.server;
  setup.request.apiServers = found.apiServers;
  joining.authorities = cluster.authorities;
  joining.token = cluster.token;
  joining.clientCertificate = cluster.clientCertificate;
  joining.clientKey = cluster.clientKey;
  joining.user = cluster.user;
  joining.kubeletHasCredentials = host.status(paths::kubeletConf).has_value();

  kube::Client client(world.http, cluster);
  lookAtPeers(facts, client);
  if (!joining.kubeletHasCredentials) refuseTakenName(client, setup.node.name);
  if (setup.node.controlPlane) prepareControlPlane(setup, client, certificates, host);
  return setup;
}

} // namespace kubestrap::cmd
