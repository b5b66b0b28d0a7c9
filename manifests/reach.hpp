#pragma once

#include "config/model.hpp"
#include "support/ip.hpp"

#include <string>
#include <vector>

namespace kubestrap::manifests {

/// On pods that try to reach a machine that joins (manifests/node_op.hpp: nodeOpLabel).
inline constexpr std::string_view reachLabel = "reach";

/// A pod on `node`, a control plane with a member of etcd whose image is `image`, that connects to each of `ports` at `address` from the
/// machine's own network: the machine `joins`. What it says does not matter; who listens there sees it come.
Value reachPod(const std::string& image, const std::string& node, const std::string& joins, const IpAddress& address, const std::vector<int>& ports);

} // namespace kubestrap::manifests
