// A roll whose driver is not heard of any more: what a guard puts back, and what it leaves alone.
#include "tests/unit/phases/guard.hpp"

#include <doctest/doctest.h>

using namespace kubestrap;
using namespace kubestrap::test;

namespace {

const Rolling kRolling{.component = apiServer, .to = "4", .from = "3"};

/// A node in the middle of a roll: the new pod does not get ready, the old one serves.
GuardedNode inRoll(const Rolling& rolling = kRolling) {
  GuardedNode node;
  node.seen.plan = Plan::running;
  node.seen.planSign = "12:00:00";
  node.seen.rolling = rolling;
  auto& set = *node.of(rolling.component).daemonSet;
  set.revision = rolling.to;
  set.slot = Slot::green;
  set.rolledOut = false;
  set.updated = 1;
  set.isStandby = false;
  return node;
}

/// The driver shows that it lives, every ten seconds.
void drivenTurns(GuardedNode& node, Duration time) {
  for (int i = 0; i < time / 10s; ++i) {
    node.seen.planSign = "sign " + std::to_string(i);
    node.turns(10s);
  }
}

} // namespace

TEST_CASE("a roll that does not get on is put back ten minutes after its driver was heard of last") {
  auto node = inRoll();
  drivenTurns(node, 30min);
  CHECK(node.done() == "");
  node.turns(9min);
  CHECK(node.done() == "");
  node.turns(2min);
  CHECK(node.done() == "put back kube-apiserver 3");
  CHECK(node.reports("RolledBack"));
  node.turns(1h);
  CHECK(node.done() == "put back kube-apiserver 3");
}

TEST_CASE("what went back while nobody drove it is told after a restart of the guard as well, until somebody drives again") {
  auto node = inRoll();
  node.turns(12min);
  REQUIRE(node.reports("RolledBack"));
  node.state = begin(node.now);
  node.state.roll = {.rolling = kRolling, .rolledBack = true};
  node.turns(5s);
  CHECK(node.reports("RolledBack"));
  drivenTurns(node, 20s);
  CHECK_FALSE(node.reports("RolledBack"));
}

TEST_CASE("a driver that ended before the new revision was in force leaves nothing to tell of") {
  auto node = inRoll();
  node.of(apiServer).daemonSet->revision = "3";
  node.of(apiServer).daemonSet->rolledOut = true;
  node.turns(1h);
  CHECK(node.done() == "");
  CHECK_FALSE(node.reports("RolledBack"));
}

TEST_CASE("each component is put back as any other") {
  for (const Component component : {apiServer, controllerManager, scheduler}) {
    auto node = inRoll({.component = component, .to = "7", .from = "6"});
    node.turns(11min);
    CHECK(node.done() == "put back " + std::string(nameOf(component)) + " 6");
  }
}

TEST_CASE("a roll that gets on, if slowly, is left to its end") {
  auto node = inRoll();
  node.of(apiServer).daemonSet->updated = 1;
  for (int nodes = 2; nodes < 6; ++nodes) {
    node.turns(8min);
    node.of(apiServer).daemonSet->updated = nodes;
  }
  node.of(apiServer).daemonSet->rolledOut = true;
  node.turns(3h);
  CHECK(node.done() == "");
}

TEST_CASE("a pod that comes and goes is no progress") {
  auto node = inRoll();
  for (int i = 0; i < 12; ++i) {
    node.turns(30s);
    node.of(apiServer).daemonSet->updated = i % 2;
    node.of(apiServer).daemonSet->rolledOut = i % 4 == 0;
    node.turns(30s);
    node.of(apiServer).daemonSet->rolledOut = false;
  }
  node.turns(1min);
  CHECK(node.done() == "put back kube-apiserver 3");
}

TEST_CASE("a revision that has proved itself stays, whatever befalls it later") {
  auto node = inRoll();
  node.turns(2min);
  node.of(apiServer).daemonSet->rolledOut = true;
  node.turns(3min);
  node.of(apiServer).daemonSet->rolledOut = false; // a node has lost its power
  node.turns(2h);
  CHECK(node.done() == "");
  CHECK(node.state.roll.proved);
  // The next roll is another matter.
  node.seen.rolling = Rolling{.component = apiServer, .to = "5", .from = "4"};
  node.of(apiServer).daemonSet->revision = "5";
  node.turns(11min);
  CHECK(node.done() == "put back kube-apiserver 4");
}

TEST_CASE("another node waits a minute longer for each one before it") {
  auto node = inRoll();
  node.seen.rank = 2;
  node.turns(11min + 50s);
  CHECK(node.done() == "");
  node.turns(30s);
  CHECK(node.done() == "put back kube-apiserver 3");
}

TEST_CASE("what is not learned makes nothing older") {
  auto node = inRoll();
  node.turns(5min);
  node.seen.planSign.reset();
  node.seen.rolling.reset();
  node.of(apiServer).daemonSet.reset();
  node.turns(1h);
  node.seen.planSign = "12:00:00";
  node.seen.rolling = kRolling;
  node.of(apiServer).daemonSet = DaemonSetSeen{.exists = true, .rolledOut = false, .slot = Slot::green, .revision = "4", .updated = 1};
  node.turns(4min);
  CHECK(node.done() == "");
  node.turns(2min);
  CHECK(node.done() == "put back kube-apiserver 3");
}

TEST_CASE("what could not be put back is tried again a minute later") {
  auto node = inRoll();
  node.takesBack = false;
  node.turns(10min + 90s);
  CHECK(node.done() == "put back kube-apiserver 3, put back kube-apiserver 3");
}

TEST_CASE("a guard puts a revision back only where all of it holds") {
  std::size_t cases = 0, done = 0;
  for (const auto plan : {Plan::none, Plan::running, Plan::commits, Plan::stalled})
    for (const bool noted : {false, true})
      for (const auto* revision : {"3", "4", "5", ""})
        for (const bool exists : {false, true})
          for (const bool learned : {false, true})
            for (const bool rolledOut : {false, true})
              for (const bool silent : {false, true})
                for (const bool still : {false, true})
                  for (const bool proved : {false, true})
                    for (const bool answers : {false, true})
                      for (const auto membership : {Membership::unknown, Membership::labelled, Membership::unlabelled, Membership::gone})
                        for (const int ends : {0, 1, 2, 3}) {
                          auto node = inRoll();
                          node.seen.plan = plan;
                          if (!noted) node.seen.rolling.reset();
                          auto& set = node.of(apiServer).daemonSet;
                          set->revision = revision;
                          set->exists = exists;
                          set->rolledOut = rolledOut;
                          if (!learned) set.reset();
                          node.seen.apiAnswers = answers;
                          node.seen.membership = membership;
                          node.seen.stopping = ends == 1;
                          node.seen.leaving = ends == 2;
                          node.seen.fenced = ends == 3;
                          node.state.looked = node.now;
                          node.state.planSign = node.seen.planSign;
                          node.state.planSilence = silent ? 11min : 1min;
                          node.state.roll = {.rolling = kRolling, .revision = revision, .reached = 1, .still = still ? 11min : 1min, .proved = proved};
                          const auto decision = decide(node.seen, node.state, node.now);
                          const bool puts = std::ranges::any_of(decision.actions, [](const auto& each) { return std::holds_alternative<PutBack>(each); });
                          const bool wanted = plan == Plan::running && noted && std::string(revision) == "4" && exists && learned && !rolledOut && silent && still && !proved &&
                                              answers && membership == Membership::labelled && ends == 0;
                          if (puts != wanted) FAIL_CHECK("case " << cases);
                          ++cases;
                          done += puts;
                        }
  CHECK(cases == 4 * 2 * 4 * 2 * 2 * 2 * 2 * 2 * 2 * 2 * 4 * 4);
  CHECK(done == 1);
}
