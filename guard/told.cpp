#include "guard/told.hpp"

#include "config/rolling.hpp"
#include "guard/disk.hpp"
#include "kube/reading.hpp"
#include "manifests/components.hpp"
#include "manifests/guard.hpp"
#include "support/error.hpp"
#include "support/text.hpp"
#include "support/version.hpp"

#include <algorithm>

namespace kubestrap::guard {

using phases::guard::ComponentSeen;
using phases::guard::DaemonSetSeen;
using phases::guard::Membership;
using phases::guard::nameOf;
using phases::guard::Plan;
using phases::guard::Seen;

namespace {

/// Everywhere, and observed as such.
bool isRolledOut(const Value& daemonSet) {
  const auto desired = kube::numberAt(daemonSet, "status.desiredNumberScheduled");
  return desired > 0 && kube::numberAt(daemonSet, "status.observedGeneration") == kube::numberAt(daemonSet, "metadata.generation") &&
         kube::numberAt(daemonSet, "status.updatedNumberScheduled") == desired && kube::numberAt(daemonSet, "status.numberAvailable") == desired &&
         kube::numberAt(daemonSet, "status.numberUnavailable") == 0;
}

void putPods(const std::vector<Value>& pods, Component component, ComponentSeen& seen) {
  seen.podFailed = false;
  seen.podMissing = true;
  seen.mirrors.emplace();
  for (const auto& pod : pods) {
    if (kube::labelOf(pod, manifests::componentLabel) != nameOf(component)) continue;
    if (kube::labelOf(pod, manifests::hostingLabel) == "self") {
      seen.podMissing = false;
      if (stringAt(pod, "status.phase") == "Failed") seen.podFailed = true;
    } else if (const auto activation = kube::annotationOf(pod, manifests::activationAnnotation)) {
      seen.mirrors->insert(*activation);
    }
  }
}

void putLeases(const std::map<std::string, Value>& leases, const std::string& node, Seen& seen) {
  const auto version = [&](const std::string& name) {
    const auto found = leases.find(name);
    return found == leases.end() ? std::string() : stringAt(found->second, "metadata.resourceVersion");
  };
  for (const auto component : {phases::guard::controllerManager, phases::guard::scheduler})
    seen.components[component].lease = version(std::string(nameOf(component)));
  const auto prefix = manifests::guardLease("");
  for (const auto& [name, lease] : leases)
    if (name.starts_with(prefix) && name != manifests::guardLease(node)) seen.otherGuards[name.substr(prefix.size())] = version(name);
}

} // namespace

Membership membershipIn(const Told::Absentable& node) {
  if (!node) return Membership::unknown;
  if (!*node) return Membership::gone;
  return kube::labelOf(**node, manifests::selfHostedLabel) == "true" ? Membership::labelled : Membership::unlabelled;
}

std::optional<std::set<Component>> heldIn(const Told::Absentable& node) {
  if (!node || !*node) return {};
  const auto names = kube::annotationOf(**node, manifests::heldAnnotation);
  return names ? std::optional(componentsIn(*names)) : std::nullopt;
}

Plan planIn(const Told::Absentable& plan) {
  // Not known is as good as under way: nothing is written then.
  if (!plan) return Plan::running;
  if (!*plan) return Plan::none;
  const auto state = stringAt(**plan, "data.state");
  if (state == "commits") return Plan::commits;
  if (state == "stalled") return Plan::stalled;
  return state == "running" ? Plan::running : Plan::none;
}

std::optional<std::string> planSignIn(const Told::Absentable& plan) {
  if (!plan) return {};
  return *plan ? stringAt(**plan, "data.refreshed") : "";
}

std::optional<phases::guard::Rolling> rollingIn(const Told::Absentable& plan) {
  if (!plan || !*plan) return {};
  const auto notes = Value::parse(stringAt(**plan, "data.notes"), nullptr, false);
  if (!notes.is_object()) return {};
  const auto name = stringAt(notes, config::rollingNote), to = stringAt(notes, config::toNote), from = stringAt(notes, config::fromNote);
  const auto component = std::ranges::find(manifests::hostedComponents, name);
  if (component == manifests::hostedComponents.end() || to.empty() || from.empty()) return {};
  return phases::guard::Rolling{static_cast<Component>(component - manifests::hostedComponents.begin()), to, from};
}

DaemonSetSeen daemonSetIn(Component component, const std::optional<Value>& daemonSet, const std::optional<Value>& standby) {
  DaemonSetSeen seen;
  if (!daemonSet || find(*daemonSet, "metadata.deletionTimestamp")) return seen;
  seen.exists = true;
  seen.rolledOut = isRolledOut(*daemonSet);
  if (kube::numberAt(*daemonSet, "status.observedGeneration") == kube::numberAt(*daemonSet, "metadata.generation"))
    seen.updated = static_cast<int>(kube::numberAt(*daemonSet, "status.updatedNumberScheduled"));
  const auto* podTemplate = find(*daemonSet, "spec.template");
  if (!podTemplate) return seen;
  seen.revision = kube::annotationOf(*podTemplate, config::revisionAnnotation).value_or("");
  try {
    seen.slot = manifests::slotOf(kube::annotationOf(*podTemplate, manifests::slotAnnotation).value_or(""));
    const auto rescue = manifests::rescuePodOf(manifests::component(nameOf(component)), *podTemplate);
    seen.unfit = unfitStandby(component, Slot::rescue, rescue);
    seen.isStandby = standby && sameDocument(*standby, rescue);
  } catch (const std::exception& error) { // ours, or the document's, which is of another form than expected
    seen.unfit = error.what();
  }
  return seen;
}

bool isTooOld(const std::optional<Value>& standby, const std::string& version) {
  const auto* containers = standby ? find(*standby, "spec.containers") : nullptr;
  if (!containers || containers->empty() || version.empty()) return false;
  const auto tag = manifests::tagOf(stringAt(containers->at(0), "image"));
  const auto ours = readVersion(tag), theirs = readVersion(version); // a tag of the operator's own says nothing
  return ours && theirs && ours->major == theirs->major && theirs->minor - ours->minor > 1;
}

void put(const Told& told, const std::string& node, const std::array<std::optional<Value>, phases::guard::count>& standbys, Seen& seen) {
  seen.membership = membershipIn(told.node);
  seen.unlabelledAtPeer = told.unlabelledAtPeer == true;
  seen.plan = planIn(told.plan);
  seen.planSign = planSignIn(told.plan);
  seen.rolling = rollingIn(told.plan);
  if (told.leases) putLeases(*told.leases, node, seen);
  for (Component component = 0; component < phases::guard::count; ++component) {
    auto& own = seen.components[component];
    if (told.pods) putPods(*told.pods, component, own);
    if (const auto& set = told.daemonSets[component]) own.daemonSet = daemonSetIn(component, *set, standbys[component]);
    own.standbyTooOld = isTooOld(standbys[component], told.version);
  }
}

} // namespace kubestrap::guard
