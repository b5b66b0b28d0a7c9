#include "phases/status.hpp"

#include "support/text.hpp"

#include <algorithm>

namespace kubestrap::phases::status {

namespace {

using manifests::allSlots;
using manifests::slotName;

/// The slots of a component that answer in that way, as "blue", or "blue+rescue" while one takes over from the other.
std::vector<std::string> slotsThat(const pivot::ComponentReport& report, std::string_view state) {
  std::vector<std::string> names;
  for (const auto slot : allSlots)
    if (report.is(slot, state)) names.emplace_back(slotName(slot));
  return names;
}

struct HealthRow {
  std::string_view slot, health; ///< what a slot answers, and what that makes of the component when none answers better
};
constexpr HealthRow healthRows[] = {{"ready", "ready"}, {"draining", "draining"}, {"unready", "unready"}, {"hangs", "unready"}, {"refuses", "down"}};

struct HostingRow {
  std::string_view state, hosting; ///< the guard's word, and ours
};
constexpr HostingRow hostingRows[] = {{"shadow", "self"}, {"rescue", "rescue"}, {"drain", "rescue"}, {"held", "held"}};

std::string hostingOf(const pivot::ComponentReport& report, bool selfHosted) {
  const auto row = std::ranges::find(hostingRows, std::string_view(report.hosting), &HostingRow::state);
  if (row == std::end(hostingRows)) return "-";
  return row->hosting == "held" && !selfHosted ? "static" : std::string(row->hosting);
}

/// The version of what runs in one of the slots, or of any other pod of it when that is not known.
std::string versionOf(const Seen& seen, const std::string& node, std::string_view component, const std::vector<std::string>& slots) {
  std::string version;
  for (const auto& pod : seen.pods) {
    if (pod.node != node || pod.component != component || pod.version.empty()) continue;
    if (std::ranges::find(slots, pod.slot) != slots.end()) return pod.version;
    version = pod.version;
  }
  if (!version.empty() || node != seen.machine.name) return version;
  for (const auto& container : seen.machine.containers)
    if (container.component == component) version = container.version;
  return version;
}

Row hostedRow(const Seen& seen, const pivot::NodeSeen& node, std::string_view component) {
  Row row{.node = node.name, .component = std::string(component), .hosting = "-", .slot = {}, .version = {}, .health = "not known", .standby = {}};
  const auto* guard = node.guard ? &*node.guard : nullptr;
  const auto found = guard ? guard->components.find(std::string(component)) : decltype(guard->components.end()){};
  if (!guard || found == guard->components.end()) return row;
  const auto& report = found->second;
  row.hosting = hostingOf(report, node.selfHosted);
  row.standby = report.standby;
  for (const auto& [state, health] : healthRows) {
    const auto slots = slotsThat(report, state);
    if (slots.empty()) continue;
    row.health = health;
    if (state != "refuses") row.slot = join(slots, "+");
    row.version = versionOf(seen, node.name, component, slots);
    break;
  }
  return row;
}

/// Nodes with guards: those that the API knows, or else this machine alone.
std::vector<pivot::NodeSeen> guarded(const Seen& seen) {
  if (seen.silent.empty()) return seen.controlPlane.nodes;
  if (!seen.machine.guard || !seen.machine.guardRuns) return {};
  return {{.name = seen.machine.name, .ready = true, .selfHosted = seen.machine.selfHosted, .held = {}, .guard = seen.machine.guard}};
}

Row plainRow(const PodSeen& pod) {
  return {.node = pod.node, .component = pod.component, .hosting = "static", .slot = {}, .version = pod.version,
          .health = pod.ready ? "ready" : "unready", .standby = {}};
}

Row containerRow(const Seen& seen, const ContainerSeen& container) {
  const auto hosting = !seen.hosted() ? "static" : container.pod.starts_with(container.component + "-rescue") ? "rescue" : "self";
  return {.node = seen.machine.name, .component = container.component, .hosting = hosting, .slot = {}, .version = container.version,
          .health = container.running ? "runs" : "down", .standby = {}};
}

} // namespace

std::vector<Row> rows(const Seen& seen) {
  std::vector<Row> all;
  const auto nodes = guarded(seen);
  if ((seen.silent.empty() && seen.hosted()) || !nodes.empty()) {
    for (const auto& node : nodes)
      for (const auto component : manifests::hostedComponents) all.push_back(hostedRow(seen, node, component));
    return all;
  }
  const auto hasSlots = [](const auto& each) { return std::ranges::find(manifests::hostedComponents, each.component) != manifests::hostedComponents.end(); };
  if (seen.silent.empty()) {
    for (const auto& pod : seen.pods)
      if (hasSlots(pod)) all.push_back(plainRow(pod));
    std::ranges::stable_sort(all, {}, &Row::node);
  } else {
    for (const auto& container : seen.machine.containers)
      if (hasSlots(container)) all.push_back(containerRow(seen, container));
  }
  return all;
}

} // namespace kubestrap::phases::status
