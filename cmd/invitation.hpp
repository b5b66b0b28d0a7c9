#pragma once

#include "cmd/machine.hpp"
#include "kube/kubeconfig.hpp"
#include "manifests/messages.hpp"

#include <string>

namespace kubestrap::cmd {

/// How another machine joins, as a worker, with a new bootstrap token that lives so long.
manifests::JoinCommand newInvitation(Machine& machine, const kube::Kubeconfig& kubeconfig, Duration life, const std::string& description);

} // namespace kubestrap::cmd
