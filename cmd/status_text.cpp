#include "cmd/status_text.hpp"

#include "cmd/output.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::cmd {

namespace {

using namespace phases::status;
using Table = std::vector<std::vector<std::string>>;


std::string mebibytes(std::int64_t octets) { return fmt::format("{:.1f} MiB", static_cast<double>(octets) / (1 << 20)); }

std::string headline(const Seen& seen) {
  if (!seen.silent.empty()) return fmt::format("no API server answers; this is what {} shows by itself\n", seen.machine.name);
  if (seen.layout.empty()) return "the cluster's configuration cannot be read with these credentials\n";
  auto text = fmt::format("cluster {}: {}, layout {}", seen.cluster, seen.version, seen.layout);
  if (seen.hosted()) text += seen.hosting == "self" ? ", in its own cluster" : ", as static pods";
  if (!seen.endpoint.empty()) text += ", endpoint " + seen.endpoint;
  return text + "\n";
}

std::string operation(const Seen& seen) {
  if (!seen.plan || !seen.plan->underWay()) return {};
  const auto& plan = *seen.plan;
  return fmt::format("under way: {} by {}{}: {}\n", plan.operation, plan.holder, plan.since ? " since " + formatRfc3339(*plan.since) : "", plan.step);
}

std::string titled(const Table& rows) { return rows.size() > 1 ? "\n" + table(rows) : std::string(); }

Table components(const Seen& seen) {
  Table rows{{"NODE", "COMPONENT", "HOSTING", "SLOT", "VERSION", "HEALTH", "STANDBY"}};
  for (const auto& row : phases::status::rows(seen))
    rows.push_back({row.node, row.component, row.hosting, orDash(row.slot), orDash(row.version), row.health, row.standby.empty() ? "-" : "revision " + row.standby});
  return rows;
}

std::string healthOf(const EtcdMemberSeen& member) {
  if (!member.silent.empty()) return "silent";
  if (!member.alarms.empty()) return join(member.alarms, ",");
  return member.seesLeader ? "healthy" : "no leader";
}

std::string roleOf(const EtcdMemberSeen& member) { return member.leads ? "leader" : member.learner ? "learner" : "voter"; }

Table etcd(const Seen& seen) {
  Table rows{{"ETCD MEMBER", "ROLE", "VERSION", "HEALTH", "SIZE", "IN USE"}};
  for (const auto& member : seen.etcd.members) {
    const bool speaks = member.silent.empty();
    rows.push_back({member.name.empty() ? member.id : member.name, roleOf(member), orDash(member.version), healthOf(member),
                    speaks ? mebibytes(member.size) : "-", speaks ? mebibytes(member.inUse) : "-"});
  }
  return rows;
}

Table nodes(const Seen& seen) {
  Table rows{{"NODE", "ROLE", "KUBELET", "STATUS", "ADDRESS"}};
  for (const auto& node : seen.nodes)
    rows.push_back({node.name, node.controlPlane ? "control-plane" : "worker", orDash(node.kubelet),
                    std::string(node.ready ? "Ready" : "NotReady") + (node.schedulable ? "" : ",SchedulingDisabled"), orDash(node.address)});
  return rows;
}


} // namespace

std::string describe(const Seen& seen) {
  return headline(seen) + operation(seen) + titled(components(seen)) + titled(etcd(seen)) + titled(nodes(seen));
}

void put(const Seen& seen, Value& document) {
  document["cluster"] = {{"name", seen.cluster}, {"version", seen.version}, {"layout", seen.layout}, {"hosting", seen.hosting}, {"endpoint", seen.endpoint}};
  document["apiServer"] = {{"answers", seen.silent.empty()}, {"message", seen.silent}};
  document["operation"] = nullptr;
  if (seen.plan && seen.plan->underWay())
    document["operation"] = {{"name", seen.plan->operation}, {"holder", seen.plan->holder}, {"state", seen.plan->state}, {"step", seen.plan->step},
                             {"since", seen.plan->since ? Value(formatRfc3339(*seen.plan->since)) : Value()}};
  document["components"] = Value::array();
  for (const auto& row : phases::status::rows(seen))
    document["components"].push_back({{"node", row.node}, {"component", row.component}, {"hosting", row.hosting}, {"slot", row.slot},
                                      {"version", row.version}, {"health", row.health}, {"standby", row.standby}});
  document["etcd"] = Value::array();
  for (const auto& member : seen.etcd.members)
    document["etcd"].push_back({{"name", member.name}, {"id", member.id}, {"role", roleOf(member)}, {"version", member.version}, {"health", healthOf(member)},
                                {"endpoint", member.endpoint}, {"size", member.size}, {"inUse", member.inUse}, {"quota", member.quota}, {"alarms", member.alarms}});
  document["nodes"] = Value::array();
  for (const auto& node : seen.nodes)
    document["nodes"].push_back({{"name", node.name}, {"role", node.controlPlane ? "control-plane" : "worker"}, {"kubelet", node.kubelet},
                                 {"ready", node.ready}, {"schedulable", node.schedulable}, {"address", node.address}, {"addresses", node.addresses}, {"labels", node.labels},
                                 {"givenLabels", node.givenLabels}, {"taints", node.taints}, {"givenTaints", node.givenTaints}, {"settingsFollow", node.settingsFollow}});
  document["certificates"] = Value::array();
  for (const auto& each : seen.machine.certificates)
    document["certificates"].push_back({{"name", each.name}, {"expirationDate", formatRfc3339(each.ends)}, {"authority", each.authority}});
}

std::string describe(const std::vector<Finding>& findings, Telling telling) {
  std::string text;
  for (const auto& each : findings) {
    text += fmt::format("{}: {}: {}{}\n", nameOf(each.severity), each.name, each.where.empty() ? "" : each.where + ": ", each.cause);
    if (telling == Telling::fully || each.where.empty()) text += fmt::format("  seen: {}\n", each.evidence);
    text += fmt::format("  try: {}\n", each.remedy);
  }
  return text;
}

Value asValue(const std::vector<Finding>& findings) {
  Value list = Value::array();
  for (const auto& each : findings)
    list.push_back({{"name", each.name}, {"severity", nameOf(each.severity)}, {"where", each.where}, {"cause", each.cause}, {"evidence", each.evidence}, {"remedy", each.remedy}});
  return list;
}

} // namespace kubestrap::cmd
