#include "phases/repair.hpp"

#include "config/rolling.hpp"
#include "manifests/guard.hpp"
#include "phases/node.hpp"
#include "support/error.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace kubestrap::phases::repair {

namespace {

using config::Setup;
using manifests::Slot;
using pivot::heldOn;
using pivot::hold;
using pivot::reportOf;
using plan::Next;

constexpr Duration forPods = std::chrono::minutes(4), forGuard = std::chrono::minutes(4);

/// Those that DaemonSets' pods may come to.
std::vector<const pivot::NodeSeen*> marked(const Seen& seen) {
  std::vector<const pivot::NodeSeen*> nodes;
  for (const auto& node : seen.controlPlane.nodes)
    if (node.selfHosted) nodes.push_back(&node);
  return nodes;
}

std::string unfit(const std::string& component, const Value& daemonSet) {
  try {
    manifests::rescuePodOf(manifests::component(component), daemonSet.at("spec").at("template"));
  } catch (const Error& error) {
    return error.message();
  } catch (const Value::exception&) {
    return fmt::format("the template of {} is of another form than a DaemonSet's", component);
  }
  const auto* surge = find(daemonSet, "spec.updateStrategy.rollingUpdate.maxSurge");
  if (!surge || (*surge != 1 && *surge != "1")) return fmt::format("a roll of {} would take an instance away before the next one serves", component);
  return {};
}

/// No pod of it serves, though what stands by does: so it is its template.
bool failsEverywhere(const std::string& component, const Seen& seen) {
  const auto nodes = marked(seen);
  if (nodes.empty()) return false;
  const auto set = seen.controlPlane.daemonSets.find(component);
  return std::ranges::all_of(nodes, [&](const auto* node) {
    if (!node->guard) return false;
    const auto& report = reportOf(*node, component);
    return !report.selfReady() && report.is(Slot::rescue, "ready") && set != seen.controlPlane.daemonSets.end() && report.standby != set->second.revision;
  });
}

plan::Step mark(std::string name, Value document, const Setup& setup) {
  return {std::move(name), {plan::Object{.document = std::move(document), .mode = plan::ApplyMode::mark, .access = asAdmin(setup)}}};
}

std::string describe(const std::string& component) { return fmt::format("look at: kubectl -n kube-system describe daemonset {}", component); }

/// A DaemonSet that is taken away takes its pods along, those that serve too: static pods serve before that.
std::optional<Next> servedByFiles(const std::string& component, const Setup& setup, const Seen& seen) {
  for (const auto* node : marked(seen)) {
    auto holds = heldOn(*node);
    if (holds.insert(component).second) return hold(*node, holds, fmt::format("{}: the static pod of {} asked for", node->name, component), setup);
    const auto& report = reportOf(*node, component);
    if (!report.is(Slot::rescue, "ready") && !report.is(Slot::previous, "ready"))
      return plan::Waiting{fmt::format("{}: the static pod of {} is ready", node->name, component), "it is not", forGuard,
                           fmt::format("on {}: kubestrap rescue {} --from-config", node->name, component)};
  }
  return std::nullopt;
}

Value bare(const std::string& component, Value metadata) {
  metadata["name"] = component;
  metadata["namespace"] = "kube-system";
  return Value::object({{"apiVersion", "apps/v1"}, {"kind", "DaemonSet"}, {"metadata", std::move(metadata)}});
}

Next removed(const std::string& component, const Setup& setup, const Seen& seen) {
  if (auto first = servedByFiles(component, setup, seen)) return *std::move(first);
  const auto& document = seen.daemonSets.at(component);
  if (find(document, "metadata.deletionTimestamp")) return plan::Waiting{fmt::format("the ruined DaemonSet {} is gone", component), "it is being deleted", forPods, describe(component)};
  const auto* annotations = find(document, "metadata.annotations");
  if (!annotations || !annotations->contains(manifests::allowDeleteAnnotation))
    return mark(fmt::format("{}: released from its protection", component),
                bare(component, Value::object({{"annotations", Value::object({{manifests::allowDeleteAnnotation, "true"}})}})), setup);
  return plan::Step{fmt::format("{}: the ruined DaemonSet removed", component),
                    {plan::Object{.document = bare(component, Value::object()), .mode = plan::ApplyMode::absent, .access = asAdmin(setup)}}};
}

/// A colour in which nothing runs on any node: pods of the one before may live on for a while.
Slot freeColour(const std::string& component, const Seen& seen) {
  const auto isFree = [&](Slot slot) {
    return std::ranges::all_of(seen.controlPlane.nodes, [&](const auto& node) {
      const auto& slots = reportOf(node, component).slots;
      const auto found = slots.find(std::string(manifests::slotName(slot)));
      return found == slots.end() || found->second == "refuses";
    });
  };
  return isFree(Slot::blue) || !isFree(Slot::green) ? Slot::blue : Slot::green;
}

plan::Step made(const std::string& component, const Setup& setup, const Seen& seen) {
  const auto& row = manifests::component(component);
  const auto slot = freeColour(component, seen);
  const auto standby = seen.standbys.find(component);
  if (standby == seen.standbys.end())
    return {fmt::format("{}: its DaemonSet made from the configuration", component), {plan::Object{.document = manifests::daemonSet(row, setup, slot, 1), .access = asAdmin(setup)}}};
  int revision = 0;
  const auto* annotations = find(standby->second.pod, "metadata.annotations");
  const auto text = annotations && annotations->contains(config::revisionAnnotation) ? annotations->at(std::string(config::revisionAnnotation)).get<std::string>() : "";
  std::from_chars(text.data(), text.data() + text.size(), revision);
  return {fmt::format("{}: its DaemonSet made of what stands by on {}", component, setup.node.name),
          {plan::Object{.document = manifests::daemonSetOf(row, standby->second.pod, standby->second.slot, slot, std::max(1, revision)), .access = asAdmin(setup)}}};
}

/// Its pods serve on every node that it is for, and nothing keeps the static pods.
std::optional<Next> servesAgain(const std::string& component, const Setup& setup, const Seen& seen) {
  for (const auto* node : marked(seen)) {
    if (!reportOf(*node, component).selfReady())
      return plan::Waiting{fmt::format("{}: {} of its DaemonSet is ready", node->name, component), "it is not ready", forPods, describe(component)};
    auto holds = heldOn(*node);
    if (holds.erase(component) > 0) return hold(*node, holds, fmt::format("{}: {} handed back", node->name, component), setup);
  }
  return std::nullopt;
}

} // namespace

std::string ruinOf(const std::string& component, const Seen& seen) {
  const auto found = seen.daemonSets.find(component);
  if (found == seen.daemonSets.end()) return fmt::format("{} is gone", component);
  if (find(found->second, "metadata.deletionTimestamp")) return fmt::format("{} is being deleted", component);
  if (auto reason = unfit(component, found->second); !reason.empty()) return reason;
  return failsEverywhere(component, seen) ? fmt::format("no pod of {} serves, though what stands by does", component) : "";
}

Next next(const Wanted& wanted, const Setup& setup, const Seen& seen, const std::set<std::string>& remade) {
  if (marked(seen).empty())
    return plan::Stuck{"no node is marked for the DaemonSets of the control plane", "kubestrap pivot makes them, and marks the nodes"};
  if (auto trouble = pivot::notInOrder(seen.controlPlane)) return *std::move(trouble);
  for (const auto& component : wanted.components) {
    if (remade.contains(component)) continue;
    if (!seen.daemonSets.contains(component)) return made(component, setup, seen);
    if (wanted.anyway || !ruinOf(component, seen).empty()) return removed(component, setup, seen);
  }
  for (const auto& component : remade)
    if (auto step = servesAgain(component, setup, seen)) return *std::move(step);
  return plan::Done{};
}

} // namespace kubestrap::phases::repair
