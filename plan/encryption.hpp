#pragma once

#include "kube/client.hpp"

#include <string>
#include <vector>

namespace kubestrap::plan {

/// Of these resources ("secrets", "deployments.apps") those that API servers do not have, or could not write anew.
std::vector<std::string> unknownResources(kube::Client& client, const std::vector<std::string>& resources);

} // namespace kubestrap::plan
