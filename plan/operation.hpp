#pragma once
// Operations over several nodes (decision D23): what comes next depends on what is seen now, so they are a pure function from a look to
// the next step, and one runner that looks, decides, enacts, and looks again. So going on after an interruption is running again.

#include "plan/next.hpp"
#include "plan/report.hpp"
#include "plan/world.hpp"

#include <functional>
#include <string>

namespace kubestrap::plan {

struct Operation {
  std::string name; ///< "pivot": as the plan's ConfigMap and the journal call it
  Access access;
  std::string holder; ///< who drives it: "n1"
  /// As guards read it: with "commits" a revision becomes the standby as soon as it runs, while one is "running" none does.
  std::string state = "running";
  std::function<Next()> next;
  /// In place of `next`, where a look asks other nodes and waits for them: by this reporter the driver gives signs meanwhile.
  std::function<Next(Reporter&)> nextByAsking = {};
  bool endsAll = false; ///< what others have begun does not matter any more
};

/// Does the operation to its end, as the only one: kube-system/kubestrap-plan says who is at it, and is refreshed while it goes on.
/// Throws Error (refused) when somebody else is, or when another operation has left a component half rolled; Error with cause and hint when it is stuck, or when patience is over. What was done stays,
/// and the next run goes on from there.
void perform(const Operation& operation, World& world, Reporter& reporter);
} // namespace kubestrap::plan
