#pragma once

#include "config/model.hpp"
#include "plan/resource.hpp"

#include <string_view>

namespace kubestrap::phases {

/// What makes kube-apiserver, kube-controller-manager or kube-scheduler run on this node from a file. In the plain layout that is its
/// manifest; in the hosted one the standby and, until the guard governs the node, the same as a static pod in the slot rescue.
plan::Resources controlPlanePod(std::string_view component, const config::Setup& setup);

} // namespace kubestrap::phases
