#pragma once
// A node and its guard, turn by turn: what the guard does happens, and time passes by seconds.

#include "phases/guard.hpp"

#include <string>
#include <variant>
#include <vector>

namespace kubestrap::test {

using namespace phases::guard;
using namespace std::chrono_literals;

struct GuardedNode {
  Seen seen;
  State state = begin(0s);
  Moment now{};
  Timings timings;
  std::vector<Action> actions; ///< of all turns
  Decision last;

  /// A node that is self-hosted and sound: a pod of each DaemonSet in the blue slot, everything known.
  GuardedNode() {
    seen.etcdReady = seen.apiAnswers = true;
    seen.membership = Membership::labelled;
    for (auto& each : seen.components) {
      each.standbyValid = true;
      each.daemonSet = DaemonSetSeen{.exists = true, .rolledOut = true, .slot = Slot::blue, .revision = "1", .isStandby = true};
      each.podFailed = each.podMissing = false;
      each.mirrors.emplace();
      each.lease = "";
      at(each, Slot::blue) = SlotState::ready;
    }
  }

  static SlotState& at(ComponentSeen& seen, Slot slot) { return seen.slots[static_cast<std::size_t>(slot)]; }
  SlotState& slot(Component component, Slot slot) { return at(seen.components[component], slot); }
  ComponentSeen& of(Component component) { return seen.components[component]; }
  Hosting hosting(Component component) const { return state.components[component].hosting; }

  /// No process is there any more, and so no API on a single node.
  void powerLoss() {
    for (auto& each : seen.components) {
      each.slots = {};
      each.daemonSet.reset();
      each.podFailed.reset();
      each.podMissing.reset();
      each.mirrors.reset();
      each.lease.reset();
    }
    seen.etcdReady = seen.apiAnswers = false;
    seen.membership = Membership::unknown;
    state = begin(now);
  }

  /// One turn of the guard. Whoever leads renews the Leases, unless `leads` says otherwise.
  void turn() {
    if (seen.apiAnswers)
      for (auto& each : seen.components)
        if (leads && each.lease) each.lease = std::to_string(++version_);
    last = decide(seen, state, now, timings);
    if (last.asksPeers) {
      seen.peerReady = peerReady;
      last = decide(seen, state, now, timings);
      seen.peerReady.reset();
      ++peersAsked;
    }
    state = last.state;
    for (const auto& action : last.actions) happen(action);
    now += 1s;
  }
  void turns(Duration time) {
    for (const auto end = now + time; now < end;) turn();
  }

  std::string done() const {
    std::string text;
    for (const auto& action : actions) text += (text.empty() ? "" : ", ") + describe(action);
    return text;
  }
  bool reports(const std::string& name) const {
    for (const auto& each : last.conditions)
      if (each.name == name) return true;
    return false;
  }

  bool leads = true, peerReady = false;
  int peersAsked = 0;
  bool kubeletTellsOfPods = true;
  bool takesBack = true; ///< the API server does

private:
  static std::string describe(const Action& action) {
    if (const auto* promote = std::get_if<Promote>(&action))
      return "promote " + std::string(nameOf(promote->component)) + (promote->slot == Slot::previous ? " previous" : "");
    if (const auto* demote = std::get_if<Demote>(&action)) return "demote " + std::string(nameOf(demote->component));
    if (const auto* back = std::get_if<PutBack>(&action)) return "put back " + std::string(nameOf(back->rolling.component)) + " " + back->rolling.from;
    return "write " + std::string(nameOf(std::get<WriteStandby>(action).component));
  }
  void happen(const Action& action) {
    actions.push_back(action);
    if (const auto* promote = std::get_if<Promote>(&action)) {
      auto& own = of(promote->component);
      (promote->slot == Slot::previous ? own.previousPromoted : own.promoted) = true;
      own.activations.insert(std::to_string(++activation_));
      if (kubeletTellsOfPods && own.mirrors) own.mirrors = own.activations;
    } else if (const auto* demote = std::get_if<Demote>(&action)) {
      auto& own = of(demote->component);
      own.promoted = own.previousPromoted = false;
      own.activations.clear();
      at(own, Slot::rescue) = at(own, Slot::previous) = SlotState::refuses;
      if (own.mirrors) own.mirrors->clear();
    } else if (const auto* back = std::get_if<PutBack>(&action)) {
      if (!takesBack) return;
      auto& set = *of(back->rolling.component).daemonSet;
      set.revision = back->rolling.from;
      set.rolledOut = true;
    } else {
      of(std::get<WriteStandby>(action).component).daemonSet->isStandby = true;
    }
  }
  int version_ = 0, activation_ = 0;
};

} // namespace kubestrap::test
