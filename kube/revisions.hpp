#pragma once

#include "support/value.hpp"

#include <string_view>
#include <vector>

namespace kubestrap::kube {

/// The pod templates that a DaemonSet's controller has kept in these ControllerRevisions, the one that was in force last behind all others.
std::vector<Value> templatesKept(std::string_view daemonSet, std::vector<Value> revisions);

} // namespace kubestrap::kube
