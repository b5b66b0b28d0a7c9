#pragma once
// Rolls of a hosted control plane: a new version, or other settings, by its DaemonSets (phases/roll.hpp).

#include "support/error.hpp"
#include "support/time.hpp"
#include "support/version.hpp"

#include <optional>
#include <string>

namespace kubestrap::cmd {

struct RollOptions {
  std::optional<std::string> kubeconfig;
  std::optional<std::string> patches; ///< a folder
  Duration soak = std::chrono::minutes(5); ///< of a new minor version of the API server
  bool etcd = true; ///< its version changes, too, where it can
  bool dryRun = false;
};

/// To a version; to the one that the cluster says it has it goes back, as long as that can be.
ExitCode rollToVersion(const Version& version, const RollOptions& options);

} // namespace kubestrap::cmd
