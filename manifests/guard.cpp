#include "manifests/guard.hpp"

#include "config/paths.hpp"
#include "manifests/components.hpp"
#include "manifests/front.hpp"
#include "manifests/hosted.hpp"
#include "manifests/static_pods.hpp"
#include "manifests/text.hpp"
#include "support/text.hpp"
#include "support/yaml.hpp"

#include <fmt/format.h>

namespace kubestrap::manifests {

namespace {

using config::Setup;
namespace paths = config::paths;

/// Where this node's member says whether it is ready; of an external etcd, its endpoints.
std::string etcdUrls(const Setup& setup) {
  if (const auto& external = setup.cluster.etcd.external) return join(external->endpoints, ",");
  const auto& etcd = component("etcd");
  const auto url = livenessUrl(etcd, etcdPod(setup));
  return url.substr(0, url.size() - etcd.livenessPath.size()) + std::string(etcd.readinessPath);
}

} // namespace

Value guardPod(const Setup& setup) {
  const auto text = filledText("guard.yaml", {{"image", setup.request.ownImage},
                                              {"node", setup.node.name},
                                              {"address", setup.node.advertiseAddress.string()},
                                              {"server", "https://" + joinHostPort(frontAddress(setup), setup.node.bindPort)},
                                              {"port", std::to_string(setup.node.bindPort)},
                                              {"etcd", etcdUrls(setup)},
                                              {"manifests", paths::manifests.string()},
                                              {"state", paths::nodeState.parent_path().string()},
                                              {"status", std::string(guardStatusFolder)}});
  return sorted(parseYamlValue(text, "guard.yaml"));
}

config::Path guardManifest() { return paths::manifests / "kubestrap-guard.yaml"; }

std::string guardLease(std::string_view node) { return fmt::format("kubestrap-guard-{}", node); }

Value nodeState(std::string_view mode, const std::vector<std::string>& held) {
  return Value::object({{"mode", mode}, {"held", Value(held)}});
}

Value bootstrapState() { return nodeState("bootstrap", {hostedComponents.begin(), hostedComponents.end()}); }

} // namespace kubestrap::manifests
