// Moves pods off a node, as kubectl drain does: cordon, then evict what may move.
#include "plan/drain.hpp"

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

std::vector<Value> movable(kube::Client& client, const std::string& node) {
  auto pods = client.list("v1", "Pod", "");
  std::erase_if(pods, [&](const Value& pod) { return !mayMove(pod, node); });
  return pods;
}

bool isClosed(const Value& node) {
  const auto* closed = find(node, "spec.unschedulable");
  return closed && *closed == true;
}

void cordon(kube::Client& client, const Drain& wanted) {
  const kube::ObjectKey key{"v1", "Node", "", wanted.node};
  Value patch{{"spec", {{"unschedulable", true}}}};
  if (wanted.then == Drain::Node::returns) {
    const auto node = client.get(key);
    if (node && isClosed(*node)) return; // by an earlier run, which has marked it, or by somebody else, for whom it stays so
    patch["metadata"]["annotations"][std::string(closedHere)] = "closed";
  }
  client.mergePatch(key, patch);
}

enum class Opened { yes, asBefore };

Opened open(kube::Client& client, const std::string& name) {
  const kube::ObjectKey key{"v1", "Node", "", name};
  const auto node = client.get(key);
  if (!node || !kube::annotationOf(*node, closedHere)) return Opened::asBefore;
  Value patch{{"spec", {{"unschedulable", nullptr}}}};
  patch["metadata"]["annotations"][std::string(closedHere)] = nullptr;
  client.mergePatch(key, patch);
  return Opened::yes;
}

/// Told beside why the pods have not left.
void openAfterAll(const Drain& wanted, kube::Client& client, const Context& context) {
  std::string told;
  try {
    told = fmt::format("node {} {}", wanted.node, open(client, wanted.node) == Opened::yes ? "takes pods again; its kubelet is as it was" : "stays closed, as it had been before");
  } catch (const Interrupted&) {
    throw;
  } catch (const Error& error) {
    told = fmt::format("node {} stays closed for new pods ({}): kubectl uncordon {}", wanted.node, error.message(), wanted.node);
  }
  if (context.reporter) context.reporter->warning(context.phase, told);
}

/// After a failure the first thing to know is that pods may go nowhere.
void sayingWhetherClosed(const Uncordon& wanted, const std::function<void()>& body) {
  try {
    body();
  } catch (const Interrupted&) {
    throw;
  } catch (const Error& error) {
    if (!wanted.unlessInstalled) throw;
    throw Error(fmt::format("node {} may be closed for new pods ({}): run this again, or: kubectl uncordon {}", wanted.node, error.message(), wanted.node));
  }
}

void refuseAlone(const Drain& wanted, const std::vector<Value>& pods) {
  std::vector<std::string> alone;
  for (const auto& pod : pods)
    if (isAlone(pod)) alone.push_back(podName(pod));
  if (alone.empty()) return;
  throw Error(fmt::format("nobody makes these pods anew elsewhere when node {} is drained: {}", wanted.node, join(alone, ", ")),
              "delete them, or give --force, which ends them", ExitCode::refused);
}

/// "The disruption budget web needs 1 healthy pods and has 1 currently" of the answer's causes.
std::string whyRefused(const Value& answer) {
  const auto* causes = answer.is_object() ? find(answer, "details.causes") : nullptr;
  if (causes && causes->is_array() && !causes->empty())
    if (auto message = stringAt(causes->front(), "message"); !message.empty()) return message;
  return answer.is_object() ? stringAt(answer, "message", "not yet") : "not yet";
}

} // namespace

std::string podName(const Value& pod) { return stringAt(pod, "metadata.namespace") + "/" + stringAt(pod, "metadata.name"); }

bool mayMove(const Value& pod, const std::string& node) {
  const auto phase = stringAt(pod, "status.phase");
  return stringAt(pod, "spec.nodeName") == node && !isMirror(pod) && !ownedByDaemonSet(pod) && phase != "Succeeded" && phase != "Failed";
}

bool isAlone(const Value& pod) {
  const auto* owners = find(pod, "metadata.ownerReferences");
  return !owners || !owners->is_array() || std::ranges::none_of(*owners, [](const Value& owner) { return owner.value("controller", false); });
}

std::string evict(kube::Client& client, const Value& pod, Evicting how) {
  const auto nameSpace = stringAt(pod, "metadata.namespace"), name = stringAt(pod, "metadata.name");
  Value eviction{{"apiVersion", "policy/v1"}, {"kind", "Eviction"}, {"metadata", {{"name", name}, {"namespace", nameSpace}}}};
  if (how == Evicting::asksOnly) eviction["deleteOptions"] = {{"dryRun", Value::array({"All"})}};
  const auto response = client.raw("POST", fmt::format("/api/v1/namespaces/{}/pods/{}/eviction", nameSpace, name), eviction.dump(), "application/json");
  const auto answer = Value::parse(response.body, nullptr, false);
  // 429: a disruption budget does not allow it just now; the next look asks again. 404: it is gone.
  if (response.status >= 400 && response.status != 429 && response.status != 404)
    throw Error(fmt::format("pod {}/{} may not be evicted: the API server answered {}: {}", nameSpace, name, response.status, whyRefused(answer)));
  // Of a pod with two budgets the API server tells a failure with status 201.
  const bool fails = response.status < 300 && answer.is_object() && stringAt(answer, "kind") == "Status" && stringAt(answer, "status") == "Failure";
  return response.status == 429 || fails ? whyRefused(answer) : "";
}

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
  if (wanted.alone == Drain::Alone::refused) refuseAlone(wanted, movable(client, wanted.node));
  cordon(client, wanted);
  const Condition moved{.what = fmt::format("no pod that may move is on node {}", wanted.node), .probe = ApiServerAnswers{wanted.access},
                        .patience = wanted.patience,
                        .hint = "a disruption budget may forbid it: kubectl get pdb -A"};
  const auto lack = [&]() -> std::optional<std::string> {
    const auto pods = movable(client, wanted.node);
    if (pods.empty()) return std::nullopt;
    std::vector<std::string> names;
    for (const auto& pod : pods) {
      const auto why = stringAt(pod, "metadata.deletionTimestamp").empty() ? evict(client, pod) : "";
      names.push_back(why.empty() ? podName(pod) : fmt::format("{} ({})", podName(pod), why));
    }
    return fmt::format("{} still on it: {}", pods.size(), join(names, ", "));
  };
  try {
    await(moved, change, context, lack);
  } catch (const Interrupted&) {
    throw;
  } catch (const Error&) {
    if (wanted.then == Drain::Node::returns) openAfterAll(wanted, client, context);
    throw;
  }
}

Change needed(const Uncordon& wanted, const Context& context) {
  Change change{.subject = subject(Task{wanted})};
  const auto look = [&] {
    const auto node = connect(wanted.access, context).get({"v1", "Node", "", wanted.node});
    if (!node) return;
    const bool marked = kube::annotationOf(*node, closedHere).has_value();
    if (isClosed(*node)) change.reason = marked ? "takes none now" : "was closed before, and stays so";
    if (marked) change.verb = Verb::update;
  };
  sayingWhetherClosed(wanted, [&] { withPatience(context, change.subject, look); });
  const auto& unless = wanted.unlessInstalled;
  if (unless && change.changes() && isInstalled(unless->from, unless->to, context.world.host))
    throw Error(fmt::format("node {} takes no new pods, since its kubelet was replaced and is not well: mend it and run this again, or: kubectl uncordon {}", wanted.node, wanted.node));
  return change;
}

void perform(const Uncordon& wanted, const Change&, const Context& context) {
  sayingWhetherClosed(wanted, [&] {
    withPatience(context, wanted.node, [&] {
      auto client = connect(wanted.access, context);
      open(client, wanted.node);
    });
  });
}

} // namespace kubestrap::plan
