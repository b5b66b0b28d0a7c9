#include "cmd/node_look.hpp"

#include "kube/reading.hpp"
#include "manifests/node_op.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::cmd {

namespace {

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

} // namespace

std::string addressOf(const Value& node) {
  const auto addresses = kube::internalAddresses(node);
  return addresses.empty() ? "" : addresses.front();
}

phases::OtherNode otherNode(const Value& node, kube::Client& client, net::Transport& http) {
  phases::OtherNode seen{.name = stringAt(node, "metadata.name"), .controlPlane = kube::labelOf(node, "node-role.kubernetes.io/control-plane").has_value(),
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

} // namespace kubestrap::cmd
