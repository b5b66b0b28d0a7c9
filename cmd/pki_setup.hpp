#pragma once

#include "cmd/command.hpp"
#include "cmd/machine.hpp"
#include "config/load.hpp"
#include "plan/resource.hpp"

#include <optional>
#include <string>
#include <vector>

namespace kubestrap::cmd {

/// Flags of the commands that deal with all certificates of a control plane.
struct PkiOptions {
  config::InitFlags flags; ///< --config
  std::optional<std::string> certDir, kubeconfigDir;
};

std::vector<Flag> pkiFlags(PkiOptions& options);

/// What this machine's certificates are to say, whether it is a control plane already or is to become one.
struct PkiSetup {
  config::Setup setup;
  bool running = false; ///< a control plane is here, and the configuration is the cluster's own unless --config names another
};

/// With the operator's wishes taken in.
PkiSetup pkiSetup(const PkiOptions& options, Machine& machine);

/// A certificate of the cluster that is no authority's, or one in a kubeconfig: by its name of the catalogue, or its file.
struct Leaf {
  std::string name;
  certs::CertSpec spec;
  std::optional<plan::Kubeconfig> kubeconfig; ///< in which it is
};
/// Where a control plane runs the kubelet sees to its own.
std::vector<Leaf> leaves(const PkiSetup& pki);

} // namespace kubestrap::cmd
