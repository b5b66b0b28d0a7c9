#include "cmd/workers_look.hpp"

#include "cmd/node_report.hpp"
#include "kube/quantity.hpp"
#include "kube/reading.hpp"
#include "manifests/components.hpp"
#include "manifests/node_op.hpp"
#include "support/encoding.hpp"
#include "support/text.hpp"
#include "support/version.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::cmd {

namespace {

using phases::workers::NodeSeen;
using phases::workers::OpSeen;
using phases::workers::PodSeen;
using phases::workers::Report;
using phases::workers::Room;
using phases::workers::Seen;

/// Between two times that a pod is asked to move, and how long one without a node is not thought to be without room.
constexpr auto asksAgain = std::chrono::seconds(3), findsRoom = std::chrono::seconds(10);

/// Pods of which a field of the API has this value.
std::vector<Value> podsBy(const std::string& field, const std::string& value, kube::Client& client) {
  const auto answer = client.raw("GET", fmt::format("/api/v1/pods?fieldSelector={}", percentEncode(fmt::format("{}={}", field, value))));
  if (answer.status != 200) throw kube::ApiError(answer.status, "", fmt::format("pods cannot be listed: {}", answer.status));
  const auto list = parseJson(answer.body, "the list of pods");
  const auto* items = find(list, "items");
  return items && items->is_array() ? items->get<std::vector<Value>>() : std::vector<Value>{};
}

// ---- room

double amount(const Value* from, std::string_view resource) {
  const auto* found = from ? find(*from, resource) : nullptr;
  if (!found) return 0;
  return found->is_string() ? kube::quantity(found->get<std::string>()) : found->get<double>();
}

Room roomOf(const Value* resources) {
  return {.cpu = static_cast<long>(amount(resources, "cpu") * 1000), .memory = static_cast<long>(amount(resources, "memory")), .pods = static_cast<long>(amount(resources, "pods"))};
}

/// What its containers request, as far as they do.
Room requestedBy(const Value& pod) {
  Room room{.pods = 1};
  const auto* containers = find(pod, "spec.containers");
  for (const auto& container : containers ? *containers : Value::array()) {
    const auto more = roomOf(find(container, "resources.requests"));
    room.cpu += more.cpu;
    room.memory += more.memory;
  }
  return room;
}

bool takesRoom(const Value& pod) {
  const auto phase = stringAt(pod, "status.phase");
  return phase != "Succeeded" && phase != "Failed";
}

bool isTainted(const Value& node) {
  const auto* taints = find(node, "spec.taints");
  return taints && std::ranges::any_of(*taints, [](const Value& each) {
           const auto effect = stringAt(each, "effect");
           return (effect == "NoSchedule" || effect == "NoExecute") && !stringAt(each, "key").starts_with("node.kubernetes.io/");
         });
}

// ---- nodes and pods

NodeSeen nodeSeen(const Value& node) {
  const auto* closed = find(node, "spec.unschedulable");
  return {.name = stringAt(node, "metadata.name"),
          .version = stringAt(node, "status.nodeInfo.kubeletVersion"),
          .ready = kube::isReady(node),
          .closed = closed && *closed == true,
          .turn = phases::workers::turnOf(kube::annotationOf(node, phases::workers::annotation).value_or("")),
          .tainted = isTainted(node),
          .pods = {},
          .free = roomOf(find(node, "status.allocatable")),
          .look = {},
          .swap = {},
          .report = {}};
}

PodSeen podSeen(const Value& pod) {
  return {.name = plan::podName(pod), .ending = find(pod, "metadata.deletionTimestamp") != nullptr, .alone = plan::isAlone(pod), .refused = {}, .wants = requestedBy(pod)};
}

bool hasToMove(const Value& pod, const std::string& node) { return plan::mayMove(pod, node) && !kube::labelOf(pod, manifests::nodeOpLabel); }

/// What a program said was wrong, or its last words.
std::string lastWords(const std::string& log) {
  std::string error;
  for (const auto& line : split(log, '\n'))
    if (const auto text = trim(line); text.starts_with("error: ")) error = text.substr(std::string_view("error: ").size());
  if (error.empty()) error = lastLine(log);
  return error.empty() ? "it said nothing" : error;
}

std::string troubleOf(const Value& pod) {
  const auto* containers = find(pod, "status.containerStatuses");
  for (const auto& container : containers ? *containers : Value::array())
    if (const auto reason = stringAt(container, "state.waiting.reason"); reason.ends_with("BackOff") || reason.starts_with("ErrImageNever") || reason.starts_with("InvalidImage"))
      return fmt::format("{}: {}", reason, stringAt(container, "state.waiting.message"));
  return {};
}

/// The oldest of each node's.
std::map<std::string, std::string> apiServersIn(const std::vector<Value>& pods) {
  std::map<std::string, std::string> found;
  for (const auto& pod : pods) {
    const auto* containers = find(pod, "spec.containers");
    if (!containers || containers->empty()) continue;
    const auto tag = manifests::tagOf(stringAt(containers->front(), "image"));
    const auto version = readVersion(tag);
    if (!version) continue; // a tag of somebody's own says nothing
    const auto [there, isNew] = found.try_emplace(stringAt(pod, "spec.nodeName"), tag);
    if (!isNew && *version < *readVersion(there->second)) there->second = tag;
  }
  return found;
}

} // namespace

Duration WorkersLook::lasts(const std::string& what, bool holds) {
  if (!holds) {
    since_.erase(what);
    return {};
  }
  return clock_.now() - since_.try_emplace(what, clock_.now()).first->second;
}

std::set<std::string> WorkersLook::meantIn(const std::vector<Value>& nodes, kube::Client& client) const {
  std::set<std::string> all, labelled;
  for (const auto& node : nodes)
    if (!kube::isControlPlane(node)) all.insert(stringAt(node, "metadata.name"));
  for (const auto& name : meant_.names)
    if (!all.contains(name))
      throw Error(fmt::format("there is no worker {}", name), fmt::format("the workers are {}; on control planes: kubestrap upgrade node", join(std::vector<std::string>(all.begin(), all.end()), ", ")),
                  ExitCode::usage);
  if (!meant_.names.empty()) all = {meant_.names.begin(), meant_.names.end()};
  if (meant_.selector.empty()) return all;
  for (const auto& node : client.list("v1", "Node", "", meant_.selector))
    if (const auto name = stringAt(node, "metadata.name"); all.contains(name)) labelled.insert(name);
  return labelled;
}

OpSeen WorkersLook::opSeen(const Value& pod, kube::Client& client, bool first) {
  OpSeen op{.phase = stringAt(pod, "status.phase", "Pending"), .trouble = troubleOf(pod), .said = {}, .ending = find(pod, "metadata.deletionTimestamp") != nullptr};
  const auto uid = stringAt(pod, "metadata.uid");
  const bool ended = op.phase == "Succeeded" || op.phase == "Failed";
  if (first && (ended || op.ending || !op.trouble.empty())) stale_.insert(uid);
  op.stale = stale_.contains(uid);
  if (!ended || op.stale) return op;
  const auto answer = client.raw("GET", kube::pathOf(kube::ObjectKey{"v1", "Pod", "kube-system", stringAt(pod, "metadata.name")}) + "/log");
  if (answer.status == 200) op.said = answer.body;
  else if (op.phase == "Failed") op.said = fmt::format("error: its log cannot be read: {}", answer.status);
  return op;
}

void WorkersLook::lookAtOps(Seen& seen, kube::Client& client) {
  const auto of = [&](const char* what, OpSeen NodeSeen::* op) {
    for (const auto& pod : client.list("v1", "Pod", "kube-system", fmt::format("{}={}", manifests::nodeOpLabel, what)))
      for (auto& node : seen.nodes)
        if (stringAt(pod, "spec.nodeName") == node.name) node.*op = opSeen(pod, client, first_);
  };
  of("upgrade-look", &NodeSeen::look);
  of("upgrade", &NodeSeen::swap);
  for (auto& node : seen.nodes) {
    // A log that could not be read is read at the next look: its pod stays until it is.
    if (node.look.phase == "Succeeded" && !node.look.stale && !node.look.said.empty() && !reports_.contains(node.name)) {
      try {
        reports_[node.name] = workersReportIn(node.look.said);
      } catch (const Error& error) {
        reports_[node.name] = {{error.message()}};
      }
    }
    if (const auto report = reports_.find(node.name); report != reports_.end()) node.report = report->second;
    for (auto* op : {&node.look, &node.swap})
      if (!op->said.empty()) op->said = lastWords(op->said);
  }
}

/// Only then it matters where there is room.
bool WorkersLook::mayBeginTurns(const Seen& seen) const {
  const auto waits = [&](const NodeSeen& node) { return node.wanted && isBehind(intent_, node) && !isInTurn(node); };
  return static_cast<std::size_t>(std::ranges::count_if(seen.nodes, phases::workers::isInTurn)) < intent_.width && std::ranges::any_of(seen.nodes, waits);
}

/// All of them where somebody's turn may begin; else those of nodes that have their turn.
void WorkersLook::lookAtPods(Seen& seen, kube::Client& client) {
  pods_.clear();
  std::vector<Value> pods;
  if (first_ || mayBeginTurns(seen)) {
    pods = client.list("v1", "Pod", "");
  } else {
    for (const auto& node : seen.nodes)
      if (isInTurn(node))
        for (auto& pod : podsBy("spec.nodeName", node.name, client)) pods.push_back(std::move(pod));
  }
  std::set<std::string> there;
  for (auto& pod : pods) {
    const auto node = std::ranges::find(seen.nodes, stringAt(pod, "spec.nodeName"), &NodeSeen::name);
    if (node == seen.nodes.end() || !takesRoom(pod)) continue;
    const auto wants = requestedBy(pod);
    node->free = {node->free.cpu - wants.cpu, node->free.memory - wants.memory, node->free.pods - wants.pods};
    if (!hasToMove(pod, node->name)) continue;
    node->pods.push_back(podSeen(pod));
    const auto refused = refused_.find(node->pods.back().name);
    if (refused != refused_.end()) node->pods.back().refused = refused->second;
    there.insert(node->pods.back().name);
    pods_[node->name].push_back(std::move(pod));
  }
  std::erase_if(refused_, [&](const auto& each) { return !there.contains(each.first); });
}

/// Pods that found no room since this driver began.
void WorkersLook::lookAtHomeless(Seen& seen, kube::Client& client) {
  if (!first_ && std::ranges::none_of(seen.nodes, [](const NodeSeen& each) { return each.turn == phases::workers::Turn::ahead; })) return;
  for (const auto& pod : podsBy("status.phase", "Pending", client)) {
    if (!stringAt(pod, "spec.nodeName").empty()) continue;
    const auto uid = stringAt(pod, "metadata.uid");
    if (first_) homeless_.insert(uid);
    if (!homeless_.contains(uid) && lasts("homeless " + uid, true) >= findsRoom) ++seen.homeless;
  }
}

void WorkersLook::lookAtTimes(Seen& seen) {
  for (auto& node : seen.nodes) {
    const bool inTurn = phases::workers::isInTurn(node);
    node.asks = lasts("asks " + node.name, !node.look.phase.empty() && !node.report);
    node.drains = lasts("drains " + node.name, inTurn && node.swap.phase.empty());
    node.swaps = lasts("swaps " + node.name, !node.swap.phase.empty());
    node.settles = lasts("settles " + node.name, inTurn && node.swap.phase == "Succeeded");
    node.unready = lasts("unready " + node.name, !node.ready);
  }
}

Seen WorkersLook::look(kube::Client& client) {
  Seen seen;
  const auto nodes = client.list("v1", "Node", "");
  const auto meant = meantIn(nodes, client);
  for (const auto& node : nodes) {
    seen.nodes.push_back(nodeSeen(node));
    seen.nodes.back().wanted = meant.contains(seen.nodes.back().name);
  }
  std::ranges::sort(seen.nodes, {}, &NodeSeen::name);
  seen.apiServers = apiServersIn(client.list("v1", "Pod", "kube-system", "tier=control-plane,component=kube-apiserver"));
  lookAtOps(seen, client);
  lookAtPods(seen, client);
  lookAtHomeless(seen, client);
  lookAtTimes(seen);
  first_ = false;
  return seen;
}

void WorkersLook::empty(const std::set<std::string>& nodes, Seen& seen, kube::Client& client, plan::Evicting how) {
  const auto now = clock_.now();
  for (auto& node : seen.nodes) {
    if (!nodes.contains(node.name)) continue;
    for (auto& pod : node.pods) {
      if (pod.ending) continue;
      const auto [asked, isNew] = asked_.try_emplace(pod.name, now);
      if (!isNew && now - asked->second < asksAgain) continue;
      asked->second = now;
      const auto document = std::ranges::find(pods_[node.name], pod.name, plan::podName);
      try {
        pod.refused = plan::evict(client, *document, how);
      } catch (const Interrupted&) {
        throw;
      } catch (const net::TransportError&) {
        throw;
      } catch (const Error& error) {
        pod.refused = error.message();
      }
      refused_[pod.name] = pod.refused;
    }
  }
}

std::string reportOf(const Report& report) { return Value::object({{"obstacles", Value(report.obstacles)}}).dump(); }

Report workersReportIn(const std::string& log) {
  const auto report = reportIn(log, "its report");
  if (!report.contains("obstacles")) throw Error("it does not say whether it can be upgraded; kubestrap there may be of another version");
  return {report["obstacles"].get<std::vector<std::string>>()};
}

} // namespace kubestrap::cmd
