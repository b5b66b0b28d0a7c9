#pragma once
// Another node is told to reset itself: by a pod that starts `kubestrap reset` on its machine. Pure, for operations over several nodes.

#include "plan/next.hpp"

#include <optional>
#include <string>
#include <vector>

namespace kubestrap::phases {

struct OtherNode {
  std::string name;
  bool controlPlane = false, ready = false;
  bool kubeletAnswers = true; ///< as long as it does, its reset has not begun
  std::string pod;            ///< phase of the pod that starts its reset: "Running"; empty: there is none
  std::string trouble;        ///< why that pod does not start
  std::string etcdPeerUrl{};  ///< of its member of etcd, where that has been looked at

  /// Its machine does, or will do, what it is told.
  bool hears() const { return ready || !pod.empty(); }
};

/// How nodes are reached.
struct NodeAccess {
  plan::Access access;
  std::string image; ///< of the pods: kubestrap's own
};

/// A reset, once begun, is over within this.
inline constexpr Duration forReset = std::chrono::minutes(3);

/// Starts the reset of a node, with these flags of `kubestrap reset`.
plan::Object resetBegins(const NodeAccess& by, const std::string& node, const std::vector<std::string>& flags);

/// Why the reset of a node cannot begin; `again` is the command that goes on when it has been reset by hand.
std::optional<plan::Next> resetCannotBegin(const OtherNode& node, const std::string& again);

/// A Node is deleted.
plan::Object nodeDeleted(const plan::Access& access, const std::string& node);

} // namespace kubestrap::phases
