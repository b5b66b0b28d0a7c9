#include "cmd/cluster_status.hpp"

#include "cmd/output.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::cmd {

namespace {

using phases::fleet::HostSeen;
using phases::fleet::NodeSeen;

std::string roleOf(bool controlPlane) { return controlPlane ? "control-plane" : "worker"; }

/// What the cluster's own status says is wrong; empty where nobody could be asked.
const Value& findings(const FleetLook& look) {
  static const Value none = Value::array();
  const auto status = look.status.find(look.seen.asked);
  const auto* found = status == look.status.end() ? nullptr : find(status->second, "findings");
  return found ? *found : none;
}

std::string wrongAt(const std::string& host, const FleetLook& look) {
  std::vector<std::string> all;
  for (const auto& finding : findings(look))
    if (stringAt(finding, "where") == host) all.push_back(stringAt(finding, "name"));
  return join(all, ", ");
}

/// In the order of what has to be put right first.
std::string troubleOf(const config::InventoryHost& host, const HostSeen& there, const NodeSeen* node, const FleetLook& look) {
  if (!there.unreachable.empty()) return there.unreachable;
  if (!there.busy.empty()) return fmt::format("kubestrap is at work there: {}", there.busy);
  if (!there.begun.empty()) return fmt::format("{} has not come to its end", there.begun);
  if (!there.node) return "no node yet";
  if (look.seen.asked.empty()) return host.controlPlane() ? "no API server answers" : "";
  if (!node) return "the cluster does not know it";
  if (node->controlPlane != host.controlPlane()) return fmt::format("it is a {}", roleOf(node->controlPlane));
  return wrongAt(host.name, look);
}

std::string stateOf(const NodeSeen* node) { return !node ? "" : node->ready ? "Ready" : "NotReady"; }

} // namespace

std::vector<HostRow> hostRows(const config::ClusterFile& file, const FleetLook& look) {
  std::vector<HostRow> rows;
  for (const auto& host : file.inventory.hosts) {
    const auto& there = look.seen.of(host.name);
    const auto* node = look.seen.node(host.name);
    HostRow row{.name = host.name, .address = host.address, .role = host.role, .reached = there.unreachable.empty() ? "yes" : "no", .version = node ? node->version : "",
                .state = stateOf(node), .wrong = troubleOf(host, there, node, look)};
    row.well = row.wrong.empty() && node && node->ready;
    rows.push_back(std::move(row));
  }
  for (const auto& node : look.seen.nodes)
    if (!file.find(node.name)) rows.push_back({.name = node.name, .address = node.address, .role = roleOf(node.controlPlane), .reached = "", .version = node.version, .state = stateOf(&node), .wrong = "not in the file", .well = false});
  return rows;
}

bool isWell(const config::ClusterFile& file, const FleetLook& look) {
  return findings(look).empty() && std::ranges::all_of(hostRows(file, look), &HostRow::well);
}

std::string statusText(const config::ClusterFile& file, const FleetLook& look) {
  std::vector<std::vector<std::string>> rows{{"HOST", "ROLE", "REACHED", "VERSION", "STATUS", "WHAT IS WRONG"}};
  for (const auto& row : hostRows(file, look)) rows.push_back({row.name, row.role, orDash(row.reached), orDash(row.version), orDash(row.state), orDash(row.wrong)});
  auto text = table(rows);
  for (const auto& host : file.inventory.hosts)
    if (const auto& there = look.seen.of(host.name); !there.unreachable.empty() && !there.hint.empty()) text += fmt::format("{}: {}\n  try: {}\n", host.name, there.unreachable, there.hint);
  for (const auto& finding : findings(look))
    text += fmt::format("{}: {}: {}{}\n  try: {}\n", stringAt(finding, "severity"), stringAt(finding, "name"), stringAt(finding, "where").empty() ? "" : stringAt(finding, "where") + ": ",
                        stringAt(finding, "cause"), stringAt(finding, "remedy"));
  return text;
}

Value statusValue(const config::ClusterFile& file, const FleetLook& look) {
  Value value{{"cluster", file.name}, {"asked", look.seen.asked}, {"healthy", isWell(file, look)}, {"hosts", Value::array()}};
  for (const auto& row : hostRows(file, look)) {
    const auto& there = look.seen.of(row.name);
    value["hosts"].push_back({{"name", row.name}, {"address", row.address}, {"role", row.role}, {"inFile", file.find(row.name) != nullptr}, {"reached", row.reached == "yes"},
                              {"version", row.version}, {"ready", row.state == "Ready"}, {"machine", there.machine}, {"kernel", there.kernel}, {"wrong", row.wrong}});
    if (!there.unreachable.empty() && file.find(row.name)) value["hosts"].back()["hint"] = there.hint;
  }
  value["findings"] = findings(look);
  return value;
}

} // namespace kubestrap::cmd
