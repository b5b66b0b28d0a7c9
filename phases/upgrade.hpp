#pragma once
// What upgrade needs besides its workflows (phases/workflows.hpp).

#include "config/facts.hpp"
#include "plan/phase.hpp"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kubestrap::phases {

/// Where an upgrade that is under way keeps what it began with.
inline const config::Path upgradeFolder = config::paths::state / "upgrade";
inline const config::Path upgradeConfiguration = upgradeFolder / "configuration.yaml";
inline const config::Path upgradeSnapshot = upgradeFolder / "etcd.db";
/// Of which roll that snapshot is, where control planes are rolled.
inline const config::Path upgradeOfSnapshot = upgradeFolder / "etcd.db.of";
config::Path formerManifest(std::string_view component); ///< ".../manifests/etcd.yaml"
/// The client URLs of etcd's members, one a line, as they were seen while an API server answered.
inline const config::Path upgradeEtcdMembers = upgradeFolder / "etcd-members";
std::vector<std::string> etcdMembersIn(std::string_view kept);

/// Whether a cluster may go from its version to the wanted one, and whether it is in a state to do so.
plan::Findings judgeUpgrade(const config::Setup& setup, const config::Facts& facts);
/// The same of a further node, for which the cluster's version has been decided.
plan::Findings judgeUpgradeOfNode(const config::Setup& setup, const config::Facts& facts);

/// Whether this control plane of layout plain is in a state to be given other settings.
plan::Findings judgeReconfiguration(const config::Setup& setup, const config::Facts& facts);

/// Whether a phase of `upgrade apply` can be done, or left out, by itself where control planes are rolled. All others are one thing there.
bool standsAloneInRoll(std::string_view phase);

/// Where the kubelet's program lies.
config::Path kubeletProgramOf(const config::Setup& setup);
/// The kubelet's program is as that file, or as it is where none is named, and the kubelet runs by it. Its pods have moved away.
plan::Resources kubeletSwapped(const config::Setup& setup, const config::Path& program);

/// A row of the table of gates.
struct Gate {
  std::string_view name, fires; ///< when it speaks up, for docs/upgrade.md
};
std::span<const Gate> upgradeGates();

} // namespace kubestrap::phases
