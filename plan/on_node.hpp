#pragma once

#include "plan/report.hpp"
#include "plan/resource.hpp"
#include "plan/world.hpp"

#include <string>

namespace kubestrap::plan {

/// Runs a command on another node's machine, waits for its end, and gives what it printed. Throws Error with its last words where it
/// failed, and when patience is over.
std::string runOnNode(const RunOnNode& wanted, World& world, Reporter& reporter);

} // namespace kubestrap::plan
