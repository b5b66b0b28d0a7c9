#pragma once
// What the guard of a control plane node decides: when a component's standby is promoted to a static pod, when it is demoted again, and
// when a revision that has proved itself becomes the standby. Pure: what was seen, what is remembered and the moment go in, what is
// remembered from then on and what is to be done come out (docs/design/self-hosting.md).

#include "manifests/hosted.hpp"
#include "support/time.hpp"

#include <array>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace kubestrap::phases::guard {

using manifests::Slot;
/// Since the machine was switched on. The wall clock may be wrong after a power loss, so it is never asked.
using Moment = Duration;

inline constexpr std::size_t count = manifests::hostedComponents.size();
/// Index into manifests::hostedComponents.
using Component = std::size_t;
inline constexpr Component apiServer = 0, controllerManager = 1, scheduler = 2;
inline std::string_view nameOf(Component component) { return manifests::hostedComponents[component]; }

// ---- what is seen

enum class SlotState {
  refuses,  ///< nobody listens: there is no process
  hangs,    ///< a process that does not answer in time
  unready,  ///< it answers that it is not ready
  draining, ///< it answers that it is on its way out
  ready
};
std::string_view nameOf(SlotState state);

/// A DaemonSet as the API has it.
struct DaemonSetSeen {
  bool exists = false;
  bool rolledOut = false; ///< on all nodes, and all of its pods are available
  std::optional<Slot> slot;      ///< of its template: blue or green
  std::string revision;
  int updated = 0;               ///< nodes with a pod of its template
  std::string unfit;             ///< why no static pod can be made of its template; empty: one can
  bool isStandby = false;        ///< the standby here is what its template makes
};

struct ComponentSeen {
  std::array<SlotState, manifests::allSlots.size()> slots{}; ///< in the order of manifests::allSlots
  bool promoted = false, previousPromoted = false;           ///< the static pod folder has it
  std::set<std::string> activations;                         ///< of what is promoted
  bool standbyValid = false, previousValid = false;
  bool standbyTooOld = false; ///< more than a minor version behind an API server that answers
  // What only the API knows; nothing when it was not learned in this look.
  std::optional<DaemonSetSeen> daemonSet;
  std::optional<bool> podFailed, podMissing; ///< this node's pod of the DaemonSet: in phase Failed, or none
  std::optional<std::set<std::string>> mirrors; ///< activations that mirror pods of its rescue pods have
  std::optional<std::string> lease; ///< its version: another one says that somebody leads. "" is none

  SlotState at(Slot slot) const { return slots[static_cast<std::size_t>(slot)]; }
  bool any(SlotState state) const;
  /// A pod of the DaemonSet on this node is ready.
  bool selfReady() const { return at(Slot::blue) == SlotState::ready || at(Slot::green) == SlotState::ready; }
};

enum class Membership { unknown, labelled, unlabelled, gone };
enum class Plan { none, running, commits, stalled }; ///< an operation over several nodes

/// What the driver of a roll has written down before it gave a component another revision, for when it is not heard of again.
struct Rolling {
  Component component{};
  std::string to, from; ///< revisions
  friend bool operator==(const Rolling&, const Rolling&) = default;
};

struct Seen {
  std::array<ComponentSeen, count> components;
  bool etcdReady = false;  ///< this node's member
  bool apiAnswers = false; ///< through the node's balancer, whichever node it led to
  std::optional<bool> peerReady; ///< whether an API server of another node is ready; nothing: none was asked
  Membership membership = Membership::unknown; ///< of this node, through the balancer
  bool unlabelledAtPeer = false; ///< an API server of another node says, too, that the node or its label is gone
  std::map<std::string, std::string> otherGuards; ///< versions of their Leases, by node
  Plan plan = Plan::none;
  std::optional<std::string> planSign; ///< by which its driver shows that it lives: another text each time; "" without a plan, nothing: not learned
  std::optional<Rolling> rolling; ///< of an operation that runs
  std::set<Component> held;
  bool leaving = false, fenced = false;
  bool stopping = false; ///< the guard itself was told to end
  std::size_t rank = 0;  ///< place of this node among the control plane's, by name
};

// ---- what is remembered

enum class Hosting {
  shadow,  ///< a pod of the DaemonSet serves, the standby lies there
  suspect, ///< none is ready
  rescue,  ///< the standby is promoted
  drain,   ///< beside a pod of the DaemonSet that has come back
  held,    ///< promoted for as long as the operator, init or unpivot wish
  dormant  ///< the node is leaving the control plane
};
std::string_view nameOf(Hosting hosting);

struct SlotMemory {
  bool ready = false;
  Moment since{}; ///< is it ready, or not
};

struct ComponentState {
  Hosting hosting = Hosting::suspect;
  Moment since{}; ///< in that state
  std::array<SlotMemory, manifests::allSlots.size()> slots;
  std::string lease;
  std::optional<Moment> leaseMoved; ///< nothing: not seen since the API was away
  Duration stable{};                ///< how long a pod that came back has to last; zero: as the timings say
  std::optional<Moment> demoted;    ///< the last time
  bool ended = false;               ///< since then its rescue slot has been seen to be free
  bool released = false;            ///< it was held until now: somebody sees to it that nodes take turns
};

struct GuardLease {
  std::string version;
  Moment moved{};
};

/// How a roll gets on. Times are of looks in which it was seen: what the API did not tell for a while makes nothing older.
struct RollState {
  std::optional<Rolling> rolling;
  std::string revision; ///< that is in force
  int reached = 0;      ///< most nodes that had a pod of it
  Duration still{};     ///< since it got on last
  Duration whole{};     ///< it is everywhere, and available, since
  bool proved = false;  ///< it was so for long: nothing is put back any more
  bool wentBack = false; ///< the revision before was seen in force after the new one
  bool rolledBack = false; ///< and nobody drove it then, nor does since
};

struct State {
  std::array<ComponentState, count> components;
  Moment began{};
  std::optional<Moment> etcdSince; ///< ready since
  std::optional<Moment> apiLast;   ///< when it answered last
  bool selfAnswered = false;       ///< a pod of the API server's DaemonSet has answered since the guard began
  std::optional<Moment> unlabelledSince;
  std::optional<std::string> planSign;
  std::optional<Moment> planMoved; ///< nothing: no sign of its driver was seen since the guard began
  Duration planSilence{};          ///< looks that learned of the same sign
  RollState roll;
  std::optional<Moment> looked;    ///< the last time
  std::map<std::string, GuardLease> otherGuards;
};

/// A guard that begins: what is promoted stays promoted, since it makes the next cold start faster. What an earlier one since the same
/// start of the machine remembered of demotions and patience may be put in.
State begin(Moment now);

// ---- what is decided

struct Timings {
  Duration noApi = std::chrono::seconds(10);  ///< without an API, while etcd is ready
  Duration lease = std::chrono::seconds(45);  ///< a Lease that does not move
  Duration failed = std::chrono::seconds(15); ///< the same, where the node's own pod has failed
  Duration perRank = std::chrono::seconds(20); ///< later for each node before this one
  Duration stable = std::chrono::seconds(10);
  Duration stableMost = std::chrono::minutes(15);
  Duration flap = std::chrono::minutes(30);        ///< a rescue this soon after a demotion doubles `stable`
  Duration drainPerRank = std::chrono::seconds(12); ///< so that not all nodes demote at once
  Duration commit = std::chrono::seconds(120);     ///< a revision proves itself for that long
  Duration peer = std::chrono::seconds(180);       ///< the kubelet's chance while other nodes serve
  Duration broken = std::chrono::seconds(120);     ///< a rescue pod that is not ready
  Duration unlabelled = std::chrono::minutes(10);
  Duration driver = std::chrono::seconds(60);  ///< an operation whose driver has given no sign for that long is left alone
  Duration fresh = std::chrono::seconds(40);   ///< a Lease of another guard that has moved this recently
  Duration ends = std::chrono::seconds(120);   ///< a demoted pod's process
  Duration vanishes = std::chrono::minutes(5); ///< and its mirror pod
  Duration putBack = std::chrono::minutes(10); ///< a roll that does not get on, and whose driver has given no sign for so long, is put back
  Duration putBackPerRank = std::chrono::seconds(60); ///< later for each node before this one
};

struct Promote {
  Component component{};
  Slot slot = Slot::rescue; ///< or previous
  std::string why;
};
struct Demote {
  Component component{};
  std::string why;
};
struct WriteStandby {
  Component component{};
};
/// The revision before is put in force again.
struct PutBack {
  Rolling rolling;
  std::string why;
};
using Action = std::variant<Promote, Demote, WriteStandby, PutBack>;

/// What an operator should know: "StandbyBroken" and a sentence.
struct Condition {
  std::string name, message;
  bool operator==(const Condition&) const = default;
};

struct Decision {
  State state;
  std::vector<Action> actions;
  std::vector<Condition> conditions;
  std::vector<std::string> changes; ///< "kube-apiserver: suspect -> rescue, since ...", for the log
  /// Nothing was promoted yet since no peer was asked: ask them, and decide again with what they say.
  bool asksPeers = false;
};

Decision decide(const Seen& seen, const State& before, Moment now, const Timings& timings = {});

} // namespace kubestrap::phases::guard
