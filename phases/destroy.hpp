#pragma once
// The end of a cluster: every node is reset, by a pod that starts it there, workers first, then the other control planes one by one. The
// machine that drives it is the last. Pure: one look in, the next step out (plan/next.hpp).

#include "plan/next.hpp"

#include <string>
#include <vector>

namespace kubestrap::phases::destroy {

struct NodeSeen {
  std::string name;
  bool controlPlane = false, ready = false;
  bool kubeletAnswers = true; ///< as long as it does, its reset has not begun
  std::string pod;            ///< phase of the pod that starts its reset: "Running"; empty: there is none
  std::string trouble;        ///< why that pod does not start
};

struct Intent {
  std::string self;   ///< the node that drives
  bool force = false; ///< nodes that cannot be told stay as they are
  plan::Access access;
  std::string image;  ///< of the pods: kubestrap's own
};

struct Seen {
  std::vector<NodeSeen> nodes;     ///< that the cluster has
  std::size_t etcdMembers = 0;     ///< on control plane nodes
};

plan::Next next(const Intent& intent, const Seen& seen);

/// The nodes that can be told of nothing: their machines have to be reset by hand.
std::vector<std::string> absent(const Intent& intent, const Seen& seen);

/// The look after a step that went well.
Seen assumed(Seen seen, const plan::Next& done);

} // namespace kubestrap::phases::destroy
