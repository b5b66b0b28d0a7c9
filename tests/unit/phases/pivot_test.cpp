#include "phases/pivot.hpp"

#include "tests/unit/manifests/fixture.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>

using namespace kubestrap;
using namespace kubestrap::phases::pivot;
using manifests::hostedComponents;

namespace {

config::Setup setup() { return test::hostedSetup(); }

/// As init and join leave a cluster: static pods on every node, held there.
Seen bootstrapped(std::initializer_list<std::string> names) {
  Seen seen;
  for (const auto& name : names) {
    NodeSeen node{.name = name, .ready = true, .selfHosted = false, .held = {}, .guard = GuardReport{}};
    node.guard->fresh = true;
    for (const auto component : hostedComponents) {
      node.guard->held.emplace(component);
      node.guard->components[std::string(component)] = {
          .slots = {{"blue", "refuses"}, {"green", "refuses"}, {"rescue", "ready"}, {"previous", "refuses"}}, .promoted = true, .standby = "0"};
    }
    seen.nodes.push_back(std::move(node));
  }
  seen.leaders = {{"kube-controller-manager", {.node = *names.begin(), .fresh = true}}, {"kube-scheduler", {.node = *names.begin(), .fresh = true}}};
  return seen;
}

/// Some instance of every component serves on every node.
bool everythingServes(const Seen& seen) {
  return std::ranges::all_of(seen.nodes, [](const NodeSeen& node) {
    return std::ranges::all_of(hostedComponents, [&](auto name) {
      const auto& report = node.guard->components.at(std::string(name));
      return report.selfReady() || report.is(manifests::Slot::rescue, "ready");
    });
  });
}

std::vector<std::string> stepsTo(Goal goal, Seen& seen) {
  std::vector<std::string> steps;
  for (;;) {
    const auto next = phases::pivot::next(goal, setup(), seen);
    if (std::holds_alternative<plan::Done>(next)) return steps;
    REQUIRE(std::holds_alternative<plan::Step>(next));
    steps.push_back(std::get<plan::Step>(next).name);
    REQUIRE(steps.size() < 50);
    seen = assumed(goal, std::move(seen), next);
    CHECK(everythingServes(seen));
  }
}

std::string waitsFor(const plan::Next& next) {
  const auto* waiting = std::get_if<plan::Waiting>(&next);
  return waiting ? waiting->what : "";
}

} // namespace

TEST_CASE("pivot marks a node, and hands over one component after the other once their successors serve") {
  auto seen = bootstrapped({"n1"});
  CHECK(stepsTo(Goal::selfHosted, seen) == std::vector<std::string>{"DaemonSets made, for nodes that are not marked yet", "n1: marked for the DaemonSets",
                                                                     "n1: kube-scheduler handed over", "n1: kube-controller-manager handed over",
                                                                     "n1: kube-apiserver handed over", "the cluster's configuration says so"});
  CHECK(seen.stored);
  CHECK(stepsTo(Goal::selfHosted, seen).empty());
}

TEST_CASE("of several nodes one is finished before the next begins, the controller-manager's leader last") {
  auto seen = bootstrapped({"n1", "n2", "n3"});
  const auto steps = stepsTo(Goal::selfHosted, seen);
  CHECK(steps.size() == 14);
  CHECK(steps[1] == "n2: marked for the DaemonSets");
  CHECK(steps[4] == "n2: kube-apiserver handed over");
  CHECK(steps[5] == "n3: marked for the DaemonSets");
  CHECK(steps[9] == "n1: marked for the DaemonSets");
  std::set<std::string> once(steps.begin(), steps.end());
  CHECK(once.size() == steps.size());
}

TEST_CASE("unpivot leads back from the end, and from anywhere on the way") {
  auto whole = bootstrapped({"n1", "n2"});
  const auto count = stepsTo(Goal::selfHosted, whole).size();
  for (std::size_t stop = 0; stop <= count; ++stop) {
    CAPTURE(stop);
    auto seen = bootstrapped({"n1", "n2"});
    for (std::size_t i = 0; i < stop; ++i) seen = assumed(Goal::selfHosted, seen, phases::pivot::next(Goal::selfHosted, setup(), seen));
    stepsTo(Goal::staticPods, seen);
    CHECK(seen.daemonSets.empty());
    CHECK_FALSE(seen.stored);
    for (const auto& node : seen.nodes) {
      CHECK_FALSE(node.selfHosted);
      CHECK(node.guard->components.at("kube-apiserver").promoted);
    }
  }
}

TEST_CASE("nothing is handed over before its successor is ready, available, and stands by") {
  auto seen = bootstrapped({"n1"});
  for (int i = 0; i < 2; ++i) seen = assumed(Goal::selfHosted, seen, phases::pivot::next(Goal::selfHosted, setup(), seen));
  const auto next = [&] { return phases::pivot::next(Goal::selfHosted, setup(), seen); };
  REQUIRE(std::get<plan::Step>(next()).name == "n1: kube-scheduler handed over");
  auto& report = seen.nodes[0].guard->components["kube-apiserver"];
  SUBCASE("not ready") {
    report.slots["blue"] = "unready";
    CHECK(waitsFor(next()) == "n1: kube-apiserver of its DaemonSet is ready");
  }
  SUBCASE("status of an older wish") {
    seen.daemonSets["kube-apiserver"].observed = false;
    CHECK(waitsFor(next()) == "n1: kube-apiserver of its DaemonSet is available");
  }
  SUBCASE("right after the mark nobody is wanted yet") {
    seen.daemonSets["kube-apiserver"].desired = seen.daemonSets["kube-apiserver"].available = 0;
    CHECK(waitsFor(next()) == "n1: kube-apiserver of its DaemonSet is available");
  }
  SUBCASE("another revision stands by") {
    report.standby = "0";
    CHECK(waitsFor(next()) == "n1: what stands by for kube-apiserver is revision 1");
  }
  SUBCASE("the guard is silent") {
    seen.nodes[0].guard->fresh = false;
    CHECK(waitsFor(next()) == "the guard of n1 reports");
  }
}

TEST_CASE("the next component waits until the last one's static pod is gone and somebody leads") {
  auto seen = bootstrapped({"n1"});
  for (int i = 0; i < 3; ++i) seen = assumed(Goal::selfHosted, seen, phases::pivot::next(Goal::selfHosted, setup(), seen));
  const auto next = [&] { return phases::pivot::next(Goal::selfHosted, setup(), seen); };
  REQUIRE(std::get<plan::Step>(next()).name == "n1: kube-controller-manager handed over");
  SUBCASE("its process is there") {
    seen.nodes[0].guard->components["kube-scheduler"].slots["rescue"] = "ready";
    CHECK(waitsFor(next()) == "n1: the static pod of kube-scheduler is gone");
  }
  SUBCASE("nobody leads") {
    seen.leaders["kube-scheduler"].fresh = false;
    CHECK(waitsFor(next()) == "n1: a kube-scheduler leads");
  }
}

TEST_CASE("unpivot needs no pod of a DaemonSet") {
  auto seen = bootstrapped({"n1"});
  stepsTo(Goal::selfHosted, seen);
  for (auto& [name, report] : seen.nodes[0].guard->components) report.slots = {{"blue", "unready"}, {"green", "refuses"}, {"rescue", "refuses"}};
  for (auto& [name, set] : seen.daemonSets) set.available = 0;
  const auto next = phases::pivot::next(Goal::staticPods, setup(), seen);
  REQUIRE(std::holds_alternative<plan::Step>(next));
  CHECK(std::get<plan::Step>(next).name == "n1: static pods asked for");
}

TEST_CASE("a cluster without guards is told what it needs") {
  auto seen = bootstrapped({"n1"});
  seen.nodes[0].guard.reset();
  const auto next = phases::pivot::next(Goal::selfHosted, setup(), seen);
  CHECK(waitsFor(next) == "the guard of n1 reports");
  CHECK(std::get<plan::Waiting>(next).hint.find("layout hosted") != std::string::npos);
}

TEST_CASE("a guard's report is read as it is written") {
  const auto report = parseGuardReport(R"({"node":"n1","held":["kube-scheduler"],"components":{"kube-scheduler":{"hosting":"held",
    "slots":{"blue":"ready","green":"refuses","rescue":"draining","previous":"refuses"},"promoted":true,"standby":"3"}},"conditions":[]})");
  CHECK(report.held == std::set<std::string>{"kube-scheduler"});
  const auto& component = report.components.at("kube-scheduler");
  CHECK(component.promoted);
  CHECK(component.selfReady());
  CHECK(component.is(manifests::Slot::rescue, "draining"));
  CHECK(component.standby == "3");
}
