#include "manifests/node_op.hpp"

#include "manifests/text.hpp"
#include "support/yaml.hpp"

#include <fmt/format.h>

namespace kubestrap::manifests {

std::string nodeOpName(const std::string& what, const std::string& node) { return fmt::format("kubestrap-{}-{}", what, node); }

Value nodeOpPod(const std::string& image, const std::string& node, const std::string& what, const std::vector<std::string>& command) {
  auto pod = parseYamlValue(filledText("node-op.yaml", {{"image", image}, {"node", node}, {"name", nodeOpName(what, node)}, {"what", what}}), "node-op.yaml");
  pod["spec"]["containers"][0]["command"].push_back(Value(command).dump());
  return sorted(pod);
}

} // namespace kubestrap::manifests
