#include "phases/fleet.hpp"

#include "phases/taints.hpp"
#include "support/ip.hpp"
#include "support/text.hpp"
#include "support/version.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

namespace kubestrap::phases::fleet {

namespace {

const HostWish* find(const Wish& wish, std::string_view name) {
  const auto found = std::ranges::find(wish.hosts, name, &HostWish::name);
  return found == wish.hosts.end() ? nullptr : &*found;
}

std::vector<const HostWish*> controlPlanes(const Wish& wish) {
  std::vector<const HostWish*> found;
  for (const auto& host : wish.hosts)
    if (host.controlPlane) found.push_back(&host);
  return found;
}

std::string namesOf(const std::vector<const HostWish*>& hosts) {
  std::vector<std::string> names;
  for (const auto* host : hosts) names.push_back(host->name);
  return join(names, ", ");
}

bool isBegun(const HostSeen& host) { return host.node || host.controlPlane || !host.begun.empty(); }

/// Which machine begins the cluster: one that has not come to the end of it, or the first. Nothing: there is one already.
struct Beginning {
  const HostWish* host = nullptr;
  std::optional<Trouble> trouble;
};

Beginning beginning(const Wish& wish, const Seen& seen) {
  if (!seen.asked.empty()) return {};
  const auto all = controlPlanes(wish);
  std::vector<const HostWish*> silent, begun;
  for (const auto* host : all) {
    if (!seen.of(host->name).unreachable.empty()) silent.push_back(host);
    else if (isBegun(seen.of(host->name))) begun.push_back(host);
  }
  if (begun.size() == 1 && seen.of(begun.front()->name).begun == "init") return {begun.front(), {}};
  if (!begun.empty())
    return {nullptr, Trouble{"", fmt::format("no API server answers on {}", namesOf(begun)), fmt::format("kubestrap status on {} says what is wrong there", begun.front()->name)}};
  if (!silent.empty())
    return {nullptr, Trouble{"", fmt::format("no cluster is seen, but {} cannot be reached and may have one", namesOf(silent)),
                             "bring it back; or, if it never had one, take it out of the file for now"}};
  return {all.front(), {}};
}

/// Why a machine that answers cannot be what the file wants.
std::optional<Trouble> troubleOf(const HostWish& host, const HostSeen& there, const Wish& wish, const Seen& seen) {
  const bool other = wish.others.contains(there.machine);
  if (!other && !wish.machine.empty() && wish.common.binary.wanted() && there.machine != wish.machine)
    return Trouble{host.name, fmt::format("it is {}, and the program is for {}", there.machine, wish.machine), "name one for its architecture below architectures, in the file's Cluster"};
  if (wish.bringsBundle() && !wish.broughtTo(there).bundle.wanted())
    return Trouble{host.name, fmt::format("it is {}, and there is a bundle for others only", there.machine), "name one for its architecture below architectures, in the file's Cluster"};
  if (seen.asked.empty()) return std::nullopt;
  const auto* node = seen.node(host.name);
  const auto& ours = seen.of(seen.asked).authorities;
  if (!there.authorities.empty() && !ours.empty() && std::ranges::find_first_of(there.authorities, ours) == there.authorities.end())
    return Trouble{host.name, fmt::format("it belongs to another cluster than {}", seen.asked), fmt::format("kubestrap reset on {}, if it shall belong to this one", host.name)};
  if ((there.begun.empty() || there.begun == "upgrade") && there.node && node && node->controlPlane != host.controlPlane)
    return Trouble{host.name, fmt::format("it is a {}, and shall be a {}", node->controlPlane ? "control plane" : "worker", host.controlPlane ? "control plane" : "worker"),
                   fmt::format("kubestrap node remove {} on another control plane, then apply again", host.name)};
  if (!isBegun(there) && node && node->ready)
    return Trouble{host.name, fmt::format("the cluster has a node {} that is Ready, and the machine at {} is none", host.name, host.address),
                   "if it was just made bare, apply again in a minute; else two machines have this name"};
  return std::nullopt;
}

/// By which what is brought there is found again.
std::string keyOf(const HostSeen& there, const Wish& wish) { return wish.others.contains(there.machine) ? there.machine : std::string(); }

/// `has`: the digest of what is there.
Step copy(Task task, const std::string& has, const HostWish& host, const HostSeen& there, const Wish& wish) {
  return {.host = host.name, .task = task, .reason = has.empty() ? "missing" : "differs", .machine = keyOf(there, wish)};
}

void bring(const HostWish& host, const HostSeen& there, const Wish& wish, std::vector<Step>& steps) {
  const auto& brought = wish.broughtTo(there);
  if (!brought.binary.is(there.binary)) steps.push_back(copy(Task::copyBinary, there.binary, host, there, wish));
  if (brought.image.wanted() && !brought.image.is(there.image)) steps.push_back(copy(Task::copyImage, there.image, host, there, wish));
}

void prepare(const HostWish& host, const HostSeen& there, const Wish& wish, std::vector<Step>& steps) {
  if (const auto& bundle = wish.broughtTo(there).bundle; bundle.wanted()) {
    if (!bundle.is(there.bundle)) steps.push_back(copy(Task::copyBundle, there.bundle, host, there, wish));
    steps.push_back({.host = host.name, .task = Task::load, .reason = "", .machine = keyOf(there, wish)});
  }
  steps.push_back({host.name, Task::prepare, ""});
}

void label(const HostWish& host, const Labels& has, std::vector<Step>& steps) {
  std::vector<std::string> words;
  for (const auto& [name, value] : labelChanges(host.labels, has)) words.push_back(value ? name + "=" + *value : name + "-");
  if (!words.empty()) steps.push_back({host.name, Task::label, join(words, ", ")});
}

void taint(const HostWish& host, const std::optional<Labels>& has, Plan& plan, std::vector<Step>& steps) {
  const std::string unknown = "taints are compared by the next apply, when kubestrap there is the file's";
  if (!has) {
    if (host.taints && std::ranges::find(plan.notes, unknown) == plan.notes.end()) plan.notes.push_back(unknown);
    return;
  }
  std::vector<std::string> words;
  for (const auto& [name, value] : taintChanges(host.taints, host.controlPlane, *has)) words.push_back(taintWord(name, value));
  if (!words.empty()) steps.push_back({host.name, Task::taint, join(words, ", ")});
}

/// Certificates, etcd and others' files have it: that is a command of its own, on the machine.
void address(const HostWish& host, const HostSeen& there, const NodeSeen& node, Plan& plan) {
  const auto wanted = IpAddress::parse(host.address);
  const auto differs = [&](const std::string& has) { return wanted && !has.empty() && IpAddress::parse(has) != wanted; };
  const bool nodes = !host.ownNodeIp && !node.addresses.empty() && std::ranges::all_of(node.addresses, differs);
  if (!nodes && !differs(there.advertised)) return;
  plan.notes.push_back(fmt::format("{} {} {}, and the file says {}: it stays so; once the machine has that address: kubestrap node readdress --to {}, on {}", host.name,
                                   nodes ? "has the address" : "has an API server that tells others", nodes ? join(node.addresses, ", ") : there.advertised, host.address, host.address, host.name));
}

bool isPlanned(Task task, const std::string& host, const std::vector<Step>& steps) {
  return std::ranges::any_of(steps, [&](const Step& each) { return each.task == task && each.host == host; });
}

bool isOlder(const std::string& version, const std::string& than) {
  const auto has = readVersion(version), wanted = readVersion(than);
  return has && wanted && *has < *wanted;
}

/// First the control plane that speaks for the cluster, then the others, then workers; only those that are nodes and can be reached.
std::vector<const HostWish*> toUpgrade(const Wish& wish, const Seen& seen, const Plan& plan) {
  std::vector<const HostWish*> hosts;
  for (const auto& host : wish.hosts) {
    const bool troubled = std::ranges::find(plan.troubles, host.name, &Trouble::host) != plan.troubles.end();
    if (!troubled && seen.of(host.name).node && seen.node(host.name)) hosts.push_back(&host);
  }
  std::ranges::stable_sort(hosts, {}, [&](const HostWish* host) { return host->name == seen.asked ? 0 : host->controlPlane ? 1 : 2; });
  return hosts;
}

/// In layout hosted only a control plane in its own cluster can be upgraded.
bool staysStatic(const Wish& wish, const Seen& seen) { return seen.hosted && !seen.selfHosted && !wish.selfHosted; }

/// What of an upgrade is done on one node.
struct Part {
  const HostWish* host = nullptr;
  bool cluster = false, itself = false; ///< `upgrade apply`, which is the whole cluster's; `upgrade node`
  bool apiServer = false;               ///< by the latter the API server there changes, too
  bool begun = false;
  bool keepsKubelet = false; ///< an older one: nothing brings another
};

Part partOf(const HostWish& host, const Wish& wish, const Seen& seen) {
  const auto& there = seen.of(host.name);
  const bool speaks = host.name == seen.asked, older = isOlder(there.apiServer, wish.version);
  const bool kubelet = isOlder(seen.node(host.name)->version, wish.version), brings = kubelet && wish.broughtTo(there).kubelet == wish.version;
  Part part{.host = &host, .keepsKubelet = kubelet && !brings};
  part.begun = there.begun == "upgrade" && !isOlder(wish.version, seen.version); // else it was for a version that the file does not have any more
  part.cluster = speaks && !staysStatic(wish, seen) && (isOlder(seen.version, wish.version) || older || part.begun);
  part.apiServer = !speaks && !seen.hosted && older;
  part.itself = brings || part.apiServer || (part.begun && !part.cluster);
  return part;
}

/// To the version of the file. The kubelets' part is only done where a bundle brings one: otherwise they are packages'.
void upgrades(const Wish& wish, const Seen& seen, Plan& plan, std::vector<Step>& preparing, std::vector<Step>& steps) {
  if (seen.asked.empty() || wish.version.empty()) return;
  if (isOlder(wish.version, seen.version)) plan.notes.push_back(fmt::format("the cluster has Kubernetes {}, and the file says {}: there is no way back, it is left as it is", seen.version, wish.version));
  if (isOlder(seen.version, wish.version) && staysStatic(wish, seen)) {
    plan.troubles.push_back({"", fmt::format("Kubernetes {} cannot become {}: the control plane of layout hosted is static pods, and only in its own cluster can it be upgraded", seen.version, wish.version),
                             fmt::format("hosting: self in the file's KubestrapConfiguration, by which it passes there first; or kubestrap pivot on {}", seen.asked)});
    return;
  }
  std::vector<Part> parts;
  for (const auto* host : toUpgrade(wish, seen, plan)) parts.push_back(partOf(*host, wish, seen));
  const bool cluster = std::ranges::any_of(parts, &Part::cluster);
  std::vector<std::string> older;
  for (const auto& part : parts) {
    const auto& name = part.host->name;
    if (part.keepsKubelet) older.push_back(name);
    const auto key = keyOf(seen.of(name), wish);
    if (wish.bringsBundle() && (cluster || part.itself)) preparing.push_back({.host = name, .task = Task::copyBundle, .reason = "where it is not there", .machine = key});
    if (wish.bringsBundle() && cluster) preparing.push_back({.host = name, .task = Task::loadAhead, .reason = "without its kubelet", .machine = key});
    const auto reason = [&](const std::string& from) { return part.begun ? std::string("goes on") : fmt::format("{} to {}", from, wish.version); };
    if (part.cluster) steps.push_back({name, Task::upgrade, reason(seen.version), true});
    if (part.itself)
      steps.push_back({.host = name, .task = Task::upgradeNode, .reason = reason(part.apiServer ? seen.of(name).apiServer : seen.node(name)->version), .controlPlane = part.host->controlPlane,
                       .apiServer = part.apiServer});
  }
  if (!older.empty()) plan.notes.push_back(fmt::format("older kubelets than {}: {}; a bundle with that kubelet brings it, or your packages do", wish.version, join(older, ", ")));
}

/// Add-ons of the file for which the bundle has another manifest than a node. What they run is in that bundle, too, and has to be everywhere before they are applied.
void manifests(const Wish& wish, const Seen& seen, const Plan& plan, std::vector<Step>& preparing) {
  for (const auto* host : toUpgrade(wish, seen, plan)) {
    const auto& there = seen.of(host->name);
    std::vector<std::string> others;
    for (const auto& [name, digest] : wish.broughtTo(there).manifests)
      if (const auto has = there.manifests.find(name); has == there.manifests.end() || has->second != digest) others.push_back(name);
    const auto gets = [&](Task task) { return isPlanned(task, host->name, preparing); };
    if (others.empty() || gets(Task::load) || gets(Task::loadAhead)) continue;
    const auto key = keyOf(there, wish);
    if (!gets(Task::copyBundle)) preparing.push_back({.host = host->name, .task = Task::copyBundle, .reason = "where it is not there", .machine = key});
    preparing.push_back({.host = host->name, .task = Task::loadAhead, .reason = "without its kubelet; its manifests are others: " + join(others, ", "), .machine = key});
  }
}

/// Those that the file does not have. Who is gone goes first: while its member of etcd counts, the others are short of one.
void removals(const Wish& wish, const Seen& seen, Plan& plan, std::vector<Step>& gone, std::vector<Step>& living) {
  std::vector<std::string> kept;
  for (const auto& node : seen.nodes) {
    if (find(wish, node.name)) continue;
    if (!wish.prune) kept.push_back(node.name + (node.ready ? "" : " (not Ready)"));
    else if (node.ready) living.push_back({node.name, Task::remove, "not in the file", node.controlPlane, true});
    else gone.push_back({node.name, Task::forget, "not in the file, and not Ready", node.controlPlane});
  }
  if (!kept.empty()) plan.notes.push_back(fmt::format("in the cluster and not in the file: {}; --prune takes them out", join(kept, ", ")));
}

/// What the file does not ask for is left: back to static pods is an operator's own doing.
std::vector<Step> pivots(const Wish& wish, const Seen& seen, Plan& plan) {
  if (!wish.selfHosted || seen.asked.empty() || seen.selfHosted || seen.version.empty() || seen.of(seen.asked).begun == "init") return {};
  if (seen.hosted) return {{seen.asked, Task::pivot, "static pods", true}};
  plan.notes.push_back("hosting: self needs layout hosted, and the control planes are plain: they are left so; kubestrap convert --to hosted makes them hosted");
  return {};
}

/// To the control plane that speaks for the cluster.
bool isBrought(Task task, const Seen& seen, const std::vector<Step>& preparing) { return isPlanned(task, seen.asked, preparing); }

/// Why something cannot be as the file has it. A kubestrap that is about to be replaced may not know the question.
void tellKept(const SettingsSeen& kept, std::string_view what, const Seen& seen, const std::vector<Step>& preparing, Plan& plan) {
  if (isBrought(Task::copyBinary, seen, preparing) && !(kept.refused + kept.failed).empty()) plan.notes.push_back(fmt::format("{} are compared by the next apply, when kubestrap there is the file's", what));
  else if (!kept.refused.empty()) plan.notes.push_back(fmt::format("{} stay as they are: {}{}", what, kept.refused, kept.hint.empty() ? "" : "; " + kept.hint));
  else if (!kept.failed.empty()) plan.troubles.push_back({seen.asked, fmt::format("its {} cannot be compared with the file's: {}", what, kept.failed), kept.hint});
}

/// Plain control planes are changed one by one: the one that speaks for the cluster first, which keeps them in the cluster, and then the others by that,
/// those too that join before it.
void otherNodesFollow(const Wish& wish, const Seen& seen, const Plan& plan, std::vector<Step>& steps) {
  const bool changes = !steps.empty();
  for (const auto* host : controlPlanes(wish)) {
    const auto* node = seen.node(host->name);
    const bool troubled = std::ranges::find(plan.troubles, host->name, &Trouble::host) != plan.troubles.end();
    if (troubled || (changes && host->name == seen.asked)) continue;
    if (changes || (node && node->settingsFollow)) steps.push_back({host->name, Task::settingsNode, "as the cluster keeps them", true});
  }
}

/// After everything else at the control planes.
std::vector<Step> settingsFollow(const Wish& wish, const Seen& seen, const std::vector<Step>& preparing, Plan& plan) {
  tellKept(seen.settings, "settings", seen, preparing, plan);
  std::vector<Step> steps;
  if (!seen.settings.steps.empty()) steps.push_back({seen.asked, Task::settings, join(seen.settings.steps, "; "), true});
  if (!seen.asked.empty() && !seen.hosted) otherNodesFollow(wish, seen, plan, steps);
  return steps;
}

/// And after that, since both write what the cluster keeps of its configuration. A bundle brings manifests, which are compared once they are there.
std::vector<Step> addonsFollow(const Wish& wish, const Seen& seen, const std::vector<Step>& preparing, Plan& plan) {
  if (!wish.addons || seen.asked.empty() || seen.of(seen.asked).begun == "init") return {};
  const auto& addons = seen.addons;
  for (const auto& name : addons.beyond) plan.notes.push_back(fmt::format("{} is installed, and the file does not have it: it stays; kubestrap addons remove {}, on {}", name, name, seen.asked));
  if (isBrought(Task::copyBundle, seen, preparing)) return {{seen.asked, Task::addons, addons.steps.empty() ? "as the bundle has them" : join(addons.steps, ", "), true}};
  tellKept(addons, "add-ons", seen, preparing, plan);
  if (addons.steps.empty()) return {};
  return {{seen.asked, Task::addons, join(addons.steps, ", "), true}};
}

} // namespace

std::map<std::string, std::optional<std::string>> labelChanges(const std::map<std::string, std::string>& wanted, const Labels& has) {
  std::map<std::string, std::optional<std::string>> changes;
  for (const auto& [name, value] : wanted)
    if (const auto found = has.all.find(name); found == has.all.end() || found->second != value) changes[name] = value;
  for (const auto& name : has.given)
    if (!wanted.contains(name) && has.all.contains(name)) changes[name] = std::nullopt;
  return changes;
}

const Brought& Wish::broughtTo(const HostSeen& host) const {
  const auto own = others.find(host.machine);
  return own == others.end() ? common : own->second;
}

bool Wish::bringsBundle() const {
  return common.bundle.wanted() || std::ranges::any_of(others, [](const auto& each) { return each.second.bundle.wanted(); });
}

const HostSeen& Seen::of(const std::string& host) const {
  static const HostSeen nothing{.unreachable = "nobody has looked"};
  const auto found = hosts.find(host);
  return found == hosts.end() ? nothing : found->second;
}

const NodeSeen* Seen::node(std::string_view name) const {
  const auto found = std::ranges::find(nodes, name, &NodeSeen::name);
  return found == nodes.end() ? nullptr : &*found;
}

std::string_view nameOf(Task task) {
  switch (task) {
  case Task::copyBinary: return "copy kubestrap";
  case Task::copyImage: return "copy kubestrap's image";
  case Task::copyBundle: return "copy the bundle";
  case Task::load:
  case Task::loadAhead: return "bundle load";
  case Task::prepare: return "preflight --fix";
  case Task::forget: return "forget";
  case Task::upgrade: return "upgrade apply";
  case Task::upgradeNode: return "upgrade node";
  case Task::init: return "init";
  case Task::join: return "join";
  case Task::pivot: return "pivot";
  case Task::settings: return "reconfigure";
  case Task::settingsNode: return "reconfigure node";
  case Task::addons: return "addons apply";
  case Task::label: return "label";
  case Task::taint: return "taint";
  case Task::remove: return "drain, node remove";
  case Task::reset: return "reset";
  }
  return "";
}

bool Plan::stuck() const {
  return std::ranges::any_of(troubles, [](const Trouble& each) { return each.host.empty(); });
}

Plan planApply(const Wish& wish, const Seen& seen) {
  Plan plan{.steps = {}, .troubles = {}, .notes = wish.notes, .busy = {}};
  const auto begins = beginning(wish, seen);
  if (begins.trouble) plan.troubles.push_back(*begins.trouble);
  std::vector<Step> preparing, gone, inits, controlPlaneJoins, workerJoins, labels, taints, living;
  for (const auto& host : wish.hosts) {
    const auto& there = seen.of(host.name);
    if (!there.unreachable.empty()) {
      plan.troubles.push_back({host.name, fmt::format("it cannot be reached: {}", there.unreachable), there.hint});
      continue;
    }
    if (!there.busy.empty()) plan.busy.push_back(fmt::format("{} ({})", host.name, there.busy));
    if (auto trouble = troubleOf(host, there, wish, seen)) {
      plan.troubles.push_back(*std::move(trouble));
      continue;
    }
    bring(host, there, wish, preparing);
    const auto* node = seen.node(host.name);
    if (there.node && node && (there.begun.empty() || there.begun == "upgrade")) { // as it shall be
      label(host, node->labels, labels);
      taint(host, node->taints, plan, taints);
      address(host, there, *node, plan);
      continue;
    }
    prepare(host, there, wish, preparing);
    if (!isBegun(there) && node) gone.push_back({host.name, Task::forget, "the machine is bare, and its node is there still", node->controlPlane});
    const auto reason = isBegun(there) ? "goes on" : "";
    if (&host == begins.host || there.begun == "init") inits.push_back({host.name, Task::init, reason, true});
    else (host.controlPlane ? controlPlaneJoins : workerJoins).push_back({host.name, Task::join, reason, host.controlPlane});
    label(host, {}, labels);
    taint(host, Labels{}, plan, taints);
  }
  removals(wish, seen, plan, gone, living);
  std::vector<Step> upgrading;
  upgrades(wish, seen, plan, preparing, upgrading);
  manifests(wish, seen, plan, preparing);
  auto pivoting = pivots(wish, seen, plan);
  // In layout hosted only a control plane in its own cluster can be upgraded, and who joins waits for upgrades.
  if (!upgrading.empty()) upgrading.insert(upgrading.begin(), pivoting.begin(), pivoting.end()), pivoting.clear();
  auto settings = settingsFollow(wish, seen, preparing, plan);
  auto addons = addonsFollow(wish, seen, preparing, plan);
  for (auto* part : {&preparing, &gone, &upgrading, &inits, &controlPlaneJoins, &workerJoins, &pivoting, &settings, &addons, &labels, &taints, &living}) plan.steps.insert(plan.steps.end(), part->begin(), part->end());
  return plan;
}

Plan planDestroy(const Wish& wish, const Seen& seen) {
  Plan plan;
  std::vector<Step> workers, others;
  for (const auto& host : wish.hosts) {
    const auto& there = seen.of(host.name);
    if (!there.unreachable.empty()) plan.troubles.push_back({host.name, fmt::format("it cannot be reached, and stays as it is: {}", there.unreachable), "kubestrap reset --force there, when it is back"});
    else if (!there.busy.empty()) plan.busy.push_back(fmt::format("{} ({})", host.name, there.busy));
    if (!there.unreachable.empty() || there.binary.empty()) continue; // without kubestrap it was never a node of ours
    (host.controlPlane ? others : workers).push_back({host.name, Task::reset, "", host.controlPlane});
  }
  std::ranges::reverse(others);
  for (auto* part : {&workers, &others}) plan.steps.insert(plan.steps.end(), part->begin(), part->end());
  for (const auto& node : seen.nodes)
    if (!find(wish, node.name)) plan.notes.push_back(fmt::format("{} is in the cluster and not in the file: it stays as it is; run kubestrap reset there", node.name));
  return plan;
}

namespace {

bool isOver(State state) { return state == State::done || state == State::failed || state == State::left; }
bool isLost(State state) { return state == State::failed || state == State::left; }

/// Only what the cluster knows of a node.
bool marks(const Step& step) { return step.task == Task::label || step.task == Task::taint; }

bool changesSettings(const Step& step) { return step.task == Task::settings || step.task == Task::settingsNode; }

bool isUpgrade(const Step& step) { return step.task == Task::upgrade || step.task == Task::upgradeNode; }

/// Changes who is in etcd, what API servers run, or what the cluster knows of a node: one after the other.
bool takesTurn(const Step& step) {
  return isUpgrade(step) || step.task == Task::pivot || changesSettings(step) || step.task == Task::addons || step.task == Task::forget || step.task == Task::remove || ((step.task == Task::join || step.task == Task::reset) && step.controlPlane);
}

/// Whether a step cannot be without this earlier one.
bool needs(const Step& step, const Step& earlier) {
  if (step.task == Task::reset) return false;
  // Where one node does not get well, the next one is not touched. But a worker's kubelet asks only that no API server is older.
  if (isUpgrade(step) && isUpgrade(earlier)) return earlier.task == Task::upgrade || earlier.apiServer || step.controlPlane == earlier.controlPlane;
  if ((step.task == Task::upgrade || step.task == Task::addons) && earlier.task == Task::loadAhead) return true; // pods with other images come to all nodes at once
  if (isUpgrade(step) && earlier.task == Task::pivot) return true;
  if (changesSettings(step) && changesSettings(earlier)) return true;
  if ((step.task == Task::pivot || changesSettings(step)) && (isUpgrade(earlier) || (earlier.task == Task::join && earlier.controlPlane))) return true;
  if (marks(step) && (marks(earlier) || earlier.task == Task::pivot || changesSettings(earlier) || earlier.task == Task::addons)) return false;
  if (step.task == Task::addons && changesSettings(earlier)) return false;
  return earlier.host == step.host || ((step.task == Task::join || marks(step)) && earlier.task == Task::init);
}

/// Whether it waits for this earlier one, however that ends.
bool waitsFor(const Step& step, const Step& earlier) {
  if (step.last) return true;
  if (step.task == Task::reset && step.controlPlane) return true;
  if (step.task == Task::join && isUpgrade(earlier)) return true; // no kubelet may be newer than the API servers
  return takesTurn(step) && takesTurn(earlier);
}

/// Steps for which the rules say the same, but for their machines: a thousand machines have a dozen kinds of steps.
struct Alike {
  Step one;
  std::optional<std::size_t> lost = {}; ///< the first that has failed, or was left
  bool allDone = true, allOver = true;

  void add(std::size_t at, State state) {
    if (!lost && isLost(state)) lost = at;
    allDone = allDone && state == State::done;
    allOver = allOver && isOver(state);
  }
};

bool isAlike(const Step& one, const Step& other) {
  return one.task == other.task && one.controlPlane == other.controlPlane && one.last == other.last && one.apiServer == other.apiServer;
}

Alike& kindOf(const Step& step, std::vector<Alike>& kinds) {
  const auto found = std::ranges::find_if(kinds, [&](const Alike& each) { return isAlike(each.one, step); });
  return found == kinds.end() ? kinds.emplace_back(Alike{step}) : *found;
}

/// What the steps before one make of it.
struct Standing {
  std::optional<std::size_t> lost; ///< the first that it needed
  bool mayBegin = true;
};

/// `anywhere`: all of them, as on a machine that has no name; `here`: those of its own.
Standing standingOf(const Step& step, const std::vector<Alike>& anywhere, const std::vector<Alike>& here) {
  Standing standing;
  const auto needed = [&](const Alike& each) {
    if (each.lost && (!standing.lost || *each.lost < *standing.lost)) standing.lost = each.lost;
    if (!each.allDone) standing.mayBegin = false;
  };
  for (const auto& each : anywhere) {
    if (needs(step, each.one)) needed(each);
    if (waitsFor(step, each.one) && !each.allOver) standing.mayBegin = false;
  }
  for (const auto& each : here)
    if (needs(step, each.one)) needed(each);
  return standing;
}

} // namespace

Next next(const Plan& plan, const Progress& progress) {
  Next coming;
  std::vector<Alike> anywhere;
  std::unordered_map<std::string_view, std::vector<Alike>> byHost;
  for (std::size_t at = 0; at < plan.steps.size(); ++at) {
    const auto& step = plan.steps[at];
    auto& here = byHost[step.host];
    auto state = progress[at];
    if (state == State::waiting) {
      const auto standing = standingOf(step, anywhere, here);
      if (standing.lost) coming.left.emplace(at, *standing.lost), state = State::left;
      else if (standing.mayBegin) coming.begin.push_back(at);
    }
    auto nameless = step;
    nameless.host.clear();
    kindOf(nameless, anywhere).add(at, state);
    kindOf(step, here).add(at, state);
  }
  return coming;
}

} // namespace kubestrap::phases::fleet
