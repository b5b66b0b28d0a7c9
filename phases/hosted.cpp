#include "phases/hosted.hpp"

#include "config/store.hpp"
#include "manifests/front.hpp"
#include "manifests/guard.hpp"
#include "manifests/hosted.hpp"
#include "phases/certificates.hpp"
#include "phases/encryption.hpp"
#include "phases/node.hpp"
#include "phases/security.hpp"
#include "support/yaml.hpp"

namespace kubestrap::phases {

using config::Setup;
using plan::Resources;

namespace {

Resources componentPod(const manifests::Component& component, const Setup& setup) {
  if (!manifests::isHosted(setup.cluster)) return {staticPod(component.name, component.pod(setup))};
  auto pod = manifests::rescuePod(component, setup);
  const bool governed = isGoverned(setup);
  auto promoted = staticPod(component.name, pod), standby = promoted;
  // Whose turn it is: once the guard governs, what stands by is what it has seen to work.
  standby.path = manifests::standby(component, manifests::Slot::rescue);
  standby.compare = governed ? plan::Compare::presence : plan::Compare::document;
  if (governed) return {std::move(standby)};
  promoted.path = manifests::rescueManifest(component, manifests::Slot::rescue);
  return {std::move(standby), std::move(promoted)};
}

} // namespace

Resources controlPlanePod(std::string_view name, const Setup& setup) {
  const auto& component = manifests::component(name);
  Resources resources;
  if (name == "kube-apiserver") {
    append(resources, auditLog(setup));
    append(resources, encryption::begun(setup));
  }
  append(resources, componentPod(component, setup));
  return resources;
}

plan::File keptCopy(const Setup& setup) {
  return {.path = keptConfiguration, .content = emitYamlStream(config::storedDocuments(setup.cluster)), .mode = 0600, .folderMode = 0700};
}

Resources guard(const Setup& setup, const plan::Phase&) {
  if (!manifests::frontHasSlots(setup)) return {};
  auto resources = hostedKubeconfigs(setup);
  resources.push_back(keptCopy(setup));
  // What is held is the guard's affair once the file is there.
  resources.push_back(plan::File{.path = config::paths::nodeState,
                                 .content = manifests::bootstrapState().dump() + "\n",
                                 .compare = plan::Compare::presence,
                                 .folderMode = 0700});
  resources.push_back(plan::File{.path = manifests::guardManifest(),
                                 .content = emitYaml(manifests::guardPod(setup)),
                                 .mode = 0600,
                                 .compare = plan::Compare::document,
                                 .folderMode = 0700});
  return resources;
}

Resources guardRights(const Setup& setup, const plan::Phase&) {
  if (!manifests::isHosted(setup.cluster)) return {};
  auto resources = objects(manifests::guardRules(setup.cluster), asAdmin(setup));
  append(resources, objects(manifests::keepEndpointsPolicy(), asAdmin(setup)));
  append(resources, objects(manifests::guardRailsPolicy(), asAdmin(setup)));
  return resources;
}

} // namespace kubestrap::phases
