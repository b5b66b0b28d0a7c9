#pragma once
// A roll: the DaemonSets of a control plane that runs in its own cluster get new templates (a new version, other settings), one component
// after the other, each revision beside the one before it, in the other slot. Pure: one look in, the next step out (plan/next.hpp).
// How far it is can be seen in the cluster; what is remembered is only that something went wrong, and a run begins without.

#include "phases/etcd_roll.hpp"
#include "phases/pivot.hpp"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace kubestrap::phases::roll {

/// A pod of a component's DaemonSet, or one that rehearses a command line.
struct PodSeen {
  std::string name, node, uid;
  std::string revision; ///< of its template
  std::string phase;    ///< "Running", "Succeeded", ...
  bool bound = false;   ///< a scheduler has put it on its node
  bool ready = false, ending = false;
  int restarts = 0; ///< since it was seen for the first time
  bool hopeless = false; ///< waiting longer does not help: its image cannot be had
  std::string trouble;   ///< "ImagePullBackOff: ...", "exit code 1: unknown flag: --x"; empty: none is seen
  Duration age{};       ///< since it was seen for the first time
  Duration readyFor{};
  Duration made{}; ///< since it was made
};

struct ComponentSeen {
  Value podTemplate; ///< of its DaemonSet
  std::string spec = {}; ///< of its DaemonSet: another one with every change of it, and in no other DaemonSet
  Value before;      ///< the template that it had before that one, of its ControllerRevision; null: it has had no other
  int updated = 0;     ///< nodes with a pod of the present template
  std::string nudges;  ///< how often its controller was made to look again
  Duration nudgedFor = std::chrono::hours(1); ///< since the last time
  std::string proved;  ///< the revision whose leader has shown that it does its work
  std::vector<PodSeen> pods;
};

/// What shows that a controller-manager, or a scheduler, works: it takes up an object that nobody else does.
struct CanarySeen {
  bool exists = false, taken = false;
  Duration age{};
};

/// What one API server says that is asked by itself: whether it is ready, for a list, and for a write that is tried out only.
struct AnswerSeen {
  std::string trouble;  ///< empty: it serves
  bool refuses = false; ///< it says no, and is not just away or busy
  bool silent = false;  ///< it cannot be reached from here, which says nothing of it
  Duration lasts{};     ///< for how long it has been so without a break
};

/// What an operator who is asked has answered.
enum class Said { nothing, yes, no };

struct Seen {
  pivot::Seen controlPlane;
  std::map<std::string, ComponentSeen> components;
  std::vector<EtcdMemberSeen> etcd;
  std::vector<PodSeen> rehearsals;
  std::map<std::string, CanarySeen> canaries;             ///< by component
  bool stored = false; ///< the cluster's configuration is the one that is rolled to
  bool hasSnapshot = false; ///< what `snapshot` wants lies on the driver's machine
  bool mayPutBack = false; ///< guards may put a revision back that does not get on
  Said said = Said::nothing; ///< to isQuestion
  std::map<std::string, AnswerSeen> answers = {}; ///< by node: of those that have to be asked (toAsk)
};

/// What went wrong. From there on the component goes back to the template that it had before.
struct Failure {
  std::string component, cause;
  Value back;            ///< that template; null: the new one was not put in force
  bool takeover = false; ///< who leads is useless: static pods lead until the old template runs again
};

/// What is wished, the same in all steps.
struct Intent {
  config::Setup setup;   ///< how things shall be
  std::string command;   ///< "upgrade": what goes on from where this one ends
  std::string emulates;  ///< "1.36": as what a new API server behaves until it has lasted; empty: as itself from the first moment
  bool rollsEtcd = false; ///< its version is changed, too, where it is another; or it was, and API servers know both places still
  bool keepsNewerEtcd = false; ///< there is a newer one than the wanted version's: only what has begun is brought to its end, with that one
  std::string patchesFolder = {}; ///< for etcd's pods of other nodes: the folder of patches, on each of them; empty: none
  /// By component. With any of them none gets another command line: these begin anew by what they have, and read what has changed.
  std::map<std::string, manifests::Reading> readings = {};
  Duration soak{};       ///< how long a new version of the API server lasts with the old one's behaviour, before it gets its own
  bool confirms = false; ///< not the time but somebody who is asked says when it has lasted
  Duration deadline = std::chrono::minutes(5); ///< for a new pod to get ready
  plan::Resources afterwards; ///< addons, and last of all the configuration
};

/// On a DaemonSet: how often its controller was made to look again.
inline constexpr std::string_view nudgedAnnotation = "kubestrap.io/nudged";

/// Where a pod of etcd has a newer image than the intent it stays so: an older one refuses what a newer one has stored, and the newer one serves older API servers as well.
void keepNewerEtcd(Intent& intent, const std::vector<std::string>& images);
/// Whether etcd's version has to be changed, be it to bring to its end what has begun.
bool etcdLags(const Intent& intent, const std::vector<EtcdMemberSeen>& members);

/// Whether API servers have the template by which etcd moves. With no etcd that lags a driver before has come so far: its template is gone on from, and not another one put in between.
bool hasTwoPlacesForEtcd(Intent intent, const Seen& seen);

/// Whether a component has got its template of that version already, and the cluster's configuration does not say so yet.
bool hasBegun(const Intent& intent, const Seen& seen);

/// Addons and the configuration that the cluster keeps of itself, which comes last.
plan::Resources afterwards(const config::Setup& setup);

/// What will be another when it is over: DaemonSets, with the slot and revision that they have now, so that a comparison shows what matters; etcd's
/// manifest on this machine, where its version changes; and what comes afterwards.
plan::Resources changes(const Intent& intent, const Seen& seen);

/// What etcd has stored before an upgrade changes what stores it, or how; empty: this roll needs none, or has come too far.
plan::Resources snapshot(const Intent& intent, const Seen& seen);

/// An API server of a revision that this roll has brought: its pod is ready, and whether it does its work has to be seen.
struct ToAsk {
  std::string node, url, revision;
};
/// The driver's own in its slot, beside the one before it; another node's once that one has gone, so that nobody else can answer there. None any more when the next component's turn has come.
std::vector<ToAsk> toAsk(const Intent& intent, const Seen& seen);

/// What in `seen` shows that the roll went wrong. Nothing: all is well so far.
std::optional<Failure> failureIn(const Intent& intent, const Seen& seen);

/// Why the API server cannot go to the version of the intent any more; nothing: it can.
std::optional<plan::Stuck> cannotGoBack(const Intent& intent, const Seen& seen);

/// The version to which an upgrade went that has not come to its end, `back` being the way to where it began: that one's own where nothing but attempts are left.
/// Empty: there is no such upgrade.
std::string toRollBack(const Intent& back, const Seen& seen);

/// The next step; with a failure the way back, which ends Stuck with its cause.
plan::Next next(const Intent& intent, const std::optional<Failure>& failure, const Seen& seen);

/// Whether a step changes what runs, or what the cluster keeps of itself: all that comes before only tries things out.
bool takesEffect(const plan::Step& step);
/// Whether somebody has to say that it goes on: from there on only a snapshot leads back.
bool isQuestion(const plan::Next& next);
/// Whether it is the last one: addons, and the configuration that the cluster keeps of itself.
bool isLast(const plan::Step& step);

/// What a plan goes by, which looks once: whatever is ready counts as having been so since it was made, and who is asked says yes.
Seen seenOnce(Seen seen);
/// The look after a step or a wait that went well: by it a dry run shows all steps.
Seen assumed(const Intent& intent, Seen seen, const plan::Next& done);

} // namespace kubestrap::phases::roll
