// What a node's cluster is like without it, and who can be asked to let it go.
#include "plan/leaving.hpp"

#include "config/assemble.hpp"
#include "kube/reading.hpp"
#include "plan/kinds.hpp"
#include "support/log.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

namespace kubestrap::plan {

namespace {

using config::Setup;
namespace paths = config::paths;

constexpr std::string_view serverAnnotation = "kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint";

enum class Voice { ready, unready, silent };

struct Said {
  Voice voice = Voice::ready;
  std::string why; ///< nothing was heard
};

Said ask(const kube::Kubeconfig& kubeconfig, const std::string& server, World& world) {
  try {
    return {kube::Client(world.http, kubeconfig, server).raw("GET", "/readyz").status == 200 ? Voice::ready : Voice::unready, {}};
  } catch (const Interrupted&) {
    throw;
  } catch (const Error& error) {
    log::info(1, "{} does not answer: {}", server.empty() ? kubeconfig.server : server, error.message());
    return {Voice::silent, error.message()};
  }
}

bool answers(const kube::Kubeconfig& kubeconfig, const std::string& server, World& world) {
  return ask(kubeconfig, server, world).voice == Voice::ready;
}

/// "https://10.0.0.12:6443": the control planes that etcd's manifest began with, at this one's port.
std::vector<std::string> serversBesideEtcd(const std::string& own, host::Host& host) {
  constexpr std::string_view flag = "--initial-cluster=", scheme = "https://";
  std::vector<std::string> servers;
  const auto port = own.rfind(':');
  for (const auto& line : split(host.read(paths::manifests / "etcd.yaml").value_or(""), '\n')) {
    const auto at = line.find(flag);
    if (at == std::string::npos || port == std::string::npos) continue;
    for (const auto& entry : split(trim(std::string_view(line).substr(at + flag.size())), ',')) {
      const auto begin = entry.find(scheme), end = entry.rfind(':');
      if (begin != std::string::npos && end > begin + scheme.size()) servers.push_back(entry.substr(begin, end - begin) + own.substr(port));
    }
  }
  return servers;
}

/// Other servers than the kubeconfig's own: a control plane that has not come up, or has broken down, is no help in leaving.
std::vector<std::string> serversElsewhere(const kube::Kubeconfig& kubeconfig, host::Host& host) {
  auto servers = serversBesideEtcd(kubeconfig.server, host);
  for (const auto& path : {paths::kubeletConf, paths::bootstrapKubeletConf}) {
    const auto text = host.read(path);
    if (!text) continue;
    try {
      servers.push_back(kube::parseKubeconfig(*text, path.string()).server);
    } catch (const Error& error) {
      log::info(1, "{}", error.message());
    }
  }
  std::erase(servers, kubeconfig.server);
  return servers;
}

} // namespace

std::map<std::string, std::string> apiServers(kube::Client& client) {
  std::map<std::string, std::string> servers;
  for (const auto& pod : client.list("v1", "Pod", "kube-system", "component=kube-apiserver,tier=control-plane"))
    if (const auto endpoint = kube::annotationOf(pod, serverAnnotation)) servers[stringAt(pod, "spec.nodeName")] = "https://" + *endpoint;
  // Pods of the layout hosted do not say where they serve.
  const auto info = client.get({"v1", "ConfigMap", "kube-public", "cluster-info"});
  const auto* notices = info ? find(*info, "data") : nullptr;
  if (notices && notices->is_object())
    for (const auto& [node, endpoint] : config::apiServersIn(notices->get<std::map<std::string, std::string>>())) servers.try_emplace(node, endpoint.url());
  return servers;
}

std::string answeringServer(const kube::Kubeconfig& kubeconfig, World& world) {
  const auto own = ask(kubeconfig, {}, world);
  if (own.voice == Voice::ready) return {};
  for (const auto& server : serversElsewhere(kubeconfig, world.host))
    if (answers(kubeconfig, server, world)) return server;
  if (own.voice == Voice::silent) throw Error(own.why);
  return {};
}

namespace {

/// An API server of another control plane that answers: this node's own ends with its etcd member.
std::string otherServer(kube::Client& client, const kube::Kubeconfig& kubeconfig, const std::string& node, World& world) {
  for (const auto& [other, server] : apiServers(client))
    if (other != node && answers(kubeconfig, server, world)) return server;
  return {};
}

bool isHealthy(etcd::Client& client, const etcd::Member& member) {
  for (const auto& url : member.clientUrls) {
    try {
      if (client.status(url).leaderId != 0) return true;
    } catch (const Interrupted&) {
      throw;
    } catch (const Error& error) {
      log::info(1, "etcd member {}: {}", member.name, error.message());
    }
  }
  return false;
}

/// What etcd would be without this node's member.
void lookAtEtcd(Setup& setup, const Context& context) {
  auto& known = setup.request.resetting;
  const auto& folder = setup.cluster.pki.folder;
  auto client = connect(EtcdAccess{.api = {*known.kubeconfig, known.server},
                                   .authority = folder / "etcd/ca.crt",
                                   .certificate = folder / "etcd/healthcheck-client.crt",
                                   .key = folder / "etcd/healthcheck-client.key"},
                        context);
  std::size_t voters = 0, healthy = 0;
  bool votes = false;
  std::vector<std::string> down;
  for (const auto& member : client.members()) {
    const bool own = member.hasPeerUrl(known.etcdPeerUrl);
    if (own && !member.learner) votes = true;
    if (own || member.learner) continue;
    ++voters;
    if (isHealthy(client, member)) ++healthy;
    else down.push_back(member.name.empty() ? member.hexId() : member.name);
  }
  if (voters == 0) known.etcdPeerUrl.clear(); // the last: nobody is left who could take it out
  else if (votes && healthy < voters / 2 + 1)
    known.quorumLoss = fmt::format("without {} etcd has {} members, of which {} {} not answer: it would stop, and the cluster with it", setup.node.name,
                                   voters, join(down, ", "), down.size() == 1 ? "does" : "do");
}

} // namespace

void lookAtClusterLeft(Setup& setup, World& world) {
  auto& known = setup.request.resetting;
  if (!known.kubeconfig) {
    known.unreachable = "there is no kubeconfig on this machine";
    return;
  }
  // A worker's own credentials may read next to nothing, and change nothing but its own status.
  if (*known.kubeconfig == paths::kubeletConf) return;
  try {
    const Context context{.world = world};
    const auto text = world.host.read(*known.kubeconfig);
    if (!text) throw Error(known.kubeconfig->string() + " is absent");
    const auto kubeconfig = kube::parseKubeconfig(*text, known.kubeconfig->string());
    known.server = answeringServer(kubeconfig, world);
    kube::Client client(world.http, kubeconfig, known.server);
    known.mayDeleteNode = true;
    for (const auto& node : client.list("v1", "Node", ""))
      if (kube::isControlPlane(node) && stringAt(node, "metadata.name") != setup.node.name) ++known.otherControlPlanes;
    if (!setup.node.controlPlane || known.otherControlPlanes == 0) return;
    if (auto other = otherServer(client, kubeconfig, setup.node.name, world); !other.empty()) known.server = std::move(other);
    if (known.etcdPeerUrl.empty()) return;
    try {
      lookAtEtcd(setup, context);
    } catch (const Interrupted&) {
      throw;
    } catch (const NotYet& error) {
      // An earlier run has come further than this, or the member never began.
      log::warn(fmt::format("whether etcd still has a member of this node is not known: {}", error.message()));
      known.etcdPeerUrl.clear();
    } catch (const Error& error) {
      log::warn(fmt::format("whether etcd can do without this node is not known: {}", error.message()));
    }
  } catch (const Interrupted&) {
    throw;
  } catch (const Error& error) {
    known.unreachable = error.message();
  }
}

} // namespace kubestrap::plan
