#pragma once

#include "cmd/bundle_use.hpp"
#include "cmd/command.hpp"
#include "config/load.hpp"

#include <optional>
#include <string>

namespace kubestrap::cmd {

/// Everything that the flags of `init` say.
struct InitOptions {
  config::InitFlags flags;
  bool dryRun = false, exitCode = false, selfHosted = false;
  bool skipTokenPrint = false, skipCertificateKeyPrint = false;
  std::optional<std::string> kubeconfigDir;
  std::optional<std::string> kubeconfig; ///< of the phases that speak to the cluster
  bool printManifest = false;            ///< of the addons' phases
  BundleUse bundle;
};

/// The flags of `init` itself.
std::vector<Flag> initFlags(InitOptions& options);
/// Those of `init phase`: of a single phase ("certs/ca"), or all of those below a group ("certs").
std::vector<Flag> initPhaseFlags(InitOptions& options, std::string_view phase);

} // namespace kubestrap::cmd
