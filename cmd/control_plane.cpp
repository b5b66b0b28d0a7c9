#include "cmd/control_plane.hpp"

#include "cmd/node_look.hpp"
#include "config/rolling.hpp"
#include "kube/reading.hpp"
#include "manifests/guard.hpp"
#include "manifests/hosted.hpp"
#include "support/text.hpp"
#include "support/yaml.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::cmd {

using phases::pivot::Seen;

namespace {

/// A guard renews its Lease every ten seconds.
constexpr auto reportLasts = std::chrono::seconds(40);

bool isFresh(const Value& lease, Duration lasts, TimePoint now) {
  const auto renewed = stringAt(lease, "spec.renewTime");
  return !renewed.empty() && now - parseRfc3339(renewed) < lasts;
}

phases::pivot::NodeSeen nodeSeen(const Value& node) {
  phases::pivot::NodeSeen seen{.name = stringAt(node, "metadata.name"),
                               .ready = kube::runsHostPods(node),
                               .selfHosted = kube::labelOf(node, manifests::selfHostedLabel) == "true",
                               .held = {},
                               .guard = {},
                               .address = addressOf(node)};
  if (const auto held = kube::annotationOf(node, manifests::heldAnnotation)) {
    seen.held.emplace();
    for (const auto& name : split(*held, ','))
      if (!name.empty()) seen.held->emplace(name);
  }
  return seen;
}

phases::pivot::DaemonSetSeen daemonSetSeen(const Value& set) {
  return {.revision = kube::annotationOf(set.at("spec").at("template"), config::revisionAnnotation).value_or(""),
          .observed = kube::numberAt(set, "status.observedGeneration") == kube::numberAt(set, "metadata.generation"),
          .desired = static_cast<int>(kube::numberAt(set, "status.desiredNumberScheduled")),
          .available = static_cast<int>(kube::numberAt(set, "status.numberAvailable")),
          .mayGo = kube::annotationOf(set, manifests::allowDeleteAnnotation).has_value()};
}

void lookAtLease(const Value& lease, TimePoint now, Seen& seen) {
  const auto name = stringAt(lease, "metadata.name");
  for (auto& node : seen.nodes) {
    if (name != manifests::guardLease(node.name)) continue;
    const auto report = kube::annotationOf(lease, manifests::guardAnnotation);
    if (!report) return;
    node.guard = phases::pivot::parseGuardReport(*report);
    node.guard->fresh = isFresh(lease, reportLasts, now);
    return;
  }
  if (std::ranges::find(manifests::hostedComponents, name) == manifests::hostedComponents.end()) return;
  const auto holder = stringAt(lease, "spec.holderIdentity");
  const auto since = stringAt(lease, "spec.acquireTime");
  seen.leaders[name] = {.node = holder.substr(0, holder.rfind('_')),
                        .fresh = !holder.empty() && isFresh(lease, std::chrono::seconds(kube::numberAt(lease, "spec.leaseDurationSeconds")), now),
                        .leads = since.empty() ? Duration{} : now - parseRfc3339(since)};
}

} // namespace

Seen lookAtControlPlane(kube::Client& client, TimePoint now) {
  Seen seen;
  for (const auto& node : client.list("v1", "Node", "", std::string(kube::controlPlaneLabel))) seen.nodes.push_back(nodeSeen(node));
  std::ranges::sort(seen.nodes, {}, &phases::pivot::NodeSeen::name);
  for (const auto& set : client.list("apps/v1", "DaemonSet", "kube-system", std::string(manifests::componentLabel)))
    seen.daemonSets[stringAt(set, "metadata.name")] = daemonSetSeen(set);
  for (const auto& lease : client.list("coordination.k8s.io/v1", "Lease", "kube-system")) lookAtLease(lease, now, seen);
  if (const auto stored = client.get({"v1", "ConfigMap", "kube-system", "kubestrap-config"}))
    seen.stored = stringAt(parseYamlValue(stringAt(*stored, "data.KubestrapConfiguration"), "kubestrap-config"), "hosting") == "self";
  return seen;
}

std::vector<std::string> hostedComponentsNamed(const std::vector<std::string>& arguments, std::string_view what) {
  const std::vector<std::string> known(manifests::hostedComponents.begin(), manifests::hostedComponents.end());
  for (const auto& name : arguments)
    if (std::ranges::find(known, name) == known.end())
      throw Error(fmt::format("there is no component {} that {}", name, what), "one of " + join(known, ", "), ExitCode::usage);
  return arguments.empty() ? known : arguments;
}

} // namespace kubestrap::cmd
