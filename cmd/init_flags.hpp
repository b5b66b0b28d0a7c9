#pragma once

#include "cmd/command.hpp"
#include "config/load.hpp"

#include <optional>
#include <string>

namespace kubestrap::cmd {

/// Everything that the flags of `init` say.
struct InitOptions {
  config::InitFlags flags;
  bool dryRun = false, exitCode = false;
  bool skipTokenPrint = false, skipCertificateKeyPrint = false;
  std::optional<std::string> kubeconfigDir;
};

std::vector<Flag> initFlags(InitOptions& options);

} // namespace kubestrap::cmd
