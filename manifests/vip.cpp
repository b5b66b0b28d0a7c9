#include "manifests/vip.hpp"

#include "manifests/front.hpp"
#include "manifests/text.hpp"
#include "support/yaml.hpp"

namespace kubestrap::manifests {

using config::Setup;
namespace paths = config::paths;

bool hasVip(const Setup& setup) { return setup.cluster.kubestrap.vip && setup.node.controlPlane; }

std::string vipImage(const Setup& setup) {
  const auto& given = setup.cluster.kubestrap.vip->image;
  return given.empty() ? frontImage(setup) : given;
}

Value vipPod(const Setup& setup) {
  const auto& vip = *setup.cluster.kubestrap.vip;
  const auto text = filledText("vip.yaml", {{"image", vipImage(setup)},
                                            {"node", setup.node.name},
                                            {"address", vip.address.string()},
                                            {"interface", vip.interface},
                                            {"own", setup.node.advertiseAddress.string()},
                                            {"router", std::to_string(vip.router)},
                                            {"priority", std::to_string(vip.priority)},
                                            {"server", setup.node.localEndpoint().url()},
                                            {"authority", (setup.cluster.pki.folder / "ca.crt").string()}});
  return sorted(parseYamlValue(text, "vip.yaml"));
}

config::Path vipManifest() { return paths::manifests / "kubestrap-vip.yaml"; }

std::string keepalivedConfiguration(const KeepalivedSettings& settings) {
  return filledText("keepalived.conf", {{"node", settings.node},
                                        {"check", settings.check},
                                        {"interface", settings.interface},
                                        {"router", std::to_string(settings.router)},
                                        {"priority", std::to_string(settings.priority)},
                                        {"address", settings.address}});
}

} // namespace kubestrap::manifests
