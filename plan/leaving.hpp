#pragma once
// What a node has to know before it leaves: of itself, and of the cluster that stays behind. Only reads.

#include "config/model.hpp"
#include "kube/kubeconfig.hpp"
#include "plan/world.hpp"

#include <string>

namespace kubestrap::plan {

/// Fills in what this machine says: the journal and the inventory, or else its files; `setup.node` as far as they tell.
void lookAtLeavingNode(config::Setup& setup, World& world);

/// Fills in what the cluster says. A cluster that does not answer is no error: why, is told in `unreachable`.
void lookAtClusterLeft(config::Setup& setup, World& world);

/// An API server that is ready: the kubeconfig's own (""), or else another one that this machine knows of. Throws Error when none answers.
std::string answeringServer(const kube::Kubeconfig& kubeconfig, World& world);

} // namespace kubestrap::plan
