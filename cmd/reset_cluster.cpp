#include "cmd/reset_cluster.hpp"

#include "cmd/confirm.hpp"
#include "cmd/operation.hpp"
#include "cmd/output.hpp"
#include "cmd/roll_look.hpp"
#include "cmd/workflow.hpp"
#include "kube/reading.hpp"
#include "manifests/node_op.hpp"
#include "phases/destroy.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::cmd {

namespace {

using phases::destroy::Intent;
using phases::destroy::NodeSeen;
using phases::destroy::Seen;

constexpr int kubeletPort = 10250;

bool answers(const std::string& address, net::Transport& http) {
  net::Request request{.url = fmt::format("https://{}/healthz", joinHostPort(address, kubeletPort)), .timeout = std::chrono::seconds(3)};
  request.tls.verify = net::TlsIdentity::Verify::no;
  try {
    (void)http.perform(request); // also an answer that it must not be asked is one
    return true;
  } catch (const net::TransportError& error) {
    return error.kind() != net::TransportError::Kind::refused;
  }
}

std::string addressOf(const Value& node) {
  const auto* addresses = find(node, "status.addresses");
  if (addresses)
    for (const auto& each : *addresses)
      if (stringAt(each, "type") == "InternalIP") return stringAt(each, "address");
  return {};
}

std::string troubleOf(const Value& pod) {
  const auto* containers = find(pod, "status.containerStatuses");
  if (!containers) return {};
  for (const auto& container : *containers) {
    const auto reason = stringAt(container, "state.waiting.reason");
    if (reason.starts_with("Err") || reason.ends_with("BackOff")) return fmt::format("{}: {}", reason, stringAt(container, "state.waiting.message"));
  }
  return {};
}

std::vector<NodeSeen> nodesOf(kube::Client& client, net::Transport& http) {
  std::vector<NodeSeen> nodes;
  for (const auto& node : client.list("v1", "Node", "")) {
    NodeSeen seen{.name = stringAt(node, "metadata.name"), .controlPlane = kube::labelOf(node, "node-role.kubernetes.io/control-plane").has_value(),
                  .ready = kube::isReady(node), .pod = {}, .trouble = {}};
    const auto pod = client.get({"v1", "Pod", "kube-system", manifests::nodeOpName("reset", seen.name)});
    if (pod) {
      seen.pod = stringAt(*pod, "status.phase", "Pending");
      seen.trouble = troubleOf(*pod);
      seen.kubeletAnswers = answers(addressOf(node), http);
    }
    nodes.push_back(std::move(seen));
  }
  std::ranges::sort(nodes, {}, &NodeSeen::name);
  return nodes;
}

Seen look(ControlPlane& cluster, Machine& machine) {
  const auto& known = cluster.setup.cluster;
  return {.nodes = nodesOf(cluster.client, machine.http()), .etcdMembers = known.etcd.isLocal() ? lookAtEtcd(machine, known, cluster.client).size() : 0};
}

void confirm(const std::vector<NodeSeen>& nodes, const std::vector<std::string>& absent) {
  std::vector<std::string> names;
  for (const auto& each : nodes) names.push_back(each.name);
  fmt::print(stderr, "This ends the cluster: {} are made bare machines again, and all that is in etcd is gone.\n", join(names, ", "));
  if (!absent.empty()) fmt::print(stderr, "Not Ready, and left as they are: {}\n", join(absent, ", "));
  confirmOrEnd();
}

} // namespace

void resetOtherNodes(const ClusterResetOptions& options, Machine& machine) {
  auto cluster = ownControlPlane(options.kubeconfig, machine);
  lookAtFront(cluster.setup, machine.host()); // which image is kubestrap's own
  const Intent intent{.self = cluster.setup.node.name, .force = options.force, .access = cluster.access, .image = cluster.setup.request.ownImage};
  auto seen = look(cluster, machine);
  if (options.dryRun) {
    planOperation([&] { return phases::destroy::next(intent, seen); }, [&](const plan::Next& done) { seen = phases::destroy::assumed(std::move(seen), done); });
    return;
  }
  if (!options.yes && !options.force) confirm(seen.nodes, phases::destroy::absent(intent, seen));
  performOperation({.name = "reset", .access = cluster.access, .holder = intent.self,
                    .next = [&] { return phases::destroy::next(intent, look(cluster, machine)); }},
                   machine, "all other nodes have left");
}

} // namespace kubestrap::cmd
