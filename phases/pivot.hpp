#pragma once
// pivot and unpivot: the control plane's pods pass from files on each node to DaemonSets of the cluster, and back. Pure: one look in, the
// next step out (plan/next.hpp). Nothing is remembered, since everything that matters can be seen.

#include "config/model.hpp"
#include "manifests/hosted.hpp"
#include "plan/next.hpp"

#include <array>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace kubestrap::phases::pivot {

/// What a guard says of one component on its node, in its Lease (docs/design/self-hosting.md).
struct ComponentReport {
  std::map<std::string, std::string> slots; ///< "blue" -> "ready"
  bool promoted = false;                    ///< its static pod is wanted
  std::string standby;                      ///< revision of what would be promoted; empty: there is none
  std::string hosting = {};                 ///< the guard's state of it: "shadow", "rescue" (phases/guard.hpp)
  bool selfReady() const;
  bool is(manifests::Slot slot, std::string_view state) const;
};

struct GuardReport {
  bool fresh = false;
  std::set<std::string> held;
  std::map<std::string, ComponentReport> components;
  std::vector<std::pair<std::string, std::string>> conditions = {}; ///< "StandbyMissing", and a sentence
};
/// The annotation of a guard's Lease. Throws Error for what is none.
GuardReport parseGuardReport(const std::string& text);

struct NodeSeen {
  std::string name;
  bool ready = false; ///< or lacking a pod network only, which these pods do without
  bool selfHosted = false;
  std::optional<std::set<std::string>> held; ///< what is wished; nothing: nobody has said
  std::optional<GuardReport> guard;
  std::string address = {}; ///< where others reach it; empty: it has not said
};

struct DaemonSetSeen {
  std::string revision;
  bool observed = false; ///< its status is of what was asked for last
  int desired = 0, available = 0;
  bool mayGo = false; ///< somebody has said that it may be deleted
};

/// Who leads, and whether he still says so.
struct LeaderSeen {
  std::string node;
  bool fresh = false;
  Duration leads{}; ///< for so long, as far as it is known
};

struct Seen {
  std::vector<NodeSeen> nodes; ///< control planes, by name
  std::map<std::string, DaemonSetSeen> daemonSets;
  std::map<std::string, LeaderSeen> leaders; ///< of kube-controller-manager and kube-scheduler
  bool stored = false;                       ///< the cluster's configuration says hosting: self
};

/// What a node's guard says of a component; nothing at all where it has not said anything.
const ComponentReport& reportOf(const NodeSeen& seen, std::string_view component);

/// Nothing when all nodes can be changed.
std::optional<plan::Next> notInOrder(const Seen& seen);

/// The components whose static pods are wanted on a node.
std::set<std::string> heldOn(const NodeSeen& seen);
/// They are from now on these.
plan::Step hold(const NodeSeen& seen, const std::set<std::string>& components, std::string name, const config::Setup& setup);

/// Where an operator looks further: "look at: kubectl ...".
std::string logsOf(std::string_view component, const NodeSeen& seen);
std::string guardLog(const NodeSeen& seen);

enum class Goal { selfHosted, staticPods };

plan::Next next(Goal goal, const config::Setup& setup, const Seen& seen);

/// The look after a step or a wait that went well: by it a dry run shows all steps.
Seen assumed(Goal goal, Seen seen, const plan::Next& done);

} // namespace kubestrap::phases::pivot
