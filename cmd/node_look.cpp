#include "cmd/node_look.hpp"

#include "cmd/etcd_access.hpp"
#include "config/assemble.hpp"
#include "etcd/health.hpp"
#include "kube/reading.hpp"
#include "manifests/front.hpp"
#include "manifests/node_op.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::cmd {

namespace {

namespace removal = phases::removal;
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

std::string troubleOf(const Value& pod) {
  const auto* containers = find(pod, "status.containerStatuses");
  if (!containers) return {};
  for (const auto& container : *containers) {
    const auto reason = stringAt(container, "state.waiting.reason");
    if (reason.starts_with("Err") || reason.ends_with("BackOff")) return fmt::format("{}: {}", reason, stringAt(container, "state.waiting.message"));
  }
  return {};
}

std::vector<removal::MemberSeen> membersOf(ControlPlane& cluster, Machine& machine) {
  std::vector<removal::MemberSeen> members;
  if (!cluster.setup.cluster.etcd.isLocal()) return members;
  auto etcd = connectEtcd(machine, cluster.setup.cluster, &cluster.client);
  for (const auto& each : etcd::look(etcd))
    members.push_back({.name = each.member.name, .peerUrl = each.member.peerUrls.empty() ? "" : each.member.peerUrls.front(), .answers = each.status.has_value(),
                       .learner = each.member.learner});
  return members;
}

} // namespace

std::string addressOf(const Value& node) {
  const auto addresses = kube::internalAddresses(node);
  return addresses.empty() ? "" : addresses.front();
}

phases::OtherNode otherNode(const Value& node, kube::Client& client, net::Transport& http) {
  phases::OtherNode seen{.name = stringAt(node, "metadata.name"), .controlPlane = kube::isControlPlane(node),
                         .ready = kube::isReady(node), .pod = {}, .trouble = {}};
  if (const auto pod = client.get({"v1", "Pod", "kube-system", manifests::nodeOpName("reset", seen.name)})) {
    seen.pod = stringAt(*pod, "status.phase", "Pending");
    seen.trouble = troubleOf(*pod);
    seen.kubeletAnswers = answers(addressOf(node), http);
  }
  return seen;
}

std::vector<phases::OtherNode> otherNodes(kube::Client& client, net::Transport& http) {
  std::vector<phases::OtherNode> nodes;
  for (const auto& node : client.list("v1", "Node", "")) nodes.push_back(otherNode(node, client, http));
  std::ranges::sort(nodes, {}, &phases::OtherNode::name);
  return nodes;
}

removal::Seen lookForRemoval(const std::string& name, ControlPlane& cluster, Machine& machine) {
  removal::Seen seen;
  std::string address;
  if (const auto node = cluster.client.get({"v1", "Node", "", name})) {
    seen.node = otherNode(*node, cluster.client, machine.http());
    address = addressOf(*node);
  }
  seen.members = membersOf(cluster, machine);
  seen.peerUrl = removal::peerUrlOf(name, address, seen.members);
  const auto published = cluster.client.get({"v1", "ConfigMap", "kube-public", "cluster-info"});
  const auto* data = published ? find(*published, "data") : nullptr;
  seen.published = data && data->contains(fmt::format("{}{}", config::apiServerNotice, name)); // its name has a dot, which is no path
  for (const auto& node : cluster.client.list("v1", "Node", "", std::string(kube::controlPlaneLabel)))
    if (stringAt(node, "metadata.name") != name) ++seen.otherControlPlanes;
  return seen;
}

} // namespace kubestrap::cmd
