#pragma once

#include "cmd/bundle_use.hpp"
#include "cmd/command.hpp"
#include "config/join.hpp"

#include <optional>
#include <string>

namespace kubestrap::cmd {

/// Everything that the flags of `join` say.
struct JoinOptions {
  config::JoinFlags flags;
  std::optional<std::string> tokenFile, certificateKeyFile, certificatesFile;
  bool dryRun = false, exitCode = false, keepOnFailure = false;
  BundleUse bundle;
};

std::vector<Flag> joinFlags(JoinOptions& options);

} // namespace kubestrap::cmd
