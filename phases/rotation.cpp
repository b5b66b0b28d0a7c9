#include "phases/rotation.hpp"

#include "manifests/cluster_objects.hpp"
#include "manifests/node_op.hpp"
#include "phases/node.hpp"
#include "phases/sealed.hpp"
#include "support/encoding.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace kubestrap::phases::rotation {

namespace {

using plan::Next;
using plan::Resources;
using plan::Step;
using plan::Stuck;
using plan::Waiting;

constexpr std::array<std::string_view, 4> stageNames{"former", "trusted", "issuing", "dropped"};
constexpr auto publishing = std::chrono::minutes(2);
constexpr auto onNodePatience = std::chrono::minutes(15);

/// What all nodes that it concerns have to have reached before any goes further.
struct Goal {
  Stage stage = Stage::trusted;
  bool workers = true;
  Kubelet kubelet = Kubelet::follows;
};

/// A kubelet follows when every controller-manager signs as it shall: so it takes a second round.
std::vector<Goal> goalsOf(const Intent& intent) {
  const bool workers = isKnownToWorkers(intent.authority);
  const bool onward = intent.direction == Direction::onward;
  std::vector<Goal> goals;
  // One that has joined since the next one signs has its certificate by that already, and none by the former is to be had.
  if (onward) goals.push_back({Stage::trusted, workers, Kubelet::asItIs});
  const auto turn = onward ? Stage::issuing : Stage::trusted;
  if (workers) goals.push_back({turn, false, Kubelet::asItIs});
  goals.push_back({turn, workers, Kubelet::follows});
  if (!onward) goals.push_back({Stage::former, workers, Kubelet::follows});
  else if (intent.former == Former::goes) goals.push_back({Stage::dropped, workers, Kubelet::follows});
  return goals;
}

bool concerns(const Goal& goal, const NodeSeen& node) { return node.controlPlane || goal.workers; }

bool hasReached(const NodeSeen& node, const Goal& goal) {
  return node.stage == goal.stage && (goal.kubelet == Kubelet::follows ? node.settled : node.settledButKubelet);
}

/// The last goal that a node has reached; -1: none. One that is half-way to a goal has had those before it behind itself.
int reached(const NodeSeen& node, const std::vector<Goal>& goals) {
  int best = -1, halfWay = -1;
  for (int i = 0; i < static_cast<int>(goals.size()); ++i) {
    const auto& goal = goals[static_cast<std::size_t>(i)];
    if (!concerns(goal, node)) continue;
    if (hasReached(node, goal)) best = i;
    else if (halfWay == -1 && node.stage == goal.stage) halfWay = i - 1;
  }
  return std::max(best, halfWay);
}

std::string said(const Goal& goal, const Intent& intent) {
  const auto& what = intent.authority;
  const auto as = goal.kubelet == Kubelet::follows && goal.workers ? ", for the kubelet as well" : ""; // a second round, which has another name
  switch (goal.stage) {
  case Stage::former: return fmt::format("the former {} alone is trusted", what);
  case Stage::trusted:
    return intent.direction == Direction::onward ? fmt::format("the former and the next {} are trusted", what) : fmt::format("the former {} signs again{}", what, as);
  case Stage::issuing: return fmt::format("the next {} signs{}", what, as);
  case Stage::dropped: return fmt::format("the next {} alone is trusted", what);
  }
  return {};
}

plan::Object sealedKey(const Intent& intent, const NodeSeen& node, plan::ApplyMode mode) {
  return sealed({.access = intent.nodes.access, .secret = secretOf(node.name), .member = std::string(keyMember), .file = staged(intent.authority, "next.key"), .receiver = node.receiver}, mode);
}

bool isSelf(const Intent& intent, const NodeSeen& node) { return node.name == intent.setup.node.name; }

Resources work(const Intent& intent, const NodeSeen& node, const Goal& goal) {
  if (isSelf(intent, node)) {
    const auto conf = intent.kubeletConfs.find(goal.stage);
    return onNode(intent.setup, {.authority = intent.authority, .stage = goal.stage, .kubelet = goal.kubelet, .material = intent.material,
                                 .manifests = intent.manifests, .kubeletConf = conf == intent.kubeletConfs.end() ? "" : conf->second});
  }
  Resources all;
  if (node.controlPlane) all.push_back(sealedKey(intent, node, plan::ApplyMode::apply));
  all.push_back(plan::Task{runOn(intent, node.name, said(goal, intent), commandOnNode(intent, goal.stage, goal.kubelet))});
  if (node.controlPlane) all.push_back(sealedKey(intent, node, plan::ApplyMode::absent));
  return all;
}

std::optional<Next> refused(const Intent& intent, const Seen& seen) {
  for (const auto& node : seen.nodes) {
    if (node.ready) continue;
    const auto remedy = "bring it back, or take it out: kubestrap node remove " + node.name;
    // A kubelet that has just been started anew needs a moment.
    if (seen.prepared) return Waiting{node.name + " is Ready", "it is not, and could not follow", publishing, remedy};
    return Stuck{fmt::format("{} is not Ready, and could not follow", node.name), remedy};
  }
  const auto dropped = std::ranges::find(seen.nodes, Stage::dropped, &NodeSeen::stage);
  if (intent.direction == Direction::back && dropped != seen.nodes.end())
    return Stuck{fmt::format("{} has dropped the former {} already", dropped->name, intent.authority),
                 fmt::format("only onward: kubestrap certs rotate-ca {} --resume --drop-former", intent.authority)};
  return std::nullopt;
}

bool isAs(const std::optional<Told>& told, Stage stage) {
  if (!told) return true;
  return told->former == (stage != Stage::dropped) && told->next == (stage != Stage::former);
}

Next clusterInfoStep(const Intent& intent) {
  return Step{"cluster-info: whom joining nodes trust",
              {plan::Object{.document = manifests::clusterInfo(),
                            .access = intent.nodes.access,
                            .fills = {{Pointer(std::string(manifests::clusterInfoKubeconfigAt)),
                                       plan::DiscoveryKubeconfig{intent.setup.outsideEndpoint().url(), trustFile(intent.setup.cluster, "ca")}}}}}};
}

/// API servers add to it, and never take away (Kubernetes: clusterauthenticationtrust).
Next aggregationStep(const Intent& intent, Stage stage) {
  const auto& generation = stage == Stage::former ? intent.material.former : intent.material.next;
  const auto key = intent.authority == "ca" ? "client-ca-file" : "requestheader-client-ca-file";
  return Step{"extension-apiserver-authentication: whom aggregated API servers trust",
              {plan::Object{.document = Value::object({{"apiVersion", "v1"}, {"kind", "ConfigMap"},
                                                       {"metadata", Value::object({{"name", "extension-apiserver-authentication"}, {"namespace", "kube-system"}})},
                                                       {"data", Value::object({{key, generation.certificate}})}}),
                            .mode = plan::ApplyMode::mark, .access = intent.nodes.access}}};
}

Next uploadedStep(const Intent& intent) {
  return Step{"kubeadm-certs: the keys that were put there for joining control planes are outdated",
              {plan::Object{.document = Value::object({{"apiVersion", "v1"}, {"kind", "Secret"},
                                                       {"metadata", Value::object({{"name", "kubeadm-certs"}, {"namespace", "kube-system"}})}}),
                            .mode = plan::ApplyMode::absent, .access = intent.nodes.access}}};
}

std::string lacking(const Told& told, Stage stage) {
  if (stage != Stage::former && !told.next) return "the next one is not there";
  return stage != Stage::dropped && !told.former ? "the former one is not there" : "one is there that is to go";
}

// ---- components of a control plane that runs in its own cluster

/// Where all nodes are, and none is on its way to what comes then.
std::optional<Stage> commonGoal(const Intent& intent, const Seen& seen) {
  const auto goals = goalsOf(intent);
  const auto haveAll = [&](int i) {
    return std::ranges::all_of(seen.nodes, [&](const auto& node) { return !concerns(goals[static_cast<std::size_t>(i)], node) || reached(node, goals) >= i; });
  };
  int last = -1;
  while (last + 1 < static_cast<int>(goals.size()) && haveAll(last + 1)) ++last;
  if (last < 0) return std::nullopt;
  const auto stage = goals[static_cast<std::size_t>(last)].stage;
  if (!std::ranges::all_of(seen.nodes, [&](const auto& node) { return node.stage == stage || (!node.controlPlane && !isKnownToWorkers(intent.authority)); })) return std::nullopt;
  return stage;
}

/// A flag that the operator has set stays.
void keepOwnSigner(const Intent& intent, const roll::Seen& seen, std::string_view component, manifests::Reading& reading) {
  const auto present = manifests::signerOf(manifests::component(component), seen.components.at(std::string(component)).podTemplate);
  if (present != trustFile(intent.setup.cluster, "ca") && present != signerFile(intent.setup.cluster)) reading.signer.clear();
}

std::optional<Next> componentsFollow(const Intent& intent, const Seen& seen) {
  const auto now = rollNow(intent, seen);
  if (!now) return std::nullopt;
  auto step = roll::next(*now, seen.failure, *seen.hosted);
  if (std::holds_alternative<plan::Done>(step)) return std::nullopt;
  return step;
}

/// What the cluster tells everybody, when all nodes are at a stage.
std::optional<Next> published(const Intent& intent, const Seen& seen, Stage stage) {
  if (seen.clusterInfo && !isAs(seen.clusterInfo, stage)) return clusterInfoStep(intent);
  if (seen.uploaded && stage != Stage::trusted && stage != Stage::former) return uploadedStep(intent);
  if (!isAs(seen.rootCertificates, stage))
    return Waiting{"kube-root-ca.crt says whom to trust in every namespace", lacking(*seen.rootCertificates, stage), publishing,
                   "the controller-manager writes it: look at its log"};
  if (!seen.aggregation || isAs(seen.aggregation, stage)) return std::nullopt;
  const bool lacks = (stage != Stage::former && !seen.aggregation->next) || (stage != Stage::dropped && !seen.aggregation->former);
  if (!lacks) return aggregationStep(intent, stage);
  return Waiting{"extension-apiserver-authentication says whom aggregated API servers trust", lacking(*seen.aggregation, stage), publishing,
                 "API servers write it: look at their logs"};
}

std::optional<Next> soaking(const Intent& intent, const Seen& seen, const Goal& coming) {
  if (coming.stage != Stage::dropped || seen.issuedFor >= intent.soak) return std::nullopt;
  if (std::ranges::any_of(seen.nodes, [](const auto& node) { return node.stage == Stage::dropped; })) return std::nullopt;
  return Waiting{"tokens that the former key signed have been followed by others", fmt::format("it has signed nothing for {}", humanDuration(seen.issuedFor)),
                 intent.soak + publishing, "it may be stopped here, and gone on with later"};
}

Next forgetting(const Intent& intent, const Seen& seen) {
  for (auto node = seen.nodes.rbegin(); node != seen.nodes.rend(); ++node) {
    if (!node->staged) continue;
    const auto name = fmt::format("{}: what only the rotation needed is removed", node->name);
    if (isSelf(intent, *node)) return Step{name, forgotten(intent.authority)};
    return Step{name, {plan::Task{runOn(intent, node->name, name, {"kubestrap", "node", "rotate", intent.authority, "--forget"})}}};
  }
  return plan::Done{};
}

bool isOver(const Intent& intent) { return intent.direction == Direction::back || intent.former == Former::goes; }

} // namespace

std::string_view name(Stage stage) { return stageNames[static_cast<std::size_t>(stage)]; }

std::optional<Stage> parseStage(std::string_view text) {
  const auto found = std::ranges::find(stageNames, text);
  if (found == stageNames.end()) return std::nullopt;
  return static_cast<Stage>(found - stageNames.begin());
}

plan::RunOnNode runOn(const Intent& intent, const std::string& node, const std::string& what, std::vector<std::string> command) {
  return {.access = intent.nodes.access,
          .pod = manifests::nodeOpPod(intent.nodes.image, node, "rotate", command),
          .what = fmt::format("{}: {}", node, what),
          .patience = onNodePatience};
}

std::string secretOf(const std::string& node) { return "kubestrap-rotation-" + node; }

std::vector<std::string> commandOnNode(const Intent& intent, std::optional<Stage> stage, Kubelet kubelet) {
  std::vector<std::string> command{"kubestrap", "node", "rotate", intent.authority, "--pki", intent.setup.cluster.pki.folder.string()};
  const auto& [former, next, bridge] = intent.material;
  for (const auto& [flag, pem] : {std::pair{"--former", former.certificate}, {"--next", next.certificate}, {"--bridge", bridge}})
    if (!pem.empty()) command.insert(command.end(), {flag, base64(pem)});
  if (stage) command.insert(command.end(), {"--stage", std::string(name(*stage))});
  if (kubelet == Kubelet::asItIs) command.emplace_back("--leave-kubelet");
  return command;
}

Next next(const Intent& intent, const Seen& seen) {
  if (auto stuck = refused(intent, seen)) return *std::move(stuck);
  if (!seen.prepared) {
    if (intent.direction == Direction::back || intent.beginning == Beginning::over) return plan::Done{};
    return Step{fmt::format("{}: the next {} is made", intent.setup.node.name, intent.authority), prepared(intent.setup, intent.authority)};
  }
  const auto goals = goalsOf(intent);
  for (std::size_t i = 0; i < goals.size(); ++i) {
    const auto& goal = goals[i];
    for (const auto& node : seen.nodes)
      if (concerns(goal, node) && reached(node, goals) < static_cast<int>(i))
        return Step{fmt::format("{}: {}", node.name, said(goal, intent)), work(intent, node, goal)};
    const bool last = i + 1 == goals.size();
    if (!last && goals[i + 1].stage == goal.stage) continue; // there is a second round
    // Who goes further already, if only half-way, was let by what was published then.
    const bool further = std::ranges::any_of(seen.nodes, [&](const auto& node) {
      return std::any_of(goals.begin() + static_cast<std::ptrdiff_t>(i) + 1, goals.end(), [&](const Goal& later) { return later.stage == node.stage; });
    });
    if (further && !last) continue;
    if (auto step = componentsFollow(intent, seen)) return *std::move(step);
    if (auto step = published(intent, seen, goal.stage)) return *std::move(step);
    if (!last)
      if (auto wait = soaking(intent, seen, goals[i + 1])) return *std::move(wait);
  }
  return isOver(intent) ? forgetting(intent, seen) : Next{plan::Done{}};
}

std::optional<roll::Intent> rollNow(const Intent& intent, const Seen& seen) {
  const auto stage = seen.hosted ? commonGoal(intent, seen) : std::nullopt;
  if (!stage) return std::nullopt;
  roll::Intent roll{.setup = intent.setup, .command = fmt::format("certs rotate-ca {} --resume", intent.authority), .emulates = {}, .afterwards = {}};
  roll.readings = readings({.authority = intent.authority, .stage = *stage, .material = intent.material, .manifests = {}, .kubeletConf = {}}, intent.setup.cluster);
  for (auto& [component, reading] : roll.readings)
    if (seen.hosted->components.contains(component)) keepOwnSigner(intent, *seen.hosted, component, reading);
  if (roll.readings.empty()) return std::nullopt;
  return roll;
}

namespace {

Told toldAt(Stage stage) { return {.former = stage != Stage::dropped, .next = stage != Stage::former}; }

/// The stage that all nodes have reached.
Stage commonStage(const Seen& seen, const Intent& intent) {
  const auto end = goalsOf(intent).back().stage;
  return std::ranges::all_of(seen.nodes, [&](const auto& node) { return node.stage == end; }) ? end : Stage::trusted;
}

void assumePublished(const Intent& intent, Seen& seen, const std::string& step) {
  const auto told = toldAt(commonStage(seen, intent));
  if (step.starts_with("cluster-info")) seen.clusterInfo = told;
  else if (step.starts_with("extension-")) seen.aggregation = told;
  else seen.uploaded = false;
}

/// The next node that has not reached what comes next; what components do by themselves follows.
bool assumeOnNode(const Intent& intent, Seen& seen) {
  const auto goals = goalsOf(intent);
  for (std::size_t i = 0; i < goals.size(); ++i)
    for (auto& node : seen.nodes) {
      const auto& goal = goals[i];
      if (!concerns(goal, node) || reached(node, goals) >= static_cast<int>(i)) continue;
      node.stage = goal.stage;
      node.settledButKubelet = true;
      node.settled = goal.kubelet == Kubelet::follows;
      node.staged = node.controlPlane;
      if (seen.rootCertificates) seen.rootCertificates = toldAt(goal.stage);
      if (seen.aggregation && goal.stage != Stage::former && goal.stage != Stage::dropped) seen.aggregation = toldAt(goal.stage);
      if (goal.stage == Stage::issuing) seen.issuedFor = intent.soak;
      return true;
    }
  return false;
}

} // namespace

Seen assumed(const Intent& intent, Seen seen, const Next& done) {
  const auto* step = std::get_if<Step>(&done);
  if (!step) return seen;
  const auto published = [&](std::string_view name) { return step->name.starts_with(name); };
  if (seen.prepared && componentsFollow(intent, seen)) {
    seen.hosted = roll::assumed(*rollNow(intent, seen), *std::move(seen.hosted), done);
  } else if (!seen.prepared) {
    seen.prepared = true;
  } else if (published("cluster-info: ") || published("extension-apiserver-authentication: ") || published("kubeadm-certs: ")) {
    assumePublished(intent, seen, step->name);
  } else if (!assumeOnNode(intent, seen)) {
    const auto last = std::find_if(seen.nodes.rbegin(), seen.nodes.rend(), [](const auto& node) { return node.staged; });
    if (last != seen.nodes.rend()) last->staged = false;
  }
  return seen;
}

} // namespace kubestrap::phases::rotation
