// Every combination of what a guard may see and remember, against what must never happen.
#include "tests/unit/phases/guard.hpp"

#include <doctest/doctest.h>

#include <initializer_list>

using namespace kubestrap;
using namespace kubestrap::test;

namespace {

struct Case {
  Component component{};
  SlotState blue{}, rescue{};
  int api = 0; ///< 0 none, 1 answers
  bool etcd = false, leaseMoves = false, exists = false, standby = false, held = false, fenced = false, mirror = false, promoted = false,
       longAgo = false, stopping = false, stalled = false;
  Membership membership{};
  std::optional<bool> peerReady;
  Hosting hosting{};
};

constexpr Moment begun = std::chrono::hours(1), later = begun + std::chrono::hours(2);

Seen seenIn(const Case& each) {
  GuardedNode sound;
  auto seen = sound.seen;
  auto& own = seen.components[each.component];
  own.slots = {each.blue, SlotState::refuses, each.rescue, SlotState::refuses};
  own.promoted = each.promoted;
  if (each.promoted) own.activations = {"5"};
  own.standbyValid = each.standby;
  own.podFailed = true;
  seen.etcdReady = each.etcd;
  seen.apiAnswers = each.api != 0;
  seen.membership = seen.apiAnswers ? each.membership : Membership::unknown;
  seen.unlabelledAtPeer = seen.apiAnswers && each.membership != Membership::labelled;
  seen.otherGuards["n2"] = "new";
  seen.peerReady = each.peerReady;
  if (each.held) seen.held = {each.component};
  seen.fenced = each.fenced;
  seen.stopping = each.stopping;
  seen.plan = each.stalled ? Plan::stalled : Plan::none;
  if (seen.apiAnswers) {
    own.daemonSet = DaemonSetSeen{.exists = each.exists, .rolledOut = true, .slot = Slot::blue, .isStandby = false};
    own.mirrors = each.mirror ? std::set<std::string>{"5"} : std::set<std::string>{"4"};
    own.lease = each.leaseMoves ? "new" : "old";
  } else {
    own.daemonSet.reset();
    own.mirrors.reset();
    own.lease.reset();
  }
  return seen;
}

State stateIn(const Case& each) {
  auto state = begin(begun);
  const auto since = each.longAgo ? begun : later - std::chrono::seconds(3);
  for (auto& component : state.components) component.hosting = Hosting::shadow;
  auto& own = state.components[each.component];
  own.hosting = each.hosting;
  own.since = since;
  own.lease = "old";
  own.leaseMoved = since;
  for (std::size_t slot = 0; slot < own.slots.size(); ++slot)
    own.slots[slot] = {slot == 0 ? each.blue == SlotState::ready : slot == 2 && each.rescue == SlotState::ready, since};
  state.etcdSince = since;
  state.apiLast = since;
  state.selfAnswered = each.longAgo;
  if (each.membership != Membership::labelled) state.unlabelledSince = since;
  return state;
}

struct Outcome {
  bool promotes = false, demotes = false, writes = false;
};

Outcome outcomeOf(const Decision& decision, Component component) {
  Outcome outcome;
  for (const auto& action : decision.actions) {
    if (const auto* promote = std::get_if<Promote>(&action)) outcome.promotes |= promote->component == component;
    if (const auto* demote = std::get_if<Demote>(&action)) outcome.demotes |= demote->component == component;
    if (const auto* write = std::get_if<WriteStandby>(&action)) outcome.writes |= write->component == component;
  }
  return outcome;
}

/// What is wrong with a decision; empty: nothing.
std::string violation(const Case& each, const Seen& seen, const Decision& decision) {
  const auto [promotes, demotes, writes] = outcomeOf(decision, each.component);
  const bool goes = each.fenced || (seen.unlabelledAtPeer && each.longAgo && !each.held);
  const bool selfReady = each.blue == SlotState::ready;
  if (promotes && demotes) return "promoted and demoted at once";
  if (promotes && each.fenced) return "promoted on a fenced node";
  if (promotes && each.stopping) return "promoted by a guard that ends";
  if (promotes && !each.standby) return "promoted without a standby";
  if (promotes && each.promoted) return "promoted twice";
  if (promotes && selfReady && !each.held) return "promoted beside a ready pod";
  if (promotes && !each.held && !each.etcd && each.component == apiServer) return "an API server promoted without etcd";
  if (promotes && !each.held && each.component == apiServer && each.peerReady != false &&
      !(each.api && each.membership == Membership::labelled && each.longAgo))
    return "an API server promoted without asking the peers";
  if (promotes && !each.held && each.component != apiServer && (!each.api || each.leaseMoves)) return "promoted though somebody leads";
  if (demotes && each.held && !each.fenced) return "demoted what is held";
  if (demotes && each.stopping) return "demoted by a guard that ends";
  if (demotes && !each.promoted) return "demoted what was not promoted";
  if (demotes && !goes && !(each.standby && selfReady && each.mirror && each.api && each.exists && !each.stalled))
    return "demoted without a standby, a ready pod, a DaemonSet or the kubelet's word";
  if (demotes && !each.fenced && !each.exists) return "demoted though the DaemonSet is gone";
  if (writes && !(selfReady && each.exists && each.longAgo && each.api)) return "an unproven revision became the standby";
  if (writes && (each.fenced || each.stopping || each.stalled)) return "a standby written at the wrong time";
  if (decision.asksPeers && promotes) return "promoted before the peers were asked";
  return {};
}

using Booleans = std::initializer_list<bool>;
constexpr Booleans both{false, true};

template <typename Body> void forEachFlag(Case& each, Body&& body) {
  for (const bool etcd : both)
    for (const bool leaseMoves : both)
      for (const bool exists : both)
        for (const bool standby : both)
          for (const bool held : both)
            for (const bool fenced : both)
              for (const bool mirror : both)
                for (const bool promoted : both)
                  for (const bool longAgo : both) {
                    each.etcd = etcd, each.leaseMoves = leaseMoves, each.exists = exists, each.standby = standby, each.held = held;
                    each.fenced = fenced, each.mirror = mirror, each.promoted = promoted, each.longAgo = longAgo;
                    body();
                  }
}

template <typename Body> void forEachCase(Body&& body) {
  Case each;
  for (const auto component : {apiServer, controllerManager})
    for (const auto blue : {SlotState::refuses, SlotState::unready, SlotState::draining, SlotState::ready})
      for (const auto rescue : {SlotState::refuses, SlotState::ready})
        for (const int api : {0, 1})
          for (const auto membership : {Membership::labelled, Membership::unlabelled})
            for (const auto hosting :
                 {Hosting::shadow, Hosting::suspect, Hosting::rescue, Hosting::drain, Hosting::held, Hosting::dormant}) {
              if (api == 0 && membership != Membership::labelled) continue; // not to be told apart
              each.component = component, each.blue = blue, each.rescue = rescue, each.api = api;
              each.membership = membership, each.hosting = hosting;
              forEachFlag(each, [&] { body(each); });
            }
}

} // namespace

TEST_CASE("whatever a guard sees, it never does what could take an API server away or bring a wrong one") {
  std::size_t cases = 0;
  std::map<std::string, std::size_t> violations;
  Outcome seenAtAll;
  const auto check = [&](const Case& each) {
    const auto seen = seenIn(each);
    const auto decision = decide(seen, stateIn(each), later);
    const auto outcome = outcomeOf(decision, each.component);
    seenAtAll.promotes |= outcome.promotes, seenAtAll.demotes |= outcome.demotes, seenAtAll.writes |= outcome.writes;
    ++cases;
    if (const auto wrong = violation(each, seen, decision); !wrong.empty()) ++violations[wrong];
  };
  forEachCase([&](Case each) {
    for (const std::optional<bool> peer : {std::optional<bool>(), std::optional(false), std::optional(true)}) {
      if (peer && each.component != apiServer) continue; // nobody asks
      each.peerReady = peer;
      check(each);
    }
    if (each.component != apiServer || each.fenced || each.held || each.leaseMoves) return;
    each.peerReady = false;
    for (const bool stopping : both) {
      each.stopping = stopping, each.stalled = !stopping;
      check(each);
    }
  });
  for (const auto& [wrong, times] : violations) FAIL_CHECK(wrong << ": " << times << " times");
  CHECK(cases > 100000);
  CHECK((seenAtAll.promotes && seenAtAll.demotes && seenAtAll.writes));
}
