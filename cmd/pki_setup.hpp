#pragma once

#include "cmd/command.hpp"
#include "cmd/machine.hpp"
#include "config/load.hpp"
#include "plan/run.hpp"

#include <optional>
#include <string>
#include <string_view>
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

/// How a workflow on the certificates of this machine is run, and what is told of it.
struct PkiRun {
  std::string command;          ///< "certs renew"
  bool dryRun = false, exitCode = false;
  std::string_view plan, result; ///< kinds of what is printed: "RenewalPlan", "RenewalResult"
  std::string_view nothing;      ///< "nothing to renew"
};
ExitCode runOnPki(const plan::Workflow& workflow, const config::Setup& setup, Machine& machine, const PkiRun& run);

/// A certificate of the cluster that is no authority's, or one in a kubeconfig: by its name of the catalogue, or its file.
struct Leaf {
  std::string name;
  certs::CertSpec spec;
  std::optional<plan::Kubeconfig> kubeconfig; ///< in which it is
};
/// Where a control plane runs the kubelet sees to its own.
std::vector<Leaf> leaves(const PkiSetup& pki);

} // namespace kubestrap::cmd
