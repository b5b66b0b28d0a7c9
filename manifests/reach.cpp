#include "manifests/reach.hpp"

#include "manifests/text.hpp"
#include "support/text.hpp"
#include "support/yaml.hpp"

#include <fmt/format.h>

namespace kubestrap::manifests {

Value reachPod(const std::string& image, const std::string& node, const std::string& joins, const IpAddress& address, const std::vector<int>& ports) {
  std::vector<std::string> endpoints;
  for (const auto port : ports) endpoints.push_back("http://" + joinHostPort(address.string(), port));
  return sorted(parseYamlValue(filledText("reach.yaml", {{"image", image},
                                                         {"node", node},
                                                         {"name", fmt::format("kubestrap-{}-{}-from-{}", reachLabel, joins, node)},
                                                         {"what", std::string(reachLabel)},
                                                         {"endpoints", join(endpoints, ",")}}),
                               "reach.yaml"));
}

} // namespace kubestrap::manifests
