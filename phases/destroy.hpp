#pragma once
// The end of a cluster: every node is reset, by a pod that starts it there, workers first, then the other control planes one by one. The
// machine that drives it is the last. Pure: one look in, the next step out (plan/next.hpp).

#include "phases/node_reset.hpp"

#include <string>
#include <vector>

namespace kubestrap::phases::destroy {

struct Intent {
  std::string self;   ///< the node that drives
  bool force = false; ///< nodes that cannot be told stay as they are
  NodeAccess nodes;
  plan::EtcdMember leaving{}; ///< how a member is taken out for a node that cannot do it: its name and peer URL are filled in
};

struct Seen {
  std::vector<OtherNode> nodes;    ///< that the cluster has
  std::size_t etcdMembers = 0;     ///< on control plane nodes
};

plan::Next next(const Intent& intent, const Seen& seen);

/// The nodes that can be told of nothing: their machines have to be reset by hand.
std::vector<std::string> absent(const Intent& intent, const Seen& seen);

/// The look after a step that went well.
Seen assumed(Seen seen, const plan::Next& done);

} // namespace kubestrap::phases::destroy
