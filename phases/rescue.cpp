#include "phases/rescue.hpp"

#include "config/paths.hpp"
#include "manifests/guard.hpp"
#include "phases/node.hpp"
#include "support/text.hpp"
#include "support/yaml.hpp"

#include <fmt/format.h>

namespace kubestrap::phases::rescue {

namespace {

using config::Setup;
using plan::Resources;
namespace paths = config::paths;

const config::Path counter = paths::nodeState.parent_path() / "activation";

std::vector<std::string> listOf(const std::set<std::string>& names) { return {names.begin(), names.end()}; }

/// The Node says what is held while there is an API; node.json says it to a guard that cannot ask, or to the next one.
Resources wished(const Setup& setup, const std::set<std::string>& held, const Seen& seen) {
  Resources resources;
  const auto names = listOf(held);
  if (seen.apiAnswers) {
    const Value annotations = Value::object({{manifests::heldAnnotation, join(names, ",")}});
    const Value metadata = Value::object({{"name", setup.node.name}, {"annotations", annotations}});
    resources.push_back(plan::Object{.document = Value::object({{"apiVersion", "v1"}, {"kind", "Node"}, {"metadata", metadata}}),
                                     .mode = plan::ApplyMode::mark,
                                     .access = asAdmin(setup)});
  }
  if (!seen.apiAnswers || !seen.guardRuns)
    resources.push_back(plan::File{.path = paths::nodeState, .content = manifests::nodeState(seen.mode, names).dump() + "\n", .folderMode = 0700});
  return resources;
}

/// What a guard would do.
Resources promoted(const manifests::Component& component, const Standby& standby, int activation) {
  return {plan::File{.path = counter, .content = std::to_string(activation), .mode = 0600, .folderMode = 0700},
          plan::File{.path = manifests::rescueManifest(component, standby.slot),
                     .content = emitYaml(manifests::activated(standby.pod, activation)),
                     .mode = 0600,
                     .compare = plan::Compare::document,
                     .folderMode = 0700}};
}

plan::Condition serves(const Setup& setup, const manifests::Component& component, const Standby& standby) {
  const auto address = manifests::slotAddress(standby.slot);
  const auto port = manifests::servingPort(component, standby.pod).value_or(manifests::slotPort(component, setup));
  return {.what = fmt::format("the static pod of {} is ready at {}:{}", component.name, address, port),
          .probe = plan::ComponentHealthy{std::string(component.name), fmt::format("https://{}:{}{}", address, port, manifests::readyPath(component))},
          .patience = setup.request.timeouts.controlPlaneComponentHealthCheck,
          .hint = fmt::format("look at its log below /var/log/pods/kube-system_{0}-rescue*; if what stands by is broken: kubestrap rescue {0} --from-config",
                              component.name),
          .fatal = {plan::UnitFails{"kubelet"}}};
}

} // namespace

Resources hold(const Setup& setup, const Components& components, const Seen& seen) {
  auto held = seen.held;
  held.insert(components.begin(), components.end());
  auto resources = wished(setup, held, seen);
  int activation = seen.activation;
  for (const auto& name : components) {
    const auto& standby = seen.standbys.at(name);
    if (!standby.promoted && (!seen.guardRuns || standby.besides)) append(resources, promoted(manifests::component(name), standby, ++activation));
  }
  for (const auto& name : components) resources.push_back(serves(setup, manifests::component(name), seen.standbys.at(name)));
  return resources;
}

Resources release(const Setup& setup, const Components& components, const Seen& seen) {
  auto held = seen.held;
  for (const auto& name : components) held.erase(name);
  return wished(setup, held, seen);
}

Resources standbysOf(const Setup& setup, const Components& components) {
  Resources resources;
  for (const auto& name : components) {
    const auto& component = manifests::component(name);
    auto file = staticPod(name, manifests::rescuePod(component, setup));
    file.path = manifests::standby(component, manifests::Slot::rescue);
    file.compare = plan::Compare::bytes; // what is there may be no document at all
    resources.push_back(std::move(file));
  }
  return resources;
}

} // namespace kubestrap::phases::rescue
