// Workers of a cluster that is played through: pods that are asked to move go where there is room, as a scheduler would have it.
#include "phases/workers.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>

using namespace kubestrap;
using namespace kubestrap::phases::workers;

namespace {

const std::string kOld = "v1.36.3", kNew = "v1.37.2";

struct Played {
  Intent intent{.nodes = {.access = {}, .image = "kubestrap.io/kubestrap:v1"}, .version = kNew, .width = 1, .source = {"--kubelet", "/opt/kubelet"}};
  Progress progress;
  Seen seen{.nodes = {}, .apiServers = {{"n1", kNew}}};
  std::map<std::string, int> moves;    ///< by pod
  std::set<std::string> held;          ///< pods that no budget lets go
  std::vector<std::string> steps;
  std::vector<std::string> homeless;
  std::string mute;                    ///< a worker that never says anything
  int lingers = 0;                     ///< turns that a pod on a node's machine is still there after it was told to go
  std::map<std::string, int> going;    ///< such pods, and how many turns are left
  std::size_t widest = 0;              ///< most workers that were closed for their turn at a time
  std::function<void(NodeSeen&)> onSwap = [this](NodeSeen& node) {
    node.swap.phase = "Succeeded";
    node.version = intent.version;
  };

  /// Workers w1, w2, ... with so many pods on each, and room for `room` pods on each.
  explicit Played(const std::vector<int>& pods, long room = 10) {
    for (std::size_t i = 0; i < pods.size(); ++i) {
      NodeSeen node{.name = fmt::format("w{}", i + 1), .version = kOld, .wanted = true, .ready = true, .free = {.cpu = 1000, .memory = 1000, .pods = room}};
      for (int k = 0; k < pods[i]; ++k) put(fmt::format("default/p{}-{}", i + 1, k), node);
      seen.nodes.push_back(std::move(node));
    }
  }

  NodeSeen& node(const std::string& name) { return *std::ranges::find(seen.nodes, name, &NodeSeen::name); }

  static void put(const std::string& pod, NodeSeen& node) {
    node.pods.push_back({.name = pod});
    --node.free.pods;
  }

  bool place(const std::string& pod) {
    NodeSeen* best = nullptr;
    for (auto& each : seen.nodes)
      if (each.ready && !each.closed && !each.tainted && each.free.pods > 0 && (!best || each.free.pods > best->free.pods)) best = &each;
    if (!best) return false;
    put(pod, *best);
    ++moves[pod];
    return true;
  }

  static std::string nameOf(const OpSeen& op, const NodeSeen& node) { return fmt::format("kubestrap-{}-{}", &op == &node.look ? "upgrade-look" : "upgrade", node.name); }

  /// What the cluster does between two looks.
  void happens() {
    for (auto& [name, left] : going)
      if (left > 0 && --left == 0)
        for (auto& each : seen.nodes)
          for (auto* op : {&each.look, &each.swap})
            if (nameOf(*op, each) == name) *op = {};
    std::erase_if(homeless, [&](const std::string& pod) { return place(pod); });
    for (auto& each : seen.nodes) {
      if (each.look.phase == "Pending" && each.look.trouble.empty() && !each.look.ending && each.name != mute) {
        each.look.phase = "Succeeded";
        each.report = Report{};
      } else if (each.swap.phase == "Pending" && !each.swap.ending) onSwap(each);
    }
  }

  void evict() {
    for (const auto& name : emptied(intent, progress, seen)) {
      auto gone = std::exchange(node(name).pods, {});
      for (auto& pod : gone) {
        if (held.contains(pod.name)) {
          pod.refused = "The disruption budget keeper needs 1 healthy pods and has 1 currently";
          node(name).pods.push_back(pod);
          continue;
        }
        ++node(name).free.pods;
        if (!place(pod.name)) homeless.push_back(pod.name);
      }
    }
    seen.homeless = homeless.size();
  }

  void apply(const plan::Object& object, NodeSeen& each) {
    const auto kind = stringAt(object.document, "kind"), name = stringAt(object.document, "metadata.name");
    if (kind == "Node" && name == each.name) {
      const auto& value = object.document["metadata"]["annotations"][std::string(annotation)];
      each.turn = value.is_null() ? Turn::none : turnOf(value.get<std::string>());
      if (object.document.contains("spec")) each.closed = object.document["spec"]["unschedulable"] == true;
      return;
    }
    for (auto* op : {&each.look, &each.swap}) {
      if (name != nameOf(*op, each)) continue;
      if (object.mode == plan::ApplyMode::createOnly) {
        CHECK(op->phase.empty());
        *op = {.phase = "Pending", .trouble = {}, .said = {}};
      } else if (lingers > 0) {
        CHECK_FALSE(op->ending);
        op->ending = true;
        going[name] = lingers;
      } else *op = {};
    }
  }

  /// One look and what follows from it; nothing: it is over.
  std::optional<plan::Next> turn() {
    happens();
    evict();
    progress = remembered(intent, progress, seen);
    auto coming = next(intent, progress, seen);
    if (const auto* step = std::get_if<plan::Step>(&coming)) {
      CHECK((steps.empty() || steps.back() != step->name)); // it would have had no effect
      steps.push_back(step->name);
      for (const auto& resource : step->work)
        for (auto& each : seen.nodes) apply(std::get<plan::Object>(resource), each);
    }
    widest = std::max<std::size_t>(widest, std::ranges::count_if(seen.nodes, [](const auto& each) { return each.turn == Turn::its || each.turn == Turn::staysClosed; }));
    if (std::holds_alternative<plan::Done>(coming) || std::holds_alternative<plan::Stuck>(coming)) return coming;
    return std::nullopt;
  }

  /// "" when all went well, else the cause.
  std::string run(int turns = 1000) {
    for (; turns > 0; --turns) {
      if (std::holds_alternative<plan::Waiting>(next(intent, progress, seen))) pass(std::chrono::seconds(10));
      if (const auto end = turn()) {
        const auto* stuck = std::get_if<plan::Stuck>(&*end);
        return stuck ? stuck->cause : "";
      }
    }
    return "it never ends";
  }

  /// One that knows only what the cluster shows.
  void anotherDriver() {
    progress = {};
    for (auto& node : seen.nodes) {
      node.report.reset();
      node.asks = node.drains = node.swaps = node.settles = {};
      for (auto* op : {&node.look, &node.swap}) op->stale = op->ending || op->phase == "Succeeded" || op->phase == "Failed";
    }
  }

  void pass(Duration time) {
    for (auto& each : seen.nodes) {
      const bool inTurn = each.turn == Turn::its || each.turn == Turn::staysClosed;
      each.asks = !each.look.phase.empty() && !each.report ? each.asks + time : Duration::zero();
      each.drains = inTurn && each.swap.phase.empty() ? each.drains + time : Duration::zero();
      each.swaps = each.swap.phase.empty() ? Duration::zero() : each.swaps + time;
      each.settles = inTurn && each.swap.phase == "Succeeded" ? each.settles + time : Duration::zero();
      each.unready = each.ready ? Duration::zero() : each.unready + time;
    }
  }

  bool allUpgraded() const {
    return std::ranges::all_of(seen.nodes, [&](const NodeSeen& each) {
      return each.version == kNew && each.turn == Turn::none && !each.closed && each.look.phase.empty() && each.swap.phase.empty();
    });
  }
  int most() const {
    int found = 0;
    for (const auto& [pod, count] : moves) found = std::max(found, count);
    return found;
  }
};

bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

} // namespace

TEST_CASE("pods move once each where a node that is through has room for them") {
  // w1 has none, and is through before anybody has to go anywhere.
  Played played({0, 2, 2, 2});
  CHECK(played.run() == "");
  CHECK(played.allUpgraded());
  CHECK(played.moves.size() == 6);
  CHECK(played.most() == 1);
  CHECK(played.steps[0] == "w1: says whether it can be upgraded; w2: says whether it can be upgraded; w3: says whether it can be upgraded; w4: says whether it can be upgraded");
}

TEST_CASE("the first pods go where they have to move again; those are the fewest") {
  Played played({3, 1, 3});
  CHECK(played.run() == "");
  CHECK(played.allUpgraded());
  int twice = 0;
  for (const auto& [pod, count] : played.moves) {
    CHECK(count <= 2);
    twice += count == 2;
    if (count == 2) CHECK(pod == "default/p2-0");
  }
  CHECK(twice == 1);
}

TEST_CASE("all that are still to come are closed as soon as the others have room for the pods that move") {
  Played played({0, 2, 2, 2});
  while (played.node("w2").turn == Turn::none) REQUIRE_FALSE(played.turn());
  CHECK(played.node("w1").version == kNew);
  for (const auto* name : {"w3", "w4"}) {
    CHECK(played.node(name).turn == Turn::ahead);
    CHECK(played.node(name).closed);
  }
}

TEST_CASE("without room elsewhere only those whose turn it is are closed") {
  Played played({4, 4, 4}, 6);
  bool ahead = false;
  std::optional<plan::Next> end;
  for (int i = 0; i < 200 && !end; ++i) {
    end = played.turn();
    ahead = ahead || std::ranges::any_of(played.seen.nodes, [](const auto& each) { return each.turn == Turn::ahead; });
  }
  CHECK(end);
  CHECK(played.allUpgraded());
  CHECK(played.homeless.empty());
  CHECK(ahead); // the last one's pods have room on those that are through
}

TEST_CASE("pods that find no room although there seemed to be some open those that were closed ahead") {
  Played played({0, 2, 2, 2});
  while (played.node("w2").turn == Turn::none) REQUIRE_FALSE(played.turn());
  played.node("w1").free.pods = 0; // as a rule of the scheduler's would have it, of which requests say nothing
  CHECK(played.run() == "");
  CHECK(played.allUpgraded());
  CHECK(played.homeless.empty());
  CHECK(played.progress.tightAt == 1);
}

TEST_CASE("as many at a time as was asked for, and no more") {
  for (const std::size_t width : {1, 2, 3, 7}) {
    Played played({1, 2, 3, 0, 2, 1}, 20);
    played.intent.width = width;
    CHECK(played.run() == "");
    CHECK(played.allUpgraded());
    CHECK(played.widest == std::min<std::size_t>(width, 6));
    CHECK(played.most() <= 2);
  }
}

TEST_CASE("a second run finds nothing to do, and asks nobody") {
  Played played({1, 1});
  CHECK(played.run() == "");
  const auto steps = played.steps.size();
  played.progress = {};
  CHECK(played.run() == "");
  CHECK(played.steps.size() == steps);
}

TEST_CASE("a worker that the operator had closed is upgraded and stays closed") {
  Played played({1, 1, 1});
  played.node("w2").closed = true;
  CHECK(played.run() == "");
  CHECK(played.node("w2").version == kNew);
  CHECK(played.node("w2").closed);
  CHECK(played.node("w2").turn == Turn::none);
  CHECK_FALSE(played.node("w1").closed);
  CHECK_FALSE(played.node("w3").closed);
}

TEST_CASE("a budget that holds a pod is named; then nothing further is begun, and pods may come everywhere again") {
  Played played({0, 1, 1});
  played.held = {"default/p2-0"};
  const auto cause = played.run();
  CHECK(has(cause, "not upgraded: w2: its pods had not left it after 5m, 1 still on it: default/p2-0 (The disruption budget keeper needs 1 healthy pods and has 1 currently)"));
  CHECK(played.node("w1").version == kNew);
  for (const auto* name : {"w2", "w3"}) {
    CHECK(played.node(name).version == kOld);
    CHECK_FALSE(played.node(name).closed);
    CHECK(played.node(name).turn == Turn::none);
  }
  SUBCASE("the next run goes on when the budget has more") {
    played.held.clear();
    played.progress = {};
    CHECK(played.run() == "");
    CHECK(played.allUpgraded());
  }
}

TEST_CASE("with --skip-blocked the others are upgraded all the same, and it is said at the end") {
  Played played({0, 1, 1});
  played.intent.skips = true;
  played.held = {"default/p2-0"};
  CHECK(has(played.run(), "not upgraded: w2: its pods had not left it"));
  CHECK(played.node("w3").version == kNew);
  CHECK_FALSE(played.node("w2").closed);
  CHECK_FALSE(played.node("w3").closed);
}

TEST_CASE("what can be said beforehand is said of all at once, and nothing is closed") {
  Played played({1, 1, 1, 1});
  played.node("w1").pods[0].alone = true;
  played.node("w2").report = Report{{"there is no /opt/kubelet on it"}};
  played.node("w3").ready = false;
  const auto cause = played.run();
  CHECK(has(cause, "w1: nobody makes default/p1-0 anew elsewhere"));
  CHECK(has(cause, "w2: there is no /opt/kubelet on it"));
  CHECK(has(cause, "w3: it is not Ready"));
  for (const auto& each : played.seen.nodes) {
    CHECK_FALSE(each.closed);
    CHECK(each.version == kOld);
  }
  CHECK(played.moves.empty());
}

TEST_CASE("pods that nobody makes anew go when it is forced") {
  Played played({1});
  played.seen.nodes.push_back({.name = "n1", .version = kNew, .ready = true, .free = {.pods = 5}});
  played.node("w1").pods[0].alone = true;
  played.intent.force = true;
  CHECK(played.run() == "");
  CHECK(played.node("w1").version == kNew);
}

TEST_CASE("a kubelet that was not replaced, or does not get well, keeps its node closed and ends it") {
  Played played({0, 1, 1});
  const auto swap = played.onSwap;
  SUBCASE("the pod fails") {
    played.onSwap = [&](NodeSeen& node) {
      if (node.name != "w2") return swap(node);
      node.swap.phase = "Failed";
      node.swap.said = "no room on its file system";
    };
    CHECK(has(played.run(), "w2: its kubelet was not replaced: no room on its file system"));
  }
  SUBCASE("it is not Ready") {
    played.onSwap = [&](NodeSeen& node) {
      swap(node);
      node.ready = node.name != "w2";
    };
    CHECK(has(played.run(), "w2: its kubelet was replaced, and after 5m it is not Ready"));
  }
  SUBCASE("it does not come up, and the pod that has replaced it waits for it") {
    played.onSwap = [&](NodeSeen& node) {
      if (node.name != "w2") return swap(node);
      node.swap.phase = "Running";
      node.ready = false;
    };
    CHECK(has(played.run(), "w2: while its kubelet was replaced it was not Ready for 5m"));
  }
  SUBCASE("it is the old one still") {
    played.onSwap = [&](NodeSeen& node) {
      swap(node);
      if (node.name == "w2") node.version = kOld;
    };
    CHECK(has(played.run(), "w2: its kubelet was replaced, and after 5m its kubelet still says v1.36.3"));
  }
  CHECK(played.node("w2").closed);
  CHECK(played.node("w2").turn == Turn::its);
  CHECK(played.node("w2").swap.phase.empty());
  CHECK_FALSE(played.node("w3").closed);
  CHECK(played.node("w3").version == kOld);
  played.onSwap = swap;
  played.node("w2").ready = true;
  played.anotherDriver();
  CHECK(played.run() == "");
  CHECK(played.allUpgraded());
}

TEST_CASE("one that does not say whether it can be upgraded is named, and the others may go on") {
  Played played({0, 1, 1});
  played.mute = "w2";
  SUBCASE("not without being asked to") {}
  SUBCASE("with --skip-blocked") { played.intent.skips = true; }
  CHECK(played.run() == "not upgraded: w2: it did not say within 3m whether it can be upgraded");
  CHECK_FALSE(played.node("w2").closed);
  CHECK(played.node("w3").version == (played.intent.skips ? kNew : kOld));
}

TEST_CASE("a worker that has its turn and is not Ready is not opened, whatever it was left for") {
  Played played({0, 1, 1});
  played.node("w2").turn = Turn::its;
  played.node("w2").closed = true;
  played.node("w2").ready = false;
  SUBCASE("the others wait for it") {}
  SUBCASE("the others go on") { played.intent.skips = true; }
  CHECK(has(played.run(), "w2: it is not Ready"));
  CHECK(played.node("w2").closed);
  CHECK(played.node("w2").turn == Turn::its);
  CHECK(played.node("w3").version == (played.intent.skips ? kNew : kOld));
}

TEST_CASE("pods on workers' machines that take their time to go are told so once, and others come when they are gone") {
  Played played({0, 1, 1});
  played.lingers = 4;
  SUBCASE("all is well") {
    CHECK(played.run() == "");
    for (int i = 0; i < 4; ++i) played.happens();
    CHECK(played.allUpgraded());
  }
  SUBCASE("another driver finds pods that the one before has left") {
    for (auto* op : {&played.node("w1").look, &played.node("w2").swap}) op->phase = "Failed";
    played.node("w2").turn = Turn::its;
    played.node("w2").closed = true;
    played.anotherDriver();
    CHECK(played.run() == "");
    for (int i = 0; i < 4; ++i) played.happens();
    CHECK(played.allUpgraded());
  }
  SUBCASE("another driver finds pods that the one before has told to go") {
    for (auto* op : {&played.node("w1").look, &played.node("w2").swap}) *op = {.phase = "Running", .trouble = {}, .said = {}, .ending = true};
    played.going = {{"kubestrap-upgrade-look-w1", 4}, {"kubestrap-upgrade-w2", 4}};
    played.node("w2").turn = Turn::its;
    played.node("w2").closed = true;
    played.anotherDriver();
    CHECK(played.run() == "");
    for (int i = 0; i < 4; ++i) played.happens();
    CHECK(played.allUpgraded());
  }
  SUBCASE("a worker whose kubelet is down keeps its pod") {
    played.lingers = 1000;
    played.onSwap = [](NodeSeen& node) { node.swap.phase = "Failed"; };
    CHECK(has(played.run(), "w1: its kubelet was not replaced"));
  }
  SUBCASE("the image of kubestrap cannot be had on one") {
    played.node("w2").look = {.phase = "Pending", .trouble = "ImagePullBackOff: no such host", .said = {}};
    CHECK(played.run() == "not upgraded: w2: it cannot be asked: ImagePullBackOff: no such host");
  }
}

TEST_CASE("a driver that is killed after any look is followed by another, which comes to the same end") {
  const auto turns = [] {
    Played played({2, 0, 3, 1});
    played.intent.width = 2;
    int count = 0;
    while (!played.turn()) ++count;
    return count;
  }();
  CHECK(turns > 5);
  for (int n = 1; n <= turns; ++n) {
    CAPTURE(n);
    Played played({2, 0, 3, 1});
    played.intent.width = 2;
    for (int i = 0; i < n; ++i) (void)played.turn();
    played.anotherDriver();
    CHECK(played.run() == "");
    CHECK(played.allUpgraded());
    CHECK(played.most() <= 2);
    CHECK(played.widest <= 2);
  }
}

TEST_CASE("one that was closed ahead and is not asked for any more is opened") {
  Played played({0, 1, 1});
  played.node("w3").turn = Turn::ahead;
  played.node("w3").closed = true;
  played.node("w3").wanted = false;
  CHECK(played.run() == "");
  CHECK(played.node("w3").version == kOld);
  CHECK_FALSE(played.node("w3").closed);
}

TEST_CASE("no kubelet gets newer than an API server") {
  Played played({1, 1});
  played.seen.apiServers["n2"] = kOld;
  CHECK(has(played.run(), "a kubelet may not be newer than an API server, and the cluster is at v1.37.2: n2 has v1.36.3"));
  CHECK(played.steps.empty());
}

TEST_CASE("a node that is away for a moment is waited for") {
  Played played({0, 1});
  while (played.node("w1").version == kOld) REQUIRE_FALSE(played.turn());
  played.node("w2").ready = false;
  for (int i = 0; i < 5; ++i) REQUIRE_FALSE(played.turn());
  played.node("w2").ready = true;
  CHECK(played.run() == "");
  CHECK(played.allUpgraded());
}

TEST_CASE("a dry run shows every step") {
  Played played({1, 1});
  for (auto& node : played.seen.nodes) node.report = Report{};
  std::vector<std::string> steps;
  for (auto seen = played.seen;;) {
    const auto coming = next(played.intent, {}, seen);
    if (std::holds_alternative<plan::Done>(coming)) break;
    if (const auto* step = std::get_if<plan::Step>(&coming)) steps.push_back(step->name);
    seen = assumed(played.intent, std::move(seen), coming);
  }
  CHECK(steps == std::vector<std::string>{"w1: is closed, and its pods move", "w1: its kubelet is replaced", "w1: runs v1.37.2; w1: takes pods again",
                                          "w2: is closed, and its pods move", "w2: its kubelet is replaced", "w2: runs v1.37.2; w2: takes pods again"});
}

TEST_CASE("pods fit where each of them finds a node") {
  const Room node{.cpu = 1000, .memory = 100, .pods = 3};
  CHECK(fits({}, {}));
  CHECK_FALSE(fits({{.pods = 1}}, {}));
  CHECK(fits({{.cpu = 500, .memory = 50, .pods = 1}, {.cpu = 500, .memory = 50, .pods = 1}}, {node}));
  CHECK_FALSE(fits({{.cpu = 500, .memory = 60, .pods = 1}, {.cpu = 500, .memory = 60, .pods = 1}}, {node}));
  CHECK(fits({{.cpu = 500, .memory = 60, .pods = 1}, {.cpu = 500, .memory = 60, .pods = 1}}, {node, node}));
  CHECK_FALSE(fits({{.pods = 1}, {.pods = 1}, {.pods = 1}, {.pods = 1}}, {node}));
}
