#include "phases/pivot.hpp"

#include "manifests/cluster_objects.hpp"
#include "manifests/guard.hpp"
#include "phases/node.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::phases::pivot {

namespace {

using config::Setup;
using manifests::Slot;
using plan::Next;
using plan::Resources;
using plan::Waiting;

constexpr Duration forPods = std::chrono::minutes(4), forStandby = std::chrono::minutes(2), forGuard = std::chrono::minutes(4),
               forLeader = std::chrono::seconds(90);

/// Released in this order: the API server last, since the others are watched through it.
constexpr std::array<std::string_view, 3> releaseOrder{"kube-scheduler", "kube-controller-manager", "kube-apiserver"};

bool hasLeader(std::string_view component) { return component != "kube-apiserver"; }

Value part(std::string_view apiVersion, std::string_view kind, std::string_view name, Value metadata) {
  metadata["name"] = name;
  return Value::object({{"apiVersion", apiVersion}, {"kind", kind}, {"metadata", std::move(metadata)}});
}

Value node(const NodeSeen& seen, Value metadata) { return part("v1", "Node", seen.name, std::move(metadata)); }

/// With the mark comes its protection (manifests/guard.hpp), and with its end the leave to take it away.
Value selfHostedMark(const NodeSeen& seen, bool wanted) {
  return node(seen, Value::object({{"annotations", Value::object({{manifests::allowUnlabelAnnotation, wanted ? Value() : Value("true")}})},
                                   {"labels", Value::object({{manifests::selfHostedLabel, wanted ? Value("true") : Value()}})}}));
}

plan::Step marked(std::string name, Value document, const Setup& setup) {
  return {std::move(name), {plan::Object{.document = std::move(document), .mode = plan::ApplyMode::mark, .access = asAdmin(setup)}}};
}

} // namespace

plan::Step hold(const NodeSeen& seen, const std::set<std::string>& components, std::string name, const Setup& setup) {
  const auto list = join(std::vector<std::string>(components.begin(), components.end()), ",");
  return marked(std::move(name), node(seen, Value::object({{"annotations", Value::object({{manifests::heldAnnotation, list}})}})), setup);
}

std::string logsOf(std::string_view component, const NodeSeen& seen) {
  return fmt::format("look at: kubectl -n kube-system get pods -l {}={} -o wide, and at /var/log/pods on {}", manifests::componentLabel, component, seen.name);
}

std::set<std::string> heldOn(const NodeSeen& seen) { return seen.held.value_or(seen.guard->held); }

std::string guardLog(const NodeSeen& seen) { return fmt::format("look at: kubectl -n kube-system logs kubestrap-guard-{}", seen.name); }

std::optional<Next> notInOrder(const Seen& seen) {
  if (seen.nodes.empty()) return plan::Stuck{"the cluster has no control plane node", "is this the right cluster?"};
  for (const auto& each : seen.nodes) {
    if (!each.ready)
      return Waiting{fmt::format("{} is Ready", each.name), "its kubelet does not say so", std::chrono::minutes(2),
                     fmt::format("look at the kubelet of {}: journalctl -u kubelet", each.name)};
    if (!each.guard || !each.guard->fresh)
      return Waiting{fmt::format("the guard of {} reports", each.name), each.guard ? "its report is old" : "there is no report of it",
                     std::chrono::minutes(1), fmt::format("control planes of layout hosted have one; {}", guardLog(each))};
  }
  return std::nullopt;
}

const ComponentReport& reportOf(const NodeSeen& seen, std::string_view component) {
  static const ComponentReport none;
  const auto found = seen.guard->components.find(std::string(component));
  return found == seen.guard->components.end() ? none : found->second;
}

namespace {

// ---- to DaemonSets

std::optional<Next> daemonSets(const Setup& setup, const Seen& seen) {
  Resources missing;
  for (const auto name : manifests::hostedComponents)
    if (!seen.daemonSets.contains(std::string(name)))
      missing.push_back(plan::Object{.document = manifests::daemonSet(manifests::component(name), setup, Slot::blue, 1), .access = asAdmin(setup)});
  if (missing.empty()) return std::nullopt;
  return plan::Step{"DaemonSets made, for nodes that are not marked yet", std::move(missing)};
}

/// The pods of the DaemonSets serve on the node, beside its static pods, and what they are made of is its standby.
std::optional<Next> runsTwice(const NodeSeen& each, const Seen& seen) {
  const auto marked = std::ranges::count_if(seen.nodes, &NodeSeen::selfHosted);
  for (const auto name : manifests::hostedComponents) {
    const auto& report = reportOf(each, name);
    const auto& set = seen.daemonSets.at(std::string(name));
    if (!report.selfReady())
      return Waiting{fmt::format("{}: {} of its DaemonSet is ready", each.name, name), "it is not ready", forPods, logsOf(name, each)};
    if (!set.observed || set.desired < marked || set.available < set.desired)
      return Waiting{fmt::format("{}: {} of its DaemonSet is available", each.name, name),
                     fmt::format("{} of {} are", set.available, set.desired), forPods, logsOf(name, each)};
    if (report.standby != set.revision)
      return Waiting{fmt::format("{}: what stands by for {} is revision {}", each.name, name, set.revision),
                     report.standby.empty() ? "nothing stands by" : fmt::format("revision {} stands by", report.standby), forStandby, guardLog(each)};
  }
  return std::nullopt;
}

/// The static pods go, one component after the other.
std::optional<Next> released(const NodeSeen& each, const Seen& seen, const Setup& setup) {
  auto held = heldOn(each);
  for (const auto name : releaseOrder) {
    if (held.erase(std::string(name)) > 0) return hold(each, held, fmt::format("{}: {} handed over", each.name, name), setup);
    const auto& report = reportOf(each, name);
    if (report.promoted || !report.is(Slot::rescue, "refuses"))
      return Waiting{fmt::format("{}: the static pod of {} is gone", each.name, name), report.promoted ? "its manifest is there" : "it still answers",
                     forGuard, guardLog(each)};
    if (!hasLeader(name)) continue;
    const auto leader = seen.leaders.find(std::string(name));
    if (leader == seen.leaders.end() || !leader->second.fresh)
      return Waiting{fmt::format("{}: a {} leads", each.name, name), "the last one has left its Lease to run out", forLeader, logsOf(name, each)};
  }
  return std::nullopt;
}

/// The node of the controller-manager that leads comes last: its Lease moves when it stops, and takes 15 s for that.
std::vector<const NodeSeen*> inOrder(const Seen& seen) {
  const auto leader = seen.leaders.find("kube-controller-manager");
  std::vector<const NodeSeen*> nodes;
  for (const auto& each : seen.nodes) nodes.push_back(&each);
  std::ranges::stable_sort(nodes, {}, [&](const NodeSeen* each) {
    return std::pair(!each->selfHosted, leader != seen.leaders.end() && leader->second.node == each->name);
  });
  return nodes;
}

Next toDaemonSets(const Setup& setup, const Seen& seen) {
  if (auto step = daemonSets(setup, seen)) return *std::move(step);
  for (const auto* each : inOrder(seen)) {
    if (!each->selfHosted)
      return marked(fmt::format("{}: marked for the DaemonSets", each->name), selfHostedMark(*each, true), setup);
    if (auto wait = runsTwice(*each, seen)) return *std::move(wait);
    if (auto step = released(*each, seen, setup)) return *std::move(step);
  }
  return plan::Done{};
}

// ---- back to static pods

std::optional<Next> keptByFiles(const NodeSeen& each, const Setup& setup) {
  const std::set<std::string> all(manifests::hostedComponents.begin(), manifests::hostedComponents.end());
  if (heldOn(each) != all) return hold(each, all, fmt::format("{}: static pods asked for", each.name), setup);
  for (const auto name : manifests::hostedComponents)
    if (!reportOf(each, name).is(Slot::rescue, "ready"))
      return Waiting{fmt::format("{}: the static pod of {} is ready", each.name, name), "it is not", forGuard, guardLog(each)};
  return std::nullopt;
}

bool hasPods(const NodeSeen& each) {
  return std::ranges::any_of(manifests::hostedComponents, [&](auto name) {
    return !reportOf(each, name).is(Slot::blue, "refuses") || !reportOf(each, name).is(Slot::green, "refuses");
  });
}

Next toStaticPods(const Setup& setup, const Seen& seen) {
  for (const auto& each : seen.nodes) {
    if (auto step = keptByFiles(each, setup)) return *std::move(step);
    if (each.selfHosted)
      return marked(fmt::format("{}: no longer marked for the DaemonSets", each.name), selfHostedMark(each, false), setup);
    if (hasPods(each) && !seen.daemonSets.empty())
      return Waiting{fmt::format("{}: the pods of the DaemonSets are gone", each.name), "some still run", forPods, logsOf("kube-apiserver", each)};
  }
  if (seen.daemonSets.empty()) return plan::Done{};
  // They are protected, so that nobody deletes them by accident.
  const bool mayGo = std::ranges::all_of(seen.daemonSets, [](const auto& each) { return each.second.mayGo; });
  Resources sets;
  for (const auto& [name, set] : seen.daemonSets) {
    Value metadata = Value::object({{"namespace", "kube-system"}});
    if (!mayGo) metadata["annotations"] = Value::object({{manifests::allowDeleteAnnotation, "true"}});
    sets.push_back(plan::Object{.document = part("apps/v1", "DaemonSet", name, std::move(metadata)),
                                .mode = mayGo ? plan::ApplyMode::absent : plan::ApplyMode::mark,
                                .access = asAdmin(setup)});
  }
  return plan::Step{mayGo ? "DaemonSets removed" : "DaemonSets released from their protection", std::move(sets)};
}

plan::Step stored(Goal goal, const Setup& setup) {
  auto cluster = setup.cluster;
  cluster.kubestrap.hosting = goal == Goal::selfHosted ? config::Hosting::self : config::Hosting::staticPods;
  return {"the cluster's configuration says so", objects(manifests::uploadedKubestrapConfig(cluster), asAdmin(setup))};
}

} // namespace

bool ComponentReport::is(Slot slot, std::string_view state) const {
  const auto found = slots.find(std::string(manifests::slotName(slot)));
  return found != slots.end() && found->second == state;
}

bool ComponentReport::selfReady() const { return is(Slot::blue, "ready") || is(Slot::green, "ready"); }

GuardReport parseGuardReport(const std::string& text) {
  const auto document = parseJson(text, "the guard's report");
  GuardReport report;
  for (const auto& name : document.value("held", Value::array())) report.held.insert(name.get<std::string>());
  const auto components = document.value("components", Value::object());
  for (const auto& [name, component] : components.items()) {
    auto& each = report.components[name];
    each.hosting = stringAt(component, "hosting");
    each.promoted = component.value("promoted", false);
    each.standby = stringAt(component, "standby");
    const auto slots = component.value("slots", Value::object());
    for (const auto& [slot, state] : slots.items()) each.slots[slot] = state.get<std::string>();
  }
  for (const auto& each : document.value("conditions", Value::array()))
    report.conditions.emplace_back(stringAt(each, "name"), stringAt(each, "message"));
  return report;
}

Next next(Goal goal, const Setup& setup, const Seen& seen) {
  if (auto trouble = notInOrder(seen)) return *std::move(trouble);
  // A node that joins meanwhile goes by what the cluster says, so it says where it is going before the last node is there.
  const bool wanted = goal == Goal::selfHosted;
  auto step = wanted ? toDaemonSets(setup, seen) : toStaticPods(setup, seen);
  if (std::holds_alternative<plan::Done>(step) && seen.stored != wanted) return stored(goal, setup);
  return step;
}

namespace {

void assumeHeld(NodeSeen& each, const std::string& list) {
  std::set<std::string> held;
  for (const auto& name : split(list, ','))
    if (!name.empty()) held.emplace(name);
  each.held = held;
  for (const auto name : manifests::hostedComponents) {
    auto& report = each.guard->components[std::string(name)];
    report.promoted = held.contains(std::string(name));
    report.slots["rescue"] = report.promoted ? "ready" : "refuses";
  }
}

void assumeMarked(NodeSeen& each, bool selfHosted, Seen& seen) {
  each.selfHosted = selfHosted;
  for (auto& [name, set] : seen.daemonSets) {
    auto& report = each.guard->components[name];
    report.slots["blue"] = selfHosted ? "ready" : "refuses";
    report.slots["green"] = "refuses";
    if (selfHosted) report.standby = set.revision;
    set.observed = true;
    set.desired = set.available = static_cast<int>(std::ranges::count_if(seen.nodes, &NodeSeen::selfHosted));
  }
}

void assume(const plan::Object& object, Seen& seen) {
  const auto kind = stringAt(object.document, "kind"), name = stringAt(object.document, "metadata.name");
  if (kind == "DaemonSet") {
    if (object.mode == plan::ApplyMode::absent) seen.daemonSets.erase(name);
    else if (object.mode == plan::ApplyMode::mark) seen.daemonSets[name].mayGo = true;
    else seen.daemonSets[name] = {.revision = "1", .observed = true};
  }
  for (auto& each : seen.nodes) {
    if (kind != "Node" || each.name != name) continue;
    const auto& metadata = object.document.at("metadata");
    if (metadata.contains("labels")) assumeMarked(each, !metadata.at("labels").at(std::string(manifests::selfHostedLabel)).is_null(), seen);
    else assumeHeld(each, metadata.at("annotations").at(std::string(manifests::heldAnnotation)).get<std::string>());
  }
}

} // namespace

Seen assumed(Goal goal, Seen seen, const Next& done) {
  const auto* step = std::get_if<plan::Step>(&done);
  if (!step) return seen;
  for (const auto& resource : step->work) {
    const auto& object = std::get<plan::Object>(resource);
    if (stringAt(object.document, "metadata.name") == "kubestrap-config") seen.stored = goal == Goal::selfHosted;
    assume(object, seen);
  }
  for (auto& [name, leader] : seen.leaders) leader.fresh = true;
  return seen;
}

} // namespace kubestrap::phases::pivot
