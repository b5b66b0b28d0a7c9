// Moves pods off a node, as kubectl drain does: cordon, then evict what may move.
#include "kube/reading.hpp"
#include "plan/kinds.hpp"

#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::plan {

namespace {

bool ownedByDaemonSet(const Value& pod) {
  const auto* owners = find(pod, "metadata.ownerReferences");
  return owners && owners->is_array() &&
         std::any_of(owners->begin(), owners->end(), [](const Value& owner) { return stringAt(owner, "kind") == "DaemonSet"; });
}

bool isMirror(const Value& pod) { return kube::annotationOf(pod, "kubernetes.io/config.mirror").has_value(); }

bool mayMove(const Value& pod, const std::string& node) {
  const auto phase = stringAt(pod, "status.phase");
  return stringAt(pod, "spec.nodeName") == node && !isMirror(pod) && !ownedByDaemonSet(pod) && phase != "Succeeded" && phase != "Failed";
}

std::vector<Value> movable(kube::Client& client, const std::string& node) {
  auto pods = client.list("v1", "Pod", "");
  std::erase_if(pods, [&](const Value& pod) { return !mayMove(pod, node); });
  return pods;
}

std::string nameOf(const Value& pod) { return stringAt(pod, "metadata.namespace") + "/" + stringAt(pod, "metadata.name"); }

void cordon(kube::Client& client, const std::string& node) {
  client.mergePatch({"v1", "Node", "", node}, {{"spec", {{"unschedulable", true}}}});
}

void evict(kube::Client& client, const Value& pod) {
  const auto nameSpace = stringAt(pod, "metadata.namespace"), name = stringAt(pod, "metadata.name");
  const Value eviction{{"apiVersion", "policy/v1"}, {"kind", "Eviction"}, {"metadata", {{"name", name}, {"namespace", nameSpace}}}};
  const auto response = client.raw("POST", fmt::format("/api/v1/namespaces/{}/pods/{}/eviction", nameSpace, name), eviction.dump(), "application/json");
  // 429: a disruption budget does not allow it just now; the next look asks again. 404: it is gone.
  if (response.status >= 400 && response.status != 429 && response.status != 404)
    throw Error(fmt::format("pod {}/{} may not be evicted: the API server answered {}", nameSpace, name, response.status));
}

} // namespace

Change needed(const Drain& wanted, const Context& context) {
  const auto name = subject(Task{wanted});
  std::vector<Value> pods;
  withPatience(context, name, [&] {
    auto client = connect(wanted.access, context);
    pods = movable(client, wanted.node);
  });
  if (pods.empty()) return {.verb = Verb::keep, .subject = name};
  return {.verb = Verb::remove, .subject = name, .reason = fmt::format("{} on it", pods.size())};
}

void perform(const Drain& wanted, const Change& change, const Context& context) {
  auto client = connect(wanted.access, context);
  cordon(client, wanted.node);
  const Condition moved{.what = fmt::format("no pod that may move is on node {}", wanted.node), .probe = ApiServerAnswers{wanted.access},
                        .patience = wanted.patience,
                        .hint = "a disruption budget may forbid it: kubectl get pdb -A; without --drain the pods end with the node"};
  await(moved, change, context, [&]() -> std::optional<std::string> {
    const auto pods = movable(client, wanted.node);
    if (pods.empty()) return std::nullopt;
    std::vector<std::string> names;
    for (const auto& pod : pods) {
      if (stringAt(pod, "metadata.deletionTimestamp").empty()) evict(client, pod);
      names.push_back(nameOf(pod));
    }
    return fmt::format("{} still on it: {}", pods.size(), join(names, ", "));
  });
}

} // namespace kubestrap::plan
