#pragma once
// Workers get the kubelet of the cluster's version, some at a time: their pods move away, each once where that can be had, the kubelet is put in
// place by a pod of kubestrap's own image, and pods may come again. Pure: one look in, the next step out (plan/next.hpp). How far a worker is
// stands on its Node, so going on after an interruption is running again.

#include "phases/node_reset.hpp"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace kubestrap::phases::workers {

/// On a Node, from when it is closed for new pods until it takes them again: for what.
inline constexpr std::string_view annotation = "kubestrap.io/upgrade-workers";
/// What the annotation says.
enum class Turn {
  none,
  ahead,      ///< closed so that pods which move do not come there: its own turn comes later
  its,        ///< its pods move away, and its kubelet is replaced
  staysClosed ///< the same, of one that the operator had closed before: it stays so
};

/// What a pod asks of a node, or a node has left.
struct Room {
  long cpu = 0;    ///< thousandths
  long memory = 0; ///< octets
  long pods = 0;
};

/// A pod that has to move before the kubelet of its node is replaced.
struct PodSeen {
  std::string name; ///< "default/web-1"
  bool ending = false;
  bool alone = false;  ///< nobody makes it anew elsewhere
  std::string refused; ///< why the API server lets it not be evicted now, as it has said; empty: it has not
  Room wants = {.pods = 1};
};

/// What a worker says of itself.
struct Report {
  std::vector<std::string> obstacles; ///< "/opt/kubelet is absent"
};

/// A pod that does something on a node's machine (manifests/node_op.hpp).
struct OpSeen {
  std::string phase;   ///< "Running"; empty: there is none
  std::string trouble; ///< why it does not start
  std::string said;    ///< its last words, once it has ended
  bool stale = false;  ///< it had come to its end, or could not begin, or was told to go, before this driver began
  bool ending = false; ///< it was told to go, and is still there
};

struct NodeSeen {
  std::string name, version; ///< of its kubelet: "v1.36.3"
  bool wanted = false;       ///< it is among those that are to be upgraded
  bool ready = false, closed = false;
  Turn turn = Turn::none;
  bool tainted = false;      ///< takes only pods that bear it
  std::vector<PodSeen> pods; ///< those that have to move
  Room free;                 ///< as requests leave it
  OpSeen look, swap;
  std::optional<Report> report;
  Duration asks{};   ///< since there is a pod that asks it, and it has not said anything
  Duration drains{}; ///< since this driver saw it first with its turn
  Duration swaps{};  ///< the same of the pod that replaces its kubelet
  Duration unready{}; ///< of a node that is not Ready
  Duration settles{}; ///< and of a kubelet that has been replaced
};

struct Seen {
  std::vector<NodeSeen> nodes;                  ///< all, by name
  std::map<std::string, std::string> apiServers; ///< node -> version: "v1.37.2"
  /// Pods that found no room on any node while some are closed ahead, for a while.
  std::size_t homeless = 0;
};

/// What a worker was left for, and what helps.
struct Left {
  std::string cause, remedy;
  bool broken = false; ///< its kubelet was touched: it stays closed
};

/// What the driver remembers of its own run, and no look can show.
struct Progress {
  std::map<std::string, Left> left;
  std::size_t tightAt = 0; ///< with so many nodes to go to, pods found no room while others were closed ahead; 0: that was never so
};

/// What is asked for, the same in all steps.
struct Intent {
  NodeAccess nodes;
  std::string version; ///< "v1.37.2"
  std::size_t width = 1;
  Duration drainPatience = std::chrono::minutes(5);
  bool skips = false; ///< a worker whose pods may not leave is left, and the others go on
  bool force = false; ///< pods that nobody makes anew go as well
  std::vector<std::string> source; ///< how the kubelet comes there: {"--kubelet", "/opt/kubelet"}
};

inline constexpr Duration swapPatience = std::chrono::minutes(15), readyPatience = std::chrono::minutes(5);

bool isInTurn(const NodeSeen& node);       ///< its pods move, or its kubelet is replaced
std::string_view nameOf(Turn turn); ///< "ahead"; "" of none
Turn turnOf(std::string_view name);

/// Whether its kubelet is of an older version than is wanted.
bool isBehind(const Intent& intent, const NodeSeen& node);
/// Names of the nodes whose pods shall be asked to move now.
std::set<std::string> emptied(const Intent& intent, const Progress& progress, const Seen& seen);
/// What went wrong with nodes since the last look.
std::map<std::string, Left> leftBehind(const Intent& intent, const Progress& progress, const Seen& seen);
/// Progress after this look.
Progress remembered(const Intent& intent, Progress progress, const Seen& seen);

plan::Next next(const Intent& intent, const Progress& progress, const Seen& seen);
/// The look after a step or a wait that went well: by it a dry run shows all steps.
Seen assumed(const Intent& intent, Seen seen, const plan::Next& done);

/// Whether pods that want so much find room, taken the largest first.
bool fits(std::vector<Room> wanted, std::vector<Room> free);

} // namespace kubestrap::phases::workers
