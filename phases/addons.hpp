#pragma once
// Add-ons of the configuration: objects of the cluster from manifests of other makers.

#include "plan/phase.hpp"

#include <map>
#include <span>
#include <string>
#include <vector>

namespace kubestrap::phases {

/// A row for each add-on, in the order in which they are installed. Those that are not asked for want nothing.
std::span<const plan::Phase> addonPhases();

/// `addons plan` and `addons apply`.
const plan::Workflow& addonsWorkflow();
/// `addons remove`: what the cluster has recorded of them, the last of it first.
const plan::Workflow& addonsRemoval();

/// Takes out of the records of these add-ons what another one's has as well: it stays when they go.
void leaveShared(config::Setup& setup, const std::vector<std::string>& going);

/// The images of the add-ons that were read, each with those that want it.
std::map<std::string, std::vector<std::string>> addonImages(const config::Setup& setup);
/// What --offline refuses where these are not in the runtime: each is named with the add-ons that want it.
std::string forbiddenPulls(const std::vector<std::string>& images, const config::Setup& setup);
inline constexpr const char* forbiddenPullsRemedy = "add them to the bundle, and load it: kubestrap bundle load; or import their archives into the runtime";

/// What is wrong with the manifests of the add-ons that were read, before anything is changed.
std::vector<Problem> addonProblems(const config::Setup& setup);

} // namespace kubestrap::phases
