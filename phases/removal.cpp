#include "phases/removal.hpp"

#include "manifests/front.hpp"
#include "manifests/guard.hpp"
#include "phases/node.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::phases::removal {

namespace {

using plan::Next;
using plan::Resources;
using plan::Stuck;
using plan::Waiting;

std::size_t quorum(std::size_t members) { return members / 2 + 1; }

/// Voters other than the node's.
std::vector<const MemberSeen*> others(const Seen& seen) {
  std::vector<const MemberSeen*> left;
  for (const auto& each : seen.members)
    if (each.peerUrl != seen.peerUrl && !each.learner) left.push_back(&each);
  return left;
}

std::string again(const Intent& intent) { return "kubestrap node remove " + intent.node; }

std::optional<Next> refused(const Intent& intent, const Seen& seen) {
  if (intent.node == intent.setup.node.name)
    return Stuck{fmt::format("{} is this machine", intent.node), fmt::format("kubestrap reset takes it out; or run {} on another control plane", again(intent))};
  if (seen.node && seen.node->controlPlane && seen.otherControlPlanes == 0)
    return Stuck{fmt::format("{} is the last control plane", intent.node), "kubestrap reset --cluster ends the cluster"};
  if (!intent.force && losesQuorum(seen))
    return Stuck{arithmetic(seen), "bring the others back first; where they never come back: kubestrap recover etcd --from-member, on one that is left; or --force"};
  return std::nullopt;
}

plan::Object lease(const Intent& intent, const std::string& nameSpace, const std::string& name) {
  return {.document = Value::object({{"apiVersion", "coordination.k8s.io/v1"}, {"kind", "Lease"},
                                     {"metadata", Value::object({{"name", name}, {"namespace", nameSpace}})}}),
          .mode = plan::ApplyMode::absent,
          .access = intent.nodes.access};
}

/// All that the cluster knows of the node. Its member goes first: while it counts, and is gone, the others are short of one.
Resources forgotten(const Intent& intent, const Seen& seen) {
  Resources all;
  if (!seen.peerUrl.empty()) {
    auto member = etcdMemberOf(intent.setup, intent.nodes.access, seen.peerUrl, plan::Standing::absent);
    member.name = intent.node;
    all.push_back(std::move(member));
  }
  if (seen.published) {
    config::Node gone;
    gone.name = intent.node;
    all.push_back(plan::Object{.document = manifests::apiServerWithdrawal(gone), .mode = plan::ApplyMode::mark, .access = intent.nodes.access});
  }
  if (!seen.node) return all;
  all.push_back(nodeDeleted(intent.nodes.access, intent.node));
  all.push_back(lease(intent, "kube-node-lease", intent.node));
  if (seen.node->controlPlane) all.push_back(lease(intent, "kube-system", manifests::guardLease(intent.node)));
  return all;
}

Next told(const Intent& intent, const OtherNode& node) {
  if (node.pod.empty()) {
    Resources begin;
    if (intent.drain) begin.push_back(plan::Task{plan::Drain{.access = intent.nodes.access, .node = node.name, .patience = *intent.drain}});
    begin.push_back(resetBegins(intent.nodes, node.name, {intent.force ? "--force" : "--yes"}));
    return plan::Step{fmt::format("{}: {}reset begins", node.name, intent.drain ? "pods move away, and its " : ""), std::move(begin)};
  }
  if (auto stuck = resetCannotBegin(node, again(intent))) return *std::move(stuck);
  if (!node.kubeletAnswers && !node.controlPlane) // a worker may not delete its own Node
    return plan::Step{fmt::format("{} has stopped, and is taken out of the cluster", node.name), {nodeDeleted(intent.nodes.access, node.name)}};
  return Waiting{fmt::format("{} has left the cluster", node.name), node.kubeletAnswers ? "its kubelet answers still" : "its Node is there still",
                 forReset, fmt::format("on {} itself: journalctl -u kubestrap-reset", node.name)};
}

} // namespace

std::string peerUrlOf(const std::string& node, const std::string& address, const std::vector<MemberSeen>& members) {
  const auto there = "//" + joinHostPort(address, 2380);
  const auto found = std::ranges::find_if(members, [&](const MemberSeen& each) { return each.name == node || (!address.empty() && each.peerUrl.ends_with(there)); });
  return found == members.end() ? "" : found->peerUrl;
}

bool losesQuorum(const Seen& seen) {
  if (seen.peerUrl.empty()) return false;
  const auto left = others(seen);
  const auto answer = static_cast<std::size_t>(std::ranges::count_if(left, [](const auto* each) { return each->answers; }));
  return answer < quorum(left.size());
}

std::string arithmetic(const Seen& seen) {
  if (seen.peerUrl.empty()) return {};
  std::vector<std::string> answer;
  const auto left = others(seen);
  for (const auto* each : left)
    if (each->answers) answer.push_back(each->name);
  const auto who = answer.empty() ? "none of them answers" : answer.size() == 1 ? answer[0] + " answers" : join(answer, " and ") + " answer";
  return fmt::format("without it {} member{} of etcd {} left, of which {} {} to answer: {}", left.size(), left.size() == 1 ? "" : "s",
                     left.size() == 1 ? "is" : "are", quorum(left.size()), quorum(left.size()) == 1 ? "has" : "have", who);
}

Next next(const Intent& intent, const Seen& seen) {
  if (!seen.node && seen.peerUrl.empty() && !seen.published) return plan::Done{};
  if (auto stuck = refused(intent, seen)) return *std::move(stuck);
  if (seen.node && seen.node->hears()) return told(intent, *seen.node);
  // Two that take the same member out stand in each other's way: without it the node's own API server answers no more, and its reset ends.
  if (!seen.node && seen.resets && !seen.peerUrl.empty())
    return Waiting{fmt::format("{} has taken its member out of etcd", intent.node), "etcd has it still", forReset,
                   fmt::format("on {} itself: journalctl -u kubestrap-reset; {} takes it out from here", intent.node, again(intent))};
  return plan::Step{fmt::format("{}: what the cluster knows of it is taken away", intent.node), forgotten(intent, seen)};
}

Seen assumed(Seen seen, const Next& done) {
  if (!std::holds_alternative<plan::Step>(done)) return seen;
  std::erase_if(seen.members, [&](const MemberSeen& each) { return each.peerUrl == seen.peerUrl; });
  seen.node.reset();
  seen.peerUrl.clear();
  seen.published = false;
  return seen;
}

} // namespace kubestrap::phases::removal
