#pragma once

#include "cmd/own_cluster.hpp"

#include <map>
#include <string>

namespace kubestrap::cmd {

/// Every certificate and kubeconfig of this control plane that can be renewed here, with what it says and keeps; why others cannot is a
/// warning.
std::map<std::string, config::Renewal::Kept> renewableHere(host::Host& host, const OwnCluster& own);

} // namespace kubestrap::cmd
