#include "phases/workers.hpp"

#include "manifests/node_op.hpp"
#include "phases/node.hpp"
#include "support/text.hpp"
#include "support/version.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <numeric>

namespace kubestrap::phases::workers {

namespace {

using plan::Next;
using plan::Resources;
using plan::Step;
using plan::Stuck;
using plan::Waiting;

constexpr std::array<std::string_view, 4> turns{"", "ahead", "turn", "turn-stays-closed"};
/// What a pod on a worker's machine does.
enum class Op { look, swap };
std::string nameOf(Op op) { return op == Op::look ? "upgrade-look" : "upgrade"; }
constexpr auto lookPatience = std::chrono::minutes(3);

bool isOlder(const std::string& version, const std::string& than) {
  const auto one = readVersion(version), other = readVersion(than);
  return one && other && *one < *other;
}

bool hasEnded(const OpSeen& op) { return op.phase == "Succeeded" || op.phase == "Failed"; }

/// One whose pods move away, or will in a moment.
bool drains(const Intent& intent, const NodeSeen& node) { return isInTurn(node) && isBehind(intent, node) && node.swap.phase.empty(); }
bool isUpgraded(const Intent& intent, const NodeSeen& node) { return !isBehind(intent, node) && node.ready && (node.swap.phase.empty() || hasEnded(node.swap)); }

/// What is to be upgraded and has not had its turn.
bool isToCome(const Intent& intent, const Progress& progress, const NodeSeen& node) {
  return node.wanted && isBehind(intent, node) && !isInTurn(node) && !progress.left.contains(node.name);
}

/// Before its turn begins, or again after a driver was stopped, a worker says whether it can be upgraded.
bool isToSay(const Intent& intent, const Progress& progress, const NodeSeen& node) {
  return !node.report && (isToCome(intent, progress, node) || (drains(intent, node) && !progress.left.contains(node.name)));
}
bool cannotSay(const NodeSeen& node) {
  return !node.ready || node.asks > lookPatience || (!node.look.stale && !node.look.ending && (!node.look.trouble.empty() || node.look.phase == "Failed"));
}
bool haveSaid(const Intent& intent, const Progress& progress, const Seen& seen) {
  return std::ranges::none_of(seen.nodes, [&](const NodeSeen& node) { return isToSay(intent, progress, node) && !cannotSay(node); });
}

/// Whether no further worker gets its turn.
bool stops(const Intent& intent, const Progress& progress) {
  return std::ranges::any_of(progress.left, [&](const auto& each) { return each.second.broken || !intent.skips; });
}

// ---- what is done

struct Work {
  std::vector<std::string> names;
  Resources resources;

  void add(std::string name, plan::Resource resource) {
    names.push_back(std::move(name));
    resources.push_back(std::move(resource));
  }
};

plan::Object marked(const Intent& intent, const NodeSeen& node, Turn turn) {
  auto annotations = Value::object();
  annotations[std::string(annotation)] = turn == Turn::none ? Value() : Value(nameOf(turn));
  Value document{{"apiVersion", "v1"}, {"kind", "Node"}, {"metadata", {{"name", node.name}, {"annotations", std::move(annotations)}}}};
  if (turn != Turn::none) document["spec"]["unschedulable"] = true;
  else if (node.turn != Turn::staysClosed) document["spec"]["unschedulable"] = nullptr;
  return {.document = std::move(document), .mode = plan::ApplyMode::mark, .access = intent.nodes.access};
}

plan::Object podGone(const Intent& intent, const NodeSeen& node, Op op) {
  return {.document = Value::object({{"apiVersion", "v1"}, {"kind", "Pod"},
                                     {"metadata", Value::object({{"name", manifests::nodeOpName(nameOf(op), node.name)}, {"namespace", "kube-system"}})}}),
          .mode = plan::ApplyMode::absent,
          .access = intent.nodes.access};
}

plan::Object podMade(const Intent& intent, const NodeSeen& node, Op op) {
  std::vector<std::string> command{"kubestrap", "node", "upgrade-worker"};
  command.insert(command.end(), intent.source.begin(), intent.source.end());
  if (op == Op::look) command.emplace_back("--look");
  return {.document = manifests::nodeOpPod(intent.nodes.image, node.name, nameOf(op), command), .mode = plan::ApplyMode::createOnly, .access = intent.nodes.access};
}

void opens(const Intent& intent, const NodeSeen& node, Work& work) {
  work.add(fmt::format("{}: {}", node.name, node.turn == Turn::staysClosed ? "stays closed, as it was found" : "takes pods again"), marked(intent, node, Turn::none));
}

// ---- one worker

void looks(const Intent& intent, const Progress& progress, const NodeSeen& node, Work& work) {
  const bool asked = isToSay(intent, progress, node) && !stops(intent, progress);
  if (node.look.phase.empty() && asked && node.ready) work.add(node.name + ": says whether it can be upgraded", podMade(intent, node, Op::look));
  else if (!node.look.phase.empty() && !node.look.ending && (node.look.stale || !asked)) work.add(node.name + ": has said it", podGone(intent, node, Op::look));
}

/// Of a worker that has its turn, or whose kubelet is being replaced by an earlier driver.
void proceeds(const Intent& intent, const Progress& progress, const NodeSeen& node, Work& work) {
  const auto left = progress.left.find(node.name);
  const bool gone = left != progress.left.end();
  if (!node.swap.phase.empty() && (gone || (isBehind(intent, node) && node.swap.stale))) {
    if (!node.swap.ending) work.add(fmt::format("{}: the pod that did not replace its kubelet is removed", node.name), podGone(intent, node, Op::swap));
    return;
  }
  if (!isInTurn(node)) return;
  if (isUpgraded(intent, node)) {
    if (!node.swap.phase.empty() && !node.swap.ending) work.add(fmt::format("{}: runs {}", node.name, intent.version), podGone(intent, node, Op::swap));
    return opens(intent, node, work);
  }
  if (!drains(intent, node)) return;
  if (gone ? !left->second.broken : stops(intent, progress)) {
    if (node.ready) opens(intent, node, work); // else an earlier driver may have left it broken
    return;
  }
  if (gone || !node.report || !node.report->obstacles.empty()) return;
  if (!node.closed) work.add(fmt::format("{}: is closed", node.name), marked(intent, node, node.turn)); // somebody has opened it
  else if (node.pods.empty()) work.add(fmt::format("{}: its kubelet is replaced", node.name), podMade(intent, node, Op::swap));
}

// ---- whose turn it is, and who is closed meanwhile

/// Nodes that pods may go to, and from which they need not go again.
std::vector<Room> havens(const Intent& intent, const Progress& progress, const Seen& seen) {
  std::vector<Room> free;
  for (const auto& node : seen.nodes) {
    const bool opensLater = node.turn == Turn::ahead;
    if (node.ready && !node.tainted && !isInTurn(node) && !isToCome(intent, progress, node) && (!node.closed || opensLater)) free.push_back(node.free);
  }
  return free;
}

std::vector<const NodeSeen*> toCome(const Intent& intent, const Progress& progress, const Seen& seen) {
  std::vector<const NodeSeen*> waiting;
  for (const auto& node : seen.nodes)
    if (isToCome(intent, progress, node) && node.ready) waiting.push_back(&node);
  // As long as there is nowhere better to go, pods that move will move again: of few pods few do.
  std::ranges::stable_sort(waiting, {}, [](const NodeSeen* each) { return each->pods.size(); });
  return waiting;
}

void wants(const NodeSeen& node, std::vector<Room>& all) {
  for (const auto& pod : node.pods) all.push_back(pod.wants);
}

/// Those that are closed ahead are opened: pods have nowhere else to go, or nothing more is begun.
void opensAhead(const Intent& intent, const Seen& seen, Work& work) {
  for (const auto& node : seen.nodes)
    if (node.turn == Turn::ahead) opens(intent, node, work);
}

void takeTurns(const Intent& intent, const Progress& progress, const Seen& seen, Work& work) {
  const auto waiting = toCome(intent, progress, seen);
  const auto busy = static_cast<std::size_t>(std::ranges::count_if(seen.nodes, [&](const NodeSeen& each) { return isInTurn(each) && !progress.left.contains(each.name); }));
  const auto count = std::min(waiting.size(), intent.width > busy ? intent.width - busy : 0);
  if (count == 0) return;
  std::vector<Room> moving;
  for (const auto& node : seen.nodes)
    if (drains(intent, node)) wants(node, moving);
  for (std::size_t i = 0; i < count; ++i) {
    const auto& node = *waiting[i];
    wants(node, moving);
    work.add(fmt::format("{}: is closed, and its pods move", node.name),
             marked(intent, node, node.closed && node.turn == Turn::none ? Turn::staysClosed : Turn::its));
  }
  const auto free = havens(intent, progress, seen);
  const bool room = free.size() > progress.tightAt && fits(std::move(moving), free);
  for (std::size_t i = count; i < waiting.size(); ++i) {
    const auto& node = *waiting[i];
    if (room && node.turn == Turn::none && !node.closed) work.add(fmt::format("{}: is closed until its turn comes", node.name), marked(intent, node, Turn::ahead));
    if (!room && node.turn == Turn::ahead) opens(intent, node, work);
  }
}

// ---- what is waited for

std::string lackingPods(const NodeSeen& node) {
  std::vector<std::string> names;
  for (const auto& pod : node.pods) names.push_back(pod.refused.empty() ? pod.name : fmt::format("{} ({})", pod.name, pod.refused));
  return fmt::format("{} still on it: {}", names.size(), join(names, ", "));
}

std::string lacking(const Intent& intent, const NodeSeen& node) {
  if (drains(intent, node)) return lackingPods(node);
  if (node.swap.ending) return "the pod that was to replace its kubelet is not gone yet";
  if (!node.swap.phase.empty() && !hasEnded(node.swap)) return fmt::format("its kubelet is replaced{}", node.swap.phase == "Pending" ? " in a moment" : "");
  if (isBehind(intent, node)) return fmt::format("its kubelet still says {}", node.version);
  return "it is not Ready";
}

std::optional<Next> waits(const Intent& intent, const Progress& progress, const Seen& seen) {
  std::vector<std::string> silent, names, all;
  for (const auto& node : seen.nodes) {
    if (isToSay(intent, progress, node) && !cannotSay(node)) silent.push_back(node.name);
    const auto left = progress.left.find(node.name);
    if (!isInTurn(node) || left != progress.left.end()) continue;
    names.push_back(node.name);
    all.push_back(fmt::format("{}: {}", node.name, lacking(intent, node)));
  }
  if (!silent.empty() && !stops(intent, progress))
    return Waiting{"every worker has said whether it can be upgraded", join(silent, ", ") + " not yet", lookPatience * 2, // each has a clock of its own
                   "look at: kubectl -n kube-system get pods -l kubestrap.io/node-op=upgrade-look"};
  if (names.empty() && !stops(intent, progress)) {
    for (const auto& node : seen.nodes)
      if (isToCome(intent, progress, node)) silent.push_back(node.name);
    if (!silent.empty()) return Waiting{join(silent, ", ") + " can have their turn", "they are not Ready", readyPatience * 2, "look at their kubelets: journalctl -u kubelet"};
  }
  if (names.empty()) return std::nullopt;
  // Each worker has deadlines of its own, which end earlier.
  return Waiting{fmt::format("{} on {}", intent.version, join(names, ", ")), join(all, "; "), intent.drainPatience + 2 * (swapPatience + readyPatience),
                 "look at: kubectl get nodes,pdb -A"};
}

Stuck whatIsLeft(const Progress& progress) {
  std::vector<std::string> causes, remedies;
  for (const auto& [node, left] : progress.left) {
    causes.push_back(fmt::format("{}: {}", node, left.cause));
    if (!left.remedy.empty() && std::ranges::find(remedies, left.remedy) == remedies.end()) remedies.push_back(left.remedy);
  }
  return {fmt::format("not upgraded: {}", join(causes, "; ")), join(remedies, "; ")};
}

std::optional<Stuck> cannotBe(const Intent& intent, const Seen& seen) {
  std::vector<std::string> older;
  for (const auto& [node, version] : seen.apiServers)
    if (isOlder(version, intent.version)) older.push_back(fmt::format("{} has {}", node, version));
  if (older.empty()) return std::nullopt;
  return Stuck{fmt::format("a kubelet may not be newer than an API server, and the cluster is at {}: {}", intent.version, join(older, ", ")),
               "first upgrade the control planes: kubestrap upgrade apply, then kubestrap upgrade node on each further one"};
}

std::string silence(const NodeSeen& node) {
  const auto& [phase, trouble, said, stale, ending] = node.look;
  if (!trouble.empty()) return "it cannot be asked: " + trouble;
  if (phase == "Failed") return "it cannot be asked: " + (said.empty() ? "its pod failed" : said);
  return fmt::format("it did not say within {} whether it can be upgraded", humanDuration(lookPatience));
}

/// What can be said before anything is touched.
std::vector<std::string> obstacles(const Intent& intent, const NodeSeen& node) {
  std::vector<std::string> all;
  // One that was well when it was asked may be away for a moment.
  if (!node.ready && (!node.report || node.unready > readyPatience)) all.emplace_back("it is not Ready");
  std::vector<std::string> alone;
  for (const auto& pod : node.pods)
    if (pod.alone && !intent.force) alone.push_back(pod.name);
  if (!alone.empty()) all.push_back(fmt::format("nobody makes {} anew elsewhere", join(alone, ", ")));
  if (node.ready && !node.report && cannotSay(node)) all.push_back(silence(node));
  if (node.report) all.insert(all.end(), node.report->obstacles.begin(), node.report->obstacles.end());
  return all;
}

std::optional<Left> blocked(const Intent& intent, const NodeSeen& node) {
  if (node.pods.empty() || node.drains <= intent.drainPatience) return std::nullopt;
  return Left{fmt::format("its pods had not left it after {}, {}", humanDuration(intent.drainPatience), lackingPods(node)),
              "a disruption budget that allows one more pod to be away lets them go (kubectl get pdb -A); --drain-timeout waits longer, --skip-blocked goes on with the others"};
}

std::optional<Left> unwell(const Intent& intent, const NodeSeen& node) {
  const auto look = fmt::format("look at journalctl -u kubelet on {}; pods do not come to it until kubestrap upgrade workers has been run again", node.name);
  if (node.swap.phase == "Failed" && !node.swap.stale) return Left{fmt::format("its kubelet was not replaced: {}", node.swap.said), look, true};
  if (!node.swap.trouble.empty() && !node.swap.stale) return Left{fmt::format("the pod that replaces its kubelet does not start: {}", node.swap.trouble), look, true};
  if (!node.swap.phase.empty() && !hasEnded(node.swap) && node.swaps > swapPatience)
    return Left{fmt::format("its kubelet was not replaced within {}", humanDuration(swapPatience)), look, true};
  if (!node.swap.phase.empty() && !hasEnded(node.swap) && node.unready > readyPatience)
    return Left{fmt::format("while its kubelet was replaced it was not Ready for {}", humanDuration(readyPatience)), look, true};
  if (node.settles > readyPatience && !isUpgraded(intent, node)) return Left{fmt::format("its kubelet was replaced, and after {} {}", humanDuration(readyPatience), lacking(intent, node)), look, true};
  return std::nullopt;
}

} // namespace

bool isInTurn(const NodeSeen& node) { return node.turn == Turn::its || node.turn == Turn::staysClosed; }

std::string_view nameOf(Turn turn) { return turns[static_cast<std::size_t>(turn)]; }

Turn turnOf(std::string_view name) {
  const auto found = std::ranges::find(turns, name);
  return found == turns.end() ? Turn::none : static_cast<Turn>(found - turns.begin());
}

bool isBehind(const Intent& intent, const NodeSeen& node) { return isOlder(node.version, intent.version); }

bool fits(std::vector<Room> wanted, std::vector<Room> free) {
  std::ranges::sort(wanted, std::greater<>(), [](const Room& each) { return std::pair(each.memory, each.cpu); });
  return std::ranges::all_of(wanted, [&](const Room& pod) {
    const auto found = std::ranges::find_if(free, [&](const Room& room) { return room.cpu >= pod.cpu && room.memory >= pod.memory && room.pods >= pod.pods; });
    if (found == free.end()) return false;
    *found = {found->cpu - pod.cpu, found->memory - pod.memory, found->pods - pod.pods};
    return true;
  });
}

std::set<std::string> emptied(const Intent& intent, const Progress& progress, const Seen& seen) {
  std::set<std::string> names;
  if (stops(intent, progress) || cannotBe(intent, seen) || !haveSaid(intent, progress, seen)) return names;
  for (const auto& node : seen.nodes)
    if (drains(intent, node) && node.closed && !progress.left.contains(node.name)) names.insert(node.name);
  return names;
}

std::map<std::string, Left> leftBehind(const Intent& intent, const Progress& progress, const Seen& seen) {
  std::map<std::string, Left> left;
  const bool said = haveSaid(intent, progress, seen);
  for (const auto& node : seen.nodes) {
    if (progress.left.contains(node.name)) continue;
    std::optional<Left> found;
    if (said && (isToCome(intent, progress, node) || drains(intent, node)))
      if (const auto all = obstacles(intent, node); !all.empty())
        found = Left{join(all, "; "), "put it right, or let the others go on without it: --skip-blocked; --force lets pods go that nobody makes anew"};
    if (!found && drains(intent, node)) found = blocked(intent, node);
    if (!found && isInTurn(node)) found = unwell(intent, node);
    if (found) left[node.name] = *std::move(found);
  }
  return left;
}

Progress remembered(const Intent& intent, Progress progress, const Seen& seen) {
  auto left = leftBehind(intent, progress, seen);
  progress.left.merge(left);
  const bool ahead = std::ranges::any_of(seen.nodes, [](const NodeSeen& each) { return each.turn == Turn::ahead; });
  if (seen.homeless > 0 && ahead) progress.tightAt = std::max(progress.tightAt, havens(intent, progress, seen).size());
  return progress;
}

Next next(const Intent& intent, const Progress& progress, const Seen& seen) {
  if (auto stuck = cannotBe(intent, seen)) return *std::move(stuck);
  Work work;
  for (const auto& node : seen.nodes) looks(intent, progress, node, work);
  for (const auto& node : seen.nodes) proceeds(intent, progress, node, work);
  if (stops(intent, progress)) opensAhead(intent, seen, work);
  else if (haveSaid(intent, progress, seen)) takeTurns(intent, progress, seen, work);
  if (work.resources.empty() && seen.homeless > 0) opensAhead(intent, seen, work);
  // None is closed without a reason: those that another run has closed ahead, and this one was not asked for.
  if (work.resources.empty())
    for (const auto& node : seen.nodes)
      if (node.turn == Turn::ahead && !isToCome(intent, progress, node)) opens(intent, node, work);
  if (!work.resources.empty()) return Step{join(work.names, "; "), std::move(work.resources)};
  if (auto waiting = waits(intent, progress, seen)) return *std::move(waiting);
  if (!progress.left.empty()) return whatIsLeft(progress);
  return plan::Done{};
}

namespace {

void assume(const Intent& intent, const plan::Object& object, NodeSeen& node) {
  const auto kind = stringAt(object.document, "kind"), name = stringAt(object.document, "metadata.name");
  if (kind == "Node" && name == node.name) {
    const auto& value = object.document.at("metadata").at("annotations").at(std::string(annotation));
    node.turn = value.is_string() ? turnOf(value.get<std::string>()) : Turn::none;
    if (const auto* closed = object.document.contains("spec") ? find(object.document, "spec.unschedulable") : nullptr) node.closed = *closed == true;
    return;
  }
  const bool made = object.mode == plan::ApplyMode::createOnly;
  if (kind != "Pod") return;
  if (name == manifests::nodeOpName(nameOf(Op::look), node.name)) {
    node.look = made ? OpSeen{.phase = "Succeeded", .trouble = {}, .said = {}} : OpSeen{};
    if (made) node.report = Report{};
  } else if (name == manifests::nodeOpName(nameOf(Op::swap), node.name)) {
    node.swap = made ? OpSeen{.phase = "Succeeded", .trouble = {}, .said = {}} : OpSeen{};
    if (made) node.version = intent.version;
  }
}

} // namespace

Seen assumed(const Intent& intent, Seen seen, const Next& done) {
  if (const auto* step = std::get_if<Step>(&done)) {
    for (const auto& resource : step->work)
      if (const auto* object = std::get_if<plan::Object>(&resource))
        for (auto& node : seen.nodes) assume(intent, *object, node);
  } else if (std::holds_alternative<Waiting>(done)) {
    for (auto& node : seen.nodes)
      if (drains(intent, node)) node.pods.clear();
  }
  return seen;
}

} // namespace kubestrap::phases::workers
