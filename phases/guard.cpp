#include "phases/guard.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

namespace kubestrap::phases::guard {

bool ComponentSeen::any(SlotState state) const { return std::ranges::find(slots, state) != slots.end(); }

std::string_view nameOf(SlotState state) {
  constexpr std::string_view names[] = {"refuses", "hangs", "unready", "draining", "ready"};
  return names[static_cast<std::size_t>(state)];
}

std::string_view nameOf(Hosting hosting) {
  constexpr std::string_view names[] = {"shadow", "suspect", "rescue", "drain", "held", "dormant"};
  return names[static_cast<std::size_t>(hosting)];
}

State begin(Moment now) {
  State state{.began = now};
  for (auto& component : state.components) {
    component.since = now;
    for (auto& slot : component.slots) slot.since = now;
  }
  return state;
}

namespace {

/// One component in one turn: what is seen of it, and what becomes of it.
struct Turn {
  const Seen& seen;
  const Timings& timings;
  Moment now;
  Component component;
  Decision& decision;

  const ComponentSeen& own() const { return seen.components[component]; }
  ComponentState& state() const { return decision.state.components[component]; }
  Duration inState() const { return now - state().since; }
  bool isApiServer() const { return component == apiServer; }
  bool promoted() const { return own().promoted || own().previousPromoted; }
  Duration byRank(Duration step) const { return step * static_cast<Duration::rep>(seen.rank); }

  void go(Hosting hosting, std::string_view why) const {
    if (state().hosting == hosting) return;
    decision.changes.push_back(fmt::format("{}: {} -> {}, since {}", nameOf(component), nameOf(state().hosting), nameOf(hosting), why));
    state().hosting = hosting;
    state().since = now;
  }
  void report(std::string name, std::string message) const {
    decision.conditions.push_back({std::move(name), fmt::format("{}: {}", nameOf(component), message)});
  }
  /// How long a slot has been ready (or not); zero where it is the other.
  Duration lasting(Slot slot, bool ready) const {
    const auto& memory = state().slots[static_cast<std::size_t>(slot)];
    return memory.ready == ready ? now - memory.since : Duration::zero();
  }
};

std::string seconds(Duration duration) { return fmt::format("{} s", std::chrono::duration_cast<std::chrono::seconds>(duration).count()); }

// ---- what is remembered of what is seen

void rememberSlots(const ComponentSeen& seen, ComponentState& state, Moment now) {
  for (std::size_t slot = 0; slot < seen.slots.size(); ++slot) {
    const bool ready = seen.slots[slot] == SlotState::ready;
    if (state.slots[slot].ready != ready) state.slots[slot] = {ready, now};
  }
}

/// A Lease ages only while there is an API by which it could be renewed.
void rememberLease(const Seen& all, const ComponentSeen& seen, ComponentState& state, Moment now) {
  if (!all.apiAnswers) state.leaseMoved.reset();
  else if (seen.lease && (!state.leaseMoved || state.lease != *seen.lease)) {
    state.lease = *seen.lease;
    state.leaseMoved = now;
  }
}

void rememberMembership(const Seen& seen, State& state, Moment now) {
  if (seen.apiAnswers && seen.membership == Membership::unknown) return;
  if (!seen.unlabelledAtPeer || seen.membership == Membership::labelled || !seen.apiAnswers) state.unlabelledSince.reset();
  else if (!state.unlabelledSince) state.unlabelledSince = now;
}

/// The first look says nothing about a driver: the plan may be an old one.
void rememberPlan(const Seen& seen, State& state, Moment now, Duration passed) {
  if (!seen.planSign) return;
  if (state.planSign && *state.planSign != *seen.planSign) {
    state.planMoved = now;
    state.roll.rolledBack = false;
  }
  state.planSilence = state.planSign == seen.planSign ? state.planSilence + passed : Duration::zero();
  state.planSign = seen.planSign;
}

/// That more nodes have a pod of the revision is progress; a pod that comes and goes is none.
void rememberRoll(const Seen& seen, RollState& roll, Duration passed, const Timings& timings) {
  if (!seen.planSign) return;
  if (!seen.rolling) {
    roll = {};
    return;
  }
  const auto& set = seen.components[seen.rolling->component].daemonSet;
  if (!set) return;
  const bool same = roll.rolling == seen.rolling, known = same && roll.revision == set->revision;
  if (!known)
    roll = {.rolling = seen.rolling, .revision = set->revision, .reached = set->updated, .proved = same && roll.proved,
            .wentBack = same && roll.revision == seen.rolling->to && set->revision == seen.rolling->from, .rolledBack = same && roll.rolledBack};
  roll.still = known && set->updated <= roll.reached ? roll.still + passed : Duration::zero();
  roll.reached = std::max(roll.reached, set->updated);
  roll.whole = known && set->rolledOut ? roll.whole + passed : Duration::zero();
  roll.proved = roll.proved || (set->revision == seen.rolling->to && roll.whole >= timings.commit);
}

void remember(const Seen& seen, State& state, Moment now, const Timings& timings) {
  const auto passed = state.looked ? now - *state.looked : Duration::zero();
  state.looked = now;
  if (!seen.etcdReady) state.etcdSince.reset();
  else if (!state.etcdSince) state.etcdSince = now;
  if (seen.apiAnswers) state.apiLast = now;
  for (const auto slot : {Slot::blue, Slot::green})
    if (const auto found = seen.components[apiServer].at(slot); found != SlotState::refuses && found != SlotState::hangs)
      state.selfAnswered = true;
  for (Component component = 0; component < count; ++component) {
    rememberSlots(seen.components[component], state.components[component], now);
    rememberLease(seen, seen.components[component], state.components[component], now);
  }
  rememberMembership(seen, state, now);
  rememberPlan(seen, state, now, passed);
  rememberRoll(seen, state.roll, passed, timings);
  for (const auto& [node, version] : seen.otherGuards)
    if (auto& lease = state.otherGuards[node]; lease.version != version) lease = {version, now};
}

// ---- promotion

/// Something listens at the rescue slot that is no pod of ours, or one that does not end.
bool isBusy(const Turn& turn) {
  const auto& demoted = turn.state().demoted;
  const bool ends = demoted && turn.now - *demoted < turn.timings.ends;
  return turn.own().at(Slot::rescue) != SlotState::refuses && !turn.own().promoted && !ends;
}

/// Which of the standbys can be promoted now. A pod that hangs in its slot does not keep the one before it from its own.
std::optional<Slot> slotToPromote(const Turn& turn) {
  const auto& own = turn.own();
  if (own.standbyValid && !isBusy(turn)) return Slot::rescue;
  if (own.previousValid && !own.previousPromoted) return Slot::previous;
  return {};
}

/// A pod that comes back again and again has to last longer each time, lest a revision that dies after a while made an outage a minute.
void rememberFlap(const Turn& turn) {
  auto& state = turn.state();
  const auto& timings = turn.timings;
  const bool flaps = state.demoted && turn.now - *state.demoted < timings.flap;
  state.stable = flaps ? std::min(std::max(state.stable, timings.stable) * 2, timings.stableMost) : timings.stable;
  state.demoted.reset();
  state.released = false;
}

bool promote(const Turn& turn, const std::string& why) {
  const auto slot = slotToPromote(turn);
  if (!slot) return false;
  turn.decision.actions.push_back(Promote{turn.component, *slot, why});
  return true;
}

/// Whether no API server of another node serves, as the guard itself has asked: its balancer needs a second or two to find them.
bool noPeerServes(const Turn& turn) {
  if (!turn.seen.peerReady) turn.decision.asksPeers = true;
  return turn.seen.peerReady == false;
}

/// The node's own API server is needed because there is no other.
std::string missesApi(const Turn& turn) {
  const auto& [seen, own, state] = std::tie(turn.seen, turn.own(), turn.decision.state);
  if (own.any(SlotState::ready)) return {};
  if (own.at(Slot::blue) == SlotState::draining || own.at(Slot::green) == SlotState::draining) return "its last slot is draining";
  if (seen.apiAnswers) return {};
  const bool noProcess = std::ranges::all_of(own.slots, [](SlotState each) { return each == SlotState::refuses; });
  if (noProcess && !state.selfAnswered) return "no API server was here since the guard began";
  const auto gone = std::min({turn.inState(), turn.now - *state.etcdSince, turn.now - state.apiLast.value_or(state.began)});
  return gone >= turn.timings.noApi ? fmt::format("there was no API for {}", seconds(gone)) : "";
}

std::string apiServerIsNeeded(const Turn& turn) {
  const auto& seen = turn.seen;
  if (!seen.etcdReady) return {};
  if (auto why = missesApi(turn); !why.empty()) return noPeerServes(turn) ? why : "";
  const bool servedByPeers = seen.apiAnswers && !turn.own().any(SlotState::ready);
  if (servedByPeers && seen.membership == Membership::labelled && turn.inState() >= turn.timings.peer && !turn.own().standbyTooOld)
    return fmt::format("only other nodes served for {}", seconds(turn.inState()));
  return {};
}

/// Nobody leads. The first node is the first to do something about it.
std::string leaderIsNeeded(const Turn& turn) {
  const auto& [own, state, timings] = std::tie(turn.own(), turn.state(), turn.timings);
  if (!turn.seen.apiAnswers || !own.lease || !state.leaseMoved || own.standbyTooOld) return {};
  const auto age = turn.now - *state.leaseMoved;
  const bool failed = own.podFailed == true;
  const auto patience = (failed ? std::min(timings.failed, timings.lease) : timings.lease) + turn.byRank(timings.perRank);
  if (age < patience) return {};
  return fmt::format("its Lease has not moved for {}{}", seconds(age), failed ? ", and its pod here has failed" : "");
}

// ---- demotion

/// What speaks against it; empty: nothing. `mirrors` prove that this kubelet has seen an API since it started what is promoted: one that
/// has not would let the process run on.
std::string keepsPromoted(const Turn& turn) {
  const auto& own = turn.own();
  if (!own.standbyValid) return "there is no standby to fall back on";
  if (!own.daemonSet) return "its DaemonSet was not seen";
  if (!own.daemonSet->exists) return "its DaemonSet is gone";
  const bool known = own.mirrors && std::ranges::any_of(own.activations, [&](const auto& each) { return own.mirrors->contains(each); });
  return known ? "" : "the kubelet has not told the API of the promoted pod yet";
}

void demote(const Turn& turn, const std::string& why) {
  if (!turn.promoted()) return;
  turn.decision.actions.push_back(Demote{turn.component, why});
  turn.state().demoted = turn.now;
  turn.state().ended = false;
}

// ---- the states

void inSuspect(const Turn& turn) {
  if (turn.own().selfReady()) return turn.go(Hosting::shadow, "a pod of its DaemonSet is ready");
  const auto why = turn.isApiServer() ? apiServerIsNeeded(turn) : leaderIsNeeded(turn);
  if (why.empty() || !promote(turn, why)) return;
  rememberFlap(turn);
  turn.go(Hosting::rescue, why);
}

void inShadow(const Turn& turn) {
  if (turn.own().selfReady()) return;
  turn.go(Hosting::suspect, "no pod of its DaemonSet is ready");
  inSuspect(turn);
}

/// The standby before, beside one that does not get ready.
void besideBroken(const Turn& turn) {
  const auto& own = turn.own();
  const auto& etcdSince = turn.decision.state.etcdSince;
  if (!own.promoted || own.at(Slot::rescue) == SlotState::ready || !etcdSince || (!turn.isApiServer() && !turn.seen.apiAnswers)) return;
  const auto unready = std::min({turn.inState(), turn.lasting(Slot::rescue, false), turn.now - *etcdSince});
  if (unready < turn.timings.broken) return;
  turn.report("StandbyBroken", fmt::format("the rescue pod is not ready since {}", seconds(unready)));
  if (!own.previousValid || own.previousPromoted) return;
  if (turn.isApiServer() && turn.state().hosting != Hosting::held && !noPeerServes(turn)) return;
  turn.decision.actions.push_back(Promote{turn.component, Slot::previous, fmt::format("the standby did not get ready in {}", seconds(unready))});
}

void inRescue(const Turn& turn) {
  const auto& own = turn.own();
  const bool parentGone = own.daemonSet && !own.daemonSet->exists;
  if (own.selfReady() && turn.seen.plan != Plan::stalled && !parentGone) return turn.go(Hosting::drain, "a pod of its DaemonSet is ready");
  besideBroken(turn);
}

void inDrain(const Turn& turn) {
  if (!turn.own().selfReady()) return turn.go(Hosting::rescue, "no pod of its DaemonSet is ready any more");
  if (turn.seen.plan == Plan::stalled) return turn.go(Hosting::rescue, "an operation has stalled");
  const auto& state = turn.state();
  const auto patience = std::max(state.stable, turn.timings.stable) + (state.released ? Duration::zero() : turn.byRank(turn.timings.drainPerRank));
  if (turn.inState() < patience) return;
  if (const auto against = keepsPromoted(turn); !against.empty()) return turn.report("StaysPromoted", against);
  const auto why = fmt::format("a pod of its DaemonSet has been ready for {}", seconds(turn.inState()));
  demote(turn, why);
  turn.state().released = false;
  turn.go(Hosting::shadow, why);
}

void inHeld(const Turn& turn) {
  turn.go(Hosting::held, "it is held");
  if (!turn.promoted()) promote(turn, "it is held");
  else besideBroken(turn);
}

/// The cluster does not count this node among its control plane any more: an API server elsewhere says so, for long, and a guard
/// elsewhere lives. What lies on the disk stays.
bool isEvicted(const Turn& turn) {
  const auto& state = turn.decision.state;
  const auto& timings = turn.timings;
  if (!state.unlabelledSince || turn.now - *state.unlabelledSince < timings.unlabelled) return false;
  if (turn.state().hosting == Hosting::dormant && !turn.promoted()) return true;
  const bool company = std::ranges::any_of(state.otherGuards, [&](const auto& each) { return turn.now - each.second.moved < timings.fresh; });
  return company && turn.own().daemonSet && turn.own().daemonSet->exists;
}

void becomeDormant(const Turn& turn, std::string_view why) {
  turn.go(Hosting::dormant, why);
  demote(turn, std::string(why));
}

/// The state that fits what lies in the static pod folder, whoever put it there or took it away.
void settle(const Turn& turn) {
  const bool selfReady = turn.own().selfReady();
  const auto present = turn.state().hosting;
  const bool wasHeld = present == Hosting::held;
  const bool wasPromoted = wasHeld || present == Hosting::rescue || present == Hosting::drain;
  if (wasHeld) turn.state().released = true;
  if (turn.promoted() && (!wasPromoted || wasHeld))
    turn.go(Hosting::rescue, wasHeld ? "it is not held any more" : "its manifest is in the static pod folder");
  else if (!turn.promoted() && (wasPromoted || present == Hosting::dormant))
    turn.go(selfReady ? Hosting::shadow : Hosting::suspect,
            present == Hosting::dormant ? "the node belongs to the control plane" : "its manifest is not in the static pod folder");
}

void step(const Turn& turn) {
  if (turn.seen.fenced) return becomeDormant(turn, "the node is fenced");
  if (turn.seen.leaving) return becomeDormant(turn, "the node is leaving");
  if (turn.seen.held.contains(turn.component)) return inHeld(turn);
  if (isEvicted(turn)) return becomeDormant(turn, "the node has no part in the control plane any more");
  settle(turn);
  switch (turn.state().hosting) {
  case Hosting::shadow: return inShadow(turn);
  case Hosting::suspect: return inSuspect(turn);
  case Hosting::rescue: return inRescue(turn);
  case Hosting::drain: return inDrain(turn);
  case Hosting::held:
  case Hosting::dormant: return;
  }
}

// ---- the standby

/// A revision becomes the standby when it has proved itself here and is everywhere. The slot of the present template counts, not that of
/// the one before, which served until the roll was complete.
void writeStandby(const Turn& turn) {
  const auto hosting = turn.state().hosting;
  const auto& parent = turn.own().daemonSet;
  if (hosting != Hosting::shadow && hosting != Hosting::held) return;
  if (!parent || !parent->exists || !parent->rolledOut || !parent->slot || parent->isStandby) return;
  if (turn.seen.plan == Plan::running || turn.seen.plan == Plan::stalled) return;
  if (!parent->unfit.empty()) return turn.report("TemplateUnfit", fmt::format("its DaemonSet's template has {}", parent->unfit));
  // An operation that commits has waited until the pods were available, and waits for the standby.
  const auto& moved = turn.decision.state.planMoved;
  const bool commits = turn.seen.plan == Plan::commits && moved && turn.now - *moved < turn.timings.driver;
  const auto lasts = commits ? Duration(1) : turn.timings.commit;
  if (turn.lasting(*parent->slot, true) >= lasts) turn.decision.actions.emplace_back(WriteStandby{turn.component});
}

// ---- a roll that nobody drives any more

/// The old revision is put in force again where the new one does not get on and the driver, who would do it, has given no sign for long. A roll
/// that gets on comes to its end by itself, and one that has proved itself stays.
void putBack(const Seen& seen, Decision& decision, const Timings& timings) {
  if (!seen.rolling || seen.plan != Plan::running || !seen.apiAnswers || seen.membership != Membership::labelled || seen.leaving || seen.fenced) return;
  const auto& rolling = *seen.rolling;
  const auto& set = seen.components[rolling.component].daemonSet;
  auto& state = decision.state;
  auto& roll = state.roll;
  if (!set || !set->exists || roll.proved) return;
  const auto patience = timings.putBack + timings.putBackPerRank * static_cast<Duration::rep>(seen.rank);
  if (roll.wentBack && state.planSilence >= timings.putBack) roll.rolledBack = true;
  if (roll.rolledBack)
    decision.conditions.push_back({"RolledBack", fmt::format("{}: revision {} is in force again, since {} did not get on and its driver was not heard of",
                                                             nameOf(rolling.component), rolling.from, rolling.to)});
  if (state.planSilence < timings.putBack) return;
  if (set->revision != rolling.to || set->rolledOut || std::min(state.planSilence, roll.still) < patience) return;
  decision.actions.emplace_back(PutBack{rolling, fmt::format("its roll has not got on for {}, and no sign of its driver was seen for {}", seconds(roll.still), seconds(state.planSilence))});
  roll.still = patience - std::min(patience, Duration(timings.driver)); // should it not come to that, again in a while
}

// ---- conditions

void reportParent(const Turn& turn) {
  const auto& own = turn.own();
  if (turn.seen.membership != Membership::labelled || !own.daemonSet) return;
  if (!own.daemonSet->exists) turn.report("ParentMissing", "its DaemonSet is gone; kubestrap repair makes it again");
  else if (own.podMissing == true && !own.selfReady()) turn.report("ParentMissing", "its DaemonSet has no pod on this node");
}

void reportRemains(const Turn& turn) {
  const auto& own = turn.own();
  if (own.promoted) return;
  const bool runs = own.at(Slot::rescue) != SlotState::refuses;
  const auto& demoted = turn.state().demoted;
  if (!runs) turn.state().ended = true;
  if (runs && (!demoted || turn.state().ended)) return turn.report("SlotBusy", "a process that is none of ours listens in its rescue slot");
  if (!demoted) return;
  const auto ago = turn.now - *demoted;
  if (runs && ago >= turn.timings.ends) turn.report("StuckStaticPod", fmt::format("its rescue pod runs {} after it was demoted", seconds(ago)));
  else if (!own.previousPromoted && own.mirrors && !own.mirrors->empty() && ago >= turn.timings.vanishes)
    turn.report("StuckStaticPod", fmt::format("its rescue pod is listed {} after it was demoted", seconds(ago)));
}

void report(const Turn& turn) {
  const auto& own = turn.own();
  if (turn.state().hosting == Hosting::dormant) return;
  if (!own.standbyValid) turn.report("StandbyMissing", "there is no standby that a static pod can be made of");
  if (own.standbyTooOld) turn.report("StandbyTooOld", "its standby is more than a minor version behind the cluster");
  reportParent(turn);
  reportRemains(turn);
}

} // namespace

Decision decide(const Seen& seen, const State& before, Moment now, const Timings& timings) {
  Decision decision{.state = before};
  if (seen.stopping) return decision;
  remember(seen, decision.state, now, timings);
  for (Component component = 0; component < count; ++component) {
    const Turn turn{seen, timings, now, component, decision};
    step(turn);
    writeStandby(turn);
    report(turn);
  }
  putBack(seen, decision, timings);
  return decision;
}

} // namespace kubestrap::phases::guard
