#pragma once

#include "config/model.hpp"

#include <string>
#include <vector>

namespace kubestrap::manifests {

/// On pods that do something on their node's machine: what ("reset").
inline constexpr std::string_view nodeOpLabel = "kubestrap.io/node-op";

/// A pod that runs a command of the machine `node` as root, and ends with it. It needs nothing but an API server and the kubelet there:
/// no scheduler, no pod network, no shell in an image.
Value nodeOpPod(const std::string& image, const std::string& node, const std::string& what, const std::vector<std::string>& command);
/// "kubestrap-reset-n2"
std::string nodeOpName(const std::string& what, const std::string& node);

} // namespace kubestrap::manifests
