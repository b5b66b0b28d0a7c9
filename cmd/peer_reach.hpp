#pragma once

#include "cmd/machine.hpp"
#include "config/facts.hpp"
#include "config/model.hpp"
#include "plan/report.hpp"

namespace kubestrap::cmd {

/// Whether a control plane that joins and those that are there reach each other. Their ports are connected with from here; to have this
/// machine's tried as well (`mutually`) a pod is begun on each of them for a moment, which connects to ports on which this program listens.
/// Where etcd is not the cluster's, or is on this machine already, nothing is asked.
std::vector<config::ReachFacts> lookAtReach(const config::Setup& setup, bool mutually, Machine& machine, plan::Reporter& reporter);

} // namespace kubestrap::cmd
