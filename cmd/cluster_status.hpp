#pragma once

#include "cmd/cluster_fleet.hpp"

namespace kubestrap::cmd {

/// A machine of the file, or a node that the file does not have, in a row.
struct HostRow {
  std::string name, address, role, reached, version, state, wrong;
  bool well = true;
};
std::vector<HostRow> hostRows(const config::ClusterFile& file, const FleetLook& look);

std::string statusText(const config::ClusterFile& file, const FleetLook& look);
Value statusValue(const config::ClusterFile& file, const FleetLook& look);
/// Whether nothing is wrong.
bool isWell(const config::ClusterFile& file, const FleetLook& look);

} // namespace kubestrap::cmd
