#pragma once
// Add-ons of the configuration: objects of the cluster from manifests of other makers.

#include "plan/phase.hpp"

#include <span>

namespace kubestrap::phases {

/// A row for each add-on, in the order in which they are installed. Those that are not asked for want nothing.
std::span<const plan::Phase> addonPhases();

/// `addons plan` and `addons apply`.
const plan::Workflow& addonsWorkflow();
/// `addons remove`: what the cluster has recorded of them, the last of it first.
const plan::Workflow& addonsRemoval();

/// Takes out of the records of these add-ons what another one's has as well: it stays when they go.
void leaveShared(config::Setup& setup, const std::vector<std::string>& going);

/// What is wrong with the manifests of the add-ons that were read, before anything is changed.
std::vector<Problem> addonProblems(const config::Setup& setup);

} // namespace kubestrap::phases
