#include "phases/destroy.hpp"

#include "manifests/node_op.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::phases::destroy {

namespace {

using plan::Next;
using plan::Resources;
using plan::Waiting;

constexpr Duration forReset = std::chrono::minutes(3);
constexpr std::string_view operation = "reset";

constexpr auto onTheMachine = "on the machine itself: journalctl -u kubestrap-reset; kubestrap reset --cluster goes on without it once its Node is deleted";

/// It goes on when the pod that began it, and the kubelet, are gone.
const std::vector<std::string> command{"systemd-run", "--unit=kubestrap-reset", "--collect", "--no-block", "kubestrap", "reset", "--force"};

bool isOther(const Intent& intent, const NodeSeen& node) { return node.name != intent.self; }

plan::Object begin(const Intent& intent, const NodeSeen& node) {
  return {.document = manifests::nodeOpPod(intent.image, node.name, std::string(operation), command), .mode = plan::ApplyMode::createOnly, .access = intent.access};
}

plan::Object gone(const Intent& intent, const NodeSeen& node) {
  return {.document = Value::object({{"apiVersion", "v1"}, {"kind", "Node"}, {"metadata", Value::object({{"name", node.name}})}}),
          .mode = plan::ApplyMode::absent,
          .access = intent.access};
}

std::string namesOf(const std::vector<const NodeSeen*>& nodes) {
  std::vector<std::string> names;
  for (const auto* each : nodes) names.push_back(each->name);
  return join(names, ", ");
}

/// Those of a step: all workers, or one control plane.
std::vector<const NodeSeen*> turn(const Intent& intent, const std::vector<NodeSeen>& nodes) {
  std::vector<const NodeSeen*> workers;
  for (const auto& each : nodes)
    if (isOther(intent, each) && !each.controlPlane && (each.ready || !each.pod.empty())) workers.push_back(&each);
  if (!workers.empty()) return workers;
  for (const auto& each : nodes)
    if (isOther(intent, each) && (each.ready || !each.pod.empty())) return {&each};
  return {};
}

std::optional<Next> cannotBegin(const NodeSeen& node) {
  if (node.trouble.empty() && node.pod != "Failed") return std::nullopt;
  return plan::Stuck{fmt::format("the reset of {} does not begin: {}", node.name, node.trouble.empty() ? "its pod failed" : node.trouble),
                     fmt::format("look at: kubectl -n kube-system logs {}; or run kubestrap reset on {} itself, and then kubestrap reset --cluster again",
                                 manifests::nodeOpName(std::string(operation), node.name), node.name)};
}

} // namespace

std::vector<std::string> absent(const Intent& intent, const Seen& seen) {
  std::vector<std::string> names;
  for (const auto& each : seen.nodes)
    if (isOther(intent, each) && !each.ready && each.pod.empty()) names.push_back(each.name);
  return names;
}

Next next(const Intent& intent, const Seen& seen) {
  if (const auto names = absent(intent, seen); !names.empty() && !intent.force)
    return plan::Stuck{fmt::format("not Ready, so that nobody can tell them to go: {}", join(names, ", ")),
                       "bring them back, or leave them as they are with --force and run kubestrap reset there later"};
  // The last one needs its quorum until then: a member goes after its Node.
  const auto controlPlanes = static_cast<std::size_t>(std::ranges::count_if(seen.nodes, &NodeSeen::controlPlane));
  if (seen.etcdMembers > controlPlanes)
    return Waiting{fmt::format("etcd has {} member{}", controlPlanes, controlPlanes == 1 ? "" : "s"), fmt::format("it has {}", seen.etcdMembers), forReset, onTheMachine};
  const auto now = turn(intent, seen.nodes);
  if (now.empty()) return plan::Done{};
  Resources begins, ends;
  for (const auto* each : now) {
    if (each->pod.empty()) begins.push_back(begin(intent, *each));
    else if (!each->kubeletAnswers) ends.push_back(gone(intent, *each)); // a worker may not delete its own
    else if (auto stuck = cannotBegin(*each)) return *std::move(stuck);
  }
  if (!begins.empty()) return plan::Step{fmt::format("{}: reset begins", namesOf(now)), std::move(begins)};
  const bool leave = now.front()->controlPlane; // by themselves, with their member of etcd
  if (!ends.empty() && !leave) return plan::Step{"workers that have stopped are taken out of the cluster", std::move(ends)};
  return Waiting{fmt::format("{} has left the cluster", namesOf(now)), leave ? "its Node is there still" : "its kubelet answers still", forReset,
                 onTheMachine};
}

Seen assumed(Seen seen, const Next& done) {
  if (const auto* step = std::get_if<plan::Step>(&done))
    for (const auto& resource : step->work) {
      const auto& object = std::get<plan::Object>(resource);
      const auto name = stringAt(object.document, object.mode == plan::ApplyMode::absent ? "metadata.name" : "spec.nodeName");
      std::erase_if(seen.nodes, [&](const NodeSeen& each) { return each.name == name; });
      seen.etcdMembers = 0;
    }
  return seen;
}

} // namespace kubestrap::phases::destroy
