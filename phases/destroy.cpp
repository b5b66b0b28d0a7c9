#include "phases/destroy.hpp"

#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::phases::destroy {

namespace {

using plan::Next;
using plan::Resources;
using plan::Waiting;

constexpr auto onTheMachine = "on the machine itself: journalctl -u kubestrap-reset; kubestrap reset --cluster goes on without it once its Node is deleted";

bool isOther(const Intent& intent, const OtherNode& node) { return node.name != intent.self; }
bool isAbsent(const Intent& intent, const OtherNode& node) { return isOther(intent, node) && !node.hears(); }

/// Members of machines that are gone count all the same: when the others leave, etcd would stop before the work is done.
std::optional<plan::Step> takeOut(const Intent& intent, const Seen& seen) {
  for (const auto& node : seen.nodes) {
    if (!isAbsent(intent, node) || node.etcdPeerUrl.empty()) continue;
    auto member = intent.leaving;
    member.name = node.name;
    member.peerUrl = node.etcdPeerUrl;
    return plan::Step{fmt::format("etcd is left without {}", node.name), {std::move(member)}};
  }
  return std::nullopt;
}

std::string namesOf(const std::vector<const OtherNode*>& nodes) {
  std::vector<std::string> names;
  for (const auto* each : nodes) names.push_back(each->name);
  return join(names, ", ");
}

/// Those of a step: all workers, or one control plane.
std::vector<const OtherNode*> turn(const Intent& intent, const std::vector<OtherNode>& nodes) {
  std::vector<const OtherNode*> workers;
  for (const auto& each : nodes)
    if (isOther(intent, each) && !each.controlPlane && each.hears()) workers.push_back(&each);
  if (!workers.empty()) return workers;
  for (const auto& each : nodes)
    if (isOther(intent, each) && each.hears()) return {&each};
  return {};
}

} // namespace

std::vector<std::string> absent(const Intent& intent, const Seen& seen) {
  std::vector<std::string> names;
  for (const auto& each : seen.nodes)
    if (isAbsent(intent, each)) names.push_back(each.name);
  return names;
}

Next next(const Intent& intent, const Seen& seen) {
  if (const auto names = absent(intent, seen); !names.empty() && !intent.force)
    return plan::Stuck{fmt::format("not Ready, so that nobody can tell them to go: {}", join(names, ", ")),
                       "bring them back, or leave them as they are with --force and run kubestrap reset there later"};
  if (auto step = takeOut(intent, seen)) return *std::move(step);
  // The last one needs its quorum until then: a member goes after its Node.
  const auto controlPlanes = static_cast<std::size_t>(std::ranges::count_if(seen.nodes, [&](const OtherNode& each) { return each.controlPlane && !isAbsent(intent, each); }));
  if (seen.etcdMembers > controlPlanes)
    return Waiting{fmt::format("etcd has {} member{}", controlPlanes, controlPlanes == 1 ? "" : "s"), fmt::format("it has {}", seen.etcdMembers), forReset, onTheMachine};
  const auto now = turn(intent, seen.nodes);
  if (now.empty()) return plan::Done{};
  Resources begins, ends;
  for (const auto* each : now) {
    if (each->pod.empty()) begins.push_back(resetBegins(intent.nodes, each->name, {"--force"}));
    else if (!each->kubeletAnswers) ends.push_back(nodeDeleted(intent.nodes.access, each->name)); // a worker may not delete its own
    else if (auto stuck = resetCannotBegin(*each, "kubestrap reset --cluster")) return *std::move(stuck);
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
      if (const auto* member = std::get_if<plan::EtcdMember>(&resource)) {
        for (auto& node : seen.nodes)
          if (node.name == member->name) node.etcdPeerUrl.clear();
        continue;
      }
      const auto& object = std::get<plan::Object>(resource);
      const auto name = stringAt(object.document, object.mode == plan::ApplyMode::absent ? "metadata.name" : "spec.nodeName");
      std::erase_if(seen.nodes, [&](const OtherNode& each) { return each.name == name; });
      seen.etcdMembers = 0;
    }
  return seen;
}

} // namespace kubestrap::phases::destroy
