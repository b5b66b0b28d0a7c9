#include "phases/hosted.hpp"

#include "manifests/hosted.hpp"
#include "phases/node.hpp"
#include "support/yaml.hpp"

namespace kubestrap::phases {

using config::Setup;
using plan::Resources;

Resources controlPlanePod(std::string_view name, const Setup& setup) {
  const auto& component = manifests::component(name);
  if (!manifests::isHosted(setup.cluster)) return {staticPod(name, component.pod(setup))};
  auto pod = manifests::rescuePod(component, setup);
  const bool governed = isGoverned(setup);
  auto promoted = staticPod(name, pod), standby = promoted;
  // Whose turn it is: once the guard governs, what stands by is what it has seen to work.
  standby.path = manifests::standby(component, manifests::Slot::rescue);
  standby.compare = governed ? plan::Compare::presence : plan::Compare::document;
  if (governed) return {std::move(standby)};
  promoted.path = manifests::rescueManifest(component, manifests::Slot::rescue);
  return {std::move(standby), std::move(promoted)};
}

} // namespace kubestrap::phases
