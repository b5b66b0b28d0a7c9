#pragma once

#include "config/model.hpp"
#include "config/paths.hpp"
#include "plan/phase.hpp"

#include <string_view>

namespace kubestrap::phases {

/// What makes kube-apiserver, kube-controller-manager or kube-scheduler run on this node from a file. In the plain layout that is its
/// manifest; in the hosted one the standby and, until the guard governs the node, the same as a static pod in the slot rescue.
plan::Resources controlPlanePod(std::string_view component, const config::Setup& setup);

/// The cluster's configuration as it was when this file was written, for when there is no API to ask for it.
inline const config::Path keptConfiguration = config::paths::nodeState.parent_path() / "cluster.yaml";
plan::File keptCopy(const config::Setup& setup);

/// The guard of a hosted control plane: its pod, its credentials, what is kept of the configuration, and node.json, which holds all
/// components until pivot lets them go.
plan::Resources guard(const config::Setup& setup, const plan::Phase& phase);
/// What guards may do, and the policies by which nobody takes the control plane away by accident.
plan::Resources guardRights(const config::Setup& setup, const plan::Phase& phase);

} // namespace kubestrap::phases
