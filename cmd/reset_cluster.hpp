#pragma once

#include "cmd/machine.hpp"
#include "support/error.hpp"

#include <optional>
#include <string>
#include <vector>

namespace kubestrap::cmd {

struct ClusterResetOptions {
  std::optional<std::string> kubeconfig;
  bool dryRun = false, force = false, yes = false;
};

/// Resets every node of the cluster but this one (phases/destroy.hpp), and tells the steps. Asks before, unless it was said not to.
std::vector<std::string> resetOtherNodes(const ClusterResetOptions& options, Machine& machine);

} // namespace kubestrap::cmd
