#pragma once
// What `reconfigure` is asked for, in either layout: documents as init takes them, made complete by what the cluster keeps.

#include "cmd/machine.hpp"
#include "config/model.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kubestrap::cmd {

struct ReconfigureWish {
  std::string file;
  bool merges = false, rotatesKey = false;
};

/// What the control plane shall be. Throws Error (refused) for what cannot be changed; `means` is what cannot ("a roll").
config::Cluster wantedCluster(const ReconfigureWish& wish, const std::vector<Document>& stored, Machine& machine, std::string_view means);

/// Of certSANs: those that are not wanted any more.
std::vector<std::string> goingNames(const config::Cluster& present, const config::Cluster& wanted);

/// What the audit log is to hold; null: there is no log.
Value auditPolicyOf(const config::Cluster& cluster);

/// Whether the cluster keeps other settings than those.
bool isStoredOtherwise(const config::Cluster& present, const config::Cluster& wanted);

/// By which command a node goes on where something was stopped at another version than the cluster's: the cluster may have left that one behind since.
std::string upgradeThatGoesOn(const std::string& stoppedAt, const Version& present);

/// Throws Error (refused) where the certificate of this machine's API server has to be another one, and nobody here can sign it. One that was signed
/// elsewhere and put in place fits already.
void refuseWithoutAuthority(const config::Setup& setup, const std::vector<std::string>& going, Machine& machine);

/// What `reconfigure` is told by flags.
struct ReconfigureFlags : ReconfigureWish {
  std::optional<std::string> kubeconfig, patches;
  bool dryRun = false, exitCode = false, yes = false;
};
/// On a plain control plane: this node, and what the cluster keeps.
ExitCode reconfigurePlain(const ReconfigureFlags& flags, Machine& machine);
/// A further one, by what the cluster keeps.
ExitCode reconfigurePlainNode(const ReconfigureFlags& flags, Machine& machine);

} // namespace kubestrap::cmd
