#pragma once
// A node is replaced by another machine. One that is gone is forgotten first, so that it does not count for etcd's quorum; one that runs
// leaves when its successor is well. The successor gets its labels and taints. Pure: one look in, the next step out (plan/next.hpp).

#include "phases/removal.hpp"

#include "support/value.hpp"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace kubestrap::phases::replacement {

/// What is kept of a node until its successor has it: in a ConfigMap of kube-system, since the Node may go first.
struct Kept {
  std::string uid;       ///< of the Node that goes
  std::string successor; ///< its name
  bool controlPlane = false;
  std::map<std::string, std::string> labels;
  std::vector<Value> taints; ///< core/v1 Taint
};

/// Of a Node: labels and taints that somebody has given it, and not those by which Kubernetes and kubestrap tell what they see.
Kept keptOf(const Value& node, const std::string& successor);
/// "kubestrap-replacement-n2"
std::string keptName(const std::string& node);
Value keptDocument(const std::string& node, const Kept& kept);
/// Throws Error for what is no such ConfigMap.
Kept readKept(const Value& configMap);

struct SuccessorSeen {
  bool ready = false;
  bool votes = false; ///< its member of etcd does
  std::map<std::string, std::string> labels;
  std::vector<Value> taints;
};

struct Intent {
  removal::Intent removal; ///< of the node that goes
  std::string successor;
  Duration patience{};     ///< for the successor to join
};

struct Seen {
  removal::Seen old;
  std::optional<Value> node; ///< the Node that goes
  std::optional<Kept> kept;
  bool wasKept = false; ///< this run has seen it kept: where it is not any more all is done
  std::optional<SuccessorSeen> successor; ///< a Node of that name that is not the one that goes
  bool hasEtcd = true;                    ///< etcd is the cluster's
};

plan::Next next(const Intent& intent, const Seen& seen);

/// Whether what is waited for is that the successor joins: from then on somebody has to be told how.
bool waitsForJoin(const Seen& seen);

/// The look after a step that went well.
Seen assumed(Seen seen, const Intent& intent, const plan::Next& done);

} // namespace kubestrap::phases::replacement
