#pragma once

#include "cmd/cluster_fleet.hpp"

namespace kubestrap::cmd {

/// A row for each machine.
std::string inventoryText(const config::ClusterFile& file);
/// What the file says, and what follows for each machine. What it does not say is left out.
Value inventoryValue(const config::ClusterFile& file, const std::vector<std::string>& warnings);

} // namespace kubestrap::cmd
