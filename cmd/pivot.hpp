#pragma once

#include "cmd/machine.hpp"

#include <string>
#include <vector>

namespace kubestrap::cmd {

/// Lets the control plane of this node run in its own cluster, as `pivot` does; the steps that were taken. Throws Error where its layout is not hosted.
std::vector<std::string> selfHost(Machine& machine);

} // namespace kubestrap::cmd
