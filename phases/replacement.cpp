#include "phases/replacement.hpp"

#include "support/error.hpp"
#include "support/yaml.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::phases::replacement {

namespace {

using plan::Next;
using plan::Resources;
using plan::Waiting;

constexpr auto becomesWell = std::chrono::minutes(5);
constexpr std::string_view dataKey = "node";

std::string domainOf(const std::string& name) { return name.substr(0, name.find('/')); }

bool isBelow(std::string_view domain, std::string_view of) { return domain == of || (domain.ends_with(of) && domain[domain.size() - of.size() - 1] == '.'); }

/// What the kubelet, the cloud's or the node controller writes, and kubestrap by itself.
bool isGiven(const std::string& label) {
  const auto domain = domainOf(label);
  if (domain == label || domain == "topology.kubernetes.io" || domain == "node-restriction.kubernetes.io") return true;
  if (label.starts_with("node-role.kubernetes.io/")) return label != "node-role.kubernetes.io/control-plane";
  return !isBelow(domain, "kubernetes.io") && !isBelow(domain, "k8s.io") && domain != "kubestrap.io";
}

bool isGivenTaint(const Value& taint) {
  const auto domain = domainOf(stringAt(taint, "key"));
  return domain != "node.kubernetes.io" && domain != "node.cloudprovider.kubernetes.io";
}

bool sameTaint(const Value& one, const Value& other) { return stringAt(one, "key") == stringAt(other, "key") && stringAt(one, "effect") == stringAt(other, "effect"); }

/// As a merge of it would have to be; null: it has all.
Value lacking(const Kept& kept, const SuccessorSeen& successor, const std::string& name) {
  auto labels = Value::object();
  for (const auto& [key, value] : kept.labels)
    if (const auto has = successor.labels.find(key); has == successor.labels.end() || has->second != value) labels[key] = value;
  auto taints = successor.taints;
  for (const auto& taint : kept.taints)
    if (std::ranges::none_of(taints, [&](const auto& each) { return sameTaint(each, taint); })) taints.push_back(taint);
  if (labels.empty() && taints.size() == successor.taints.size()) return {};
  Value document = Value::object({{"apiVersion", "v1"}, {"kind", "Node"}, {"metadata", Value::object({{"name", name}})}});
  if (!labels.empty()) document["metadata"]["labels"] = std::move(labels);
  if (taints.size() != successor.taints.size()) document["spec"] = Value::object({{"taints", taints}});
  return document;
}

plan::Object object(const Intent& intent, Value document, plan::ApplyMode mode) {
  return {.document = std::move(document), .mode = mode, .access = intent.removal.nodes.access};
}

/// The node that goes is there still, and not its successor of the same name.
bool isThere(const Seen& seen) { return seen.node && (!seen.kept || stringAt(*seen.node, "metadata.uid") == seen.kept->uid); }

bool isGone(const Seen& seen) { return !isThere(seen) && seen.old.peerUrl.empty(); }

bool hears(const Seen& seen) { return seen.old.node && seen.old.node->hears(); }

bool isWell(const Seen& seen) { return seen.successor && seen.successor->ready && (!seen.kept->controlPlane || !seen.hasEtcd || seen.successor->votes); }

std::string notWell(const Seen& seen) {
  if (!seen.successor->ready) return "it is not Ready";
  return "its member of etcd has no vote yet";
}

} // namespace

Kept keptOf(const Value& node, const std::string& successor) {
  Kept kept{.uid = stringAt(node, "metadata.uid"), .successor = successor, .labels = {}, .taints = {}};
  if (const auto* labels = find(node, "metadata.labels"))
    for (const auto& [key, value] : labels->items()) {
      if (key == "node-role.kubernetes.io/control-plane") kept.controlPlane = true;
      if (isGiven(key)) kept.labels[key] = value.get<std::string>();
    }
  if (const auto* taints = find(node, "spec.taints"))
    std::ranges::copy_if(*taints, std::back_inserter(kept.taints), isGivenTaint);
  for (auto& taint : kept.taints) taint.erase("timeAdded");
  return kept;
}

std::string keptName(const std::string& node) { return "kubestrap-replacement-" + node; }

Value keptDocument(const std::string& node, const Kept& kept) {
  const Value content = {{"uid", kept.uid}, {"successor", kept.successor}, {"controlPlane", kept.controlPlane}, {"labels", kept.labels}, {"taints", kept.taints}};
  return Value::object({{"apiVersion", "v1"},
                        {"kind", "ConfigMap"},
                        {"metadata", Value::object({{"name", keptName(node)}, {"namespace", "kube-system"}})},
                        {"data", Value::object({{std::string(dataKey), content.dump()}})}});
}

Kept readKept(const Value& configMap) {
  const auto name = "ConfigMap " + stringAt(configMap, "metadata.name");
  const auto content = parseJson(stringAt(configMap, fmt::format("data.{}", dataKey)), name);
  try {
    return {.uid = content.at("uid"), .successor = content.at("successor"), .controlPlane = content.at("controlPlane"), .labels = content.at("labels"), .taints = content.at("taints")};
  } catch (const Value::exception&) {
    throw Error(name + " is not what kubestrap wrote", "delete it, and begin again");
  }
}

bool waitsForJoin(const Seen& seen) { return seen.kept && !seen.successor && (isGone(seen) || hears(seen)); }

Next next(const Intent& intent, const Seen& seen) {
  const auto& old = intent.removal.node;
  if (!seen.kept && seen.wasKept) return plan::Done{};
  if (!seen.kept) {
    if (!seen.node) return plan::Stuck{fmt::format("the cluster has no node {}", old), "see: kubectl get nodes; a new one simply joins: kubestrap token create --print-join-command"};
    return plan::Step{fmt::format("{}: its labels and taints are kept for {}", old, intent.successor),
                      {object(intent, keptDocument(old, keptOf(*seen.node, intent.successor)), plan::ApplyMode::createOnly)}};
  }
  if (!isGone(seen) && !hears(seen)) return removal::next(intent.removal, seen.old);
  if (!seen.successor)
    return Waiting{fmt::format("{} is a node", intent.successor), "its machine has not joined", intent.patience,
                   fmt::format("run the command that was printed on the machine that takes the place of {}", old)};
  if (!isWell(seen)) return Waiting{fmt::format("{} is well", intent.successor), notWell(seen), becomesWell, fmt::format("kubectl describe node {}", intent.successor)};
  if (auto document = lacking(*seen.kept, *seen.successor, intent.successor); !document.is_null())
    return plan::Step{fmt::format("{}: labels and taints of {}", intent.successor, old), {object(intent, std::move(document), plan::ApplyMode::mark)}};
  if (!isGone(seen)) return removal::next(intent.removal, seen.old);
  return plan::Step{fmt::format("{}: nothing is kept of it any more", old), {object(intent, keptDocument(old, *seen.kept), plan::ApplyMode::absent)}};
}

Seen assumed(Seen seen, const Intent& intent, const Next& done) {
  seen.wasKept = true;
  if (!seen.kept) {
    if (seen.node) seen.kept = keptOf(*seen.node, intent.successor);
    return seen;
  }
  seen.old = removal::assumed(std::move(seen.old), done);
  seen.node.reset();
  return seen;
}

} // namespace kubestrap::phases::replacement
