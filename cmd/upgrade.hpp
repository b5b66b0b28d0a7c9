#pragma once

#include "cmd/bundle_use.hpp"
#include "cmd/command.hpp"
#include "cmd/machine.hpp"
#include "config/v1beta4.hpp"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace kubestrap::cmd {

/// Which of upgrade's commands was given.
enum class Upgrade { plan, apply, node, diff, rollback };

/// What the flags of upgrade say, as given.
struct UpgradeOptions {
  std::optional<std::string> configFile, kubeconfig, patches, kubelet, install, drainTimeout, kubernetesVersion, soak, saveTo;
  std::optional<bool> certificateRenewal, etcdUpgrade, experimental, releaseCandidates;
  std::optional<std::vector<std::string>> ignorePreflightErrors, skipPhases;
  BundleUse bundle;
  bool onlyPhase = false; ///< one phase of it
  bool drained = false;   ///< a worker that is driven from elsewhere (`upgrade workers`)
  bool dryRun = false, exitCode = false, force = false, yes = false, printConfig = false, waitsForConfirm = false;
};

/// Everything that an upgrade needs to know: the configuration file with the flags over it, the cluster's own configuration with the new
/// version in it, this node, and what is seen of the cluster. `facts` are completed.
/// A single phase of apply without a version goes by the version that the cluster has been given.
config::Setup prepareUpgrade(Upgrade what, const UpgradeOptions& options, Machine& machine, config::Facts& facts);

/// The documents in which the cluster keeps its configuration.
struct OwnDocuments {
  std::vector<Document> documents;
  std::string unreachable; ///< why they are those that an earlier run, which was stopped, has kept on this machine
};
OwnDocuments ownDocuments(const config::Path& kubeconfig, Machine& machine);
/// The manifests of this node's static pods by component, as they were before what was stopped here began.
std::map<std::string, std::string> formerManifests(host::Host& host);

/// What `upgrade workers` has done on a worker itself, by its kubelet's credentials; its pods have moved away.
ExitCode upgradeWorkerHere(UpgradeOptions options);
/// What keeps this worker from it, as far as that can be said beforehand.
std::vector<std::string> obstaclesOfWorkerHere(UpgradeOptions options);

/// `upgrade workers`: all of them from one place.
Command upgradeWorkersCommand();

} // namespace kubestrap::cmd
