#pragma once
// A control plane that runs in its own cluster, as a roll sees it.

#include "manifests/hosted.hpp"
#include "phases/roll.hpp"
#include "tests/unit/manifests/fixture.hpp"

#include <initializer_list>
#include <set>
#include <string>

namespace kubestrap::test {

inline const std::string apiServer = "kube-apiserver", manager = "kube-controller-manager", scheduler = "kube-scheduler";

inline config::Setup at(const std::string& tag) {
  auto setup = hostedSetup();
  auto& images = setup.cluster.images;
  images.apiServer = "registry.k8s.io/kube-apiserver:" + tag;
  images.controllerManager = "registry.k8s.io/kube-controller-manager:" + tag;
  images.scheduler = "registry.k8s.io/kube-scheduler:" + tag;
  return setup;
}

inline Value templateOf(const std::string& component, const config::Setup& setup, manifests::Slot slot, int revision) {
  return manifests::daemonSet(manifests::component(component), setup, slot, revision).at("spec").at("template");
}

inline phases::roll::PodSeen pod(const std::string& component, const std::string& node, const std::string& revision) {
  return {.name = component + "-" + node, .node = node, .uid = {}, .revision = revision, .phase = "Running", .ready = true, .trouble = {},
          .readyFor = std::chrono::hours(1)};
}

/// After pivot, at v1.36.3.
inline phases::roll::Seen pivoted(std::initializer_list<std::string> names) {
  phases::roll::Seen seen;
  for (const auto& name : names) {
    phases::pivot::NodeSeen node{.name = name, .ready = true, .selfHosted = true, .held = std::set<std::string>{}, .guard = phases::pivot::GuardReport{}};
    node.guard->fresh = true;
    for (const auto component : manifests::hostedComponents)
      node.guard->components[std::string(component)] = {
          .slots = {{"blue", "ready"}, {"green", "refuses"}, {"rescue", "refuses"}, {"previous", "refuses"}}, .promoted = false, .standby = "1"};
    seen.controlPlane.nodes.push_back(std::move(node));
  }
  const int count = static_cast<int>(names.size());
  for (const auto component : manifests::hostedComponents) {
    const std::string name(component);
    seen.controlPlane.daemonSets[name] = {.revision = "1", .observed = true, .desired = count, .available = count};
    seen.components[name] = {.podTemplate = templateOf(name, at("v1.36.3"), manifests::Slot::blue, 1), .before = {}, .updated = count, .proved = {}, .pods = {}};
    for (const auto& node : names) seen.components[name].pods.push_back(pod(name, node, "1"));
  }
  seen.hasSnapshot = true;
  seen.controlPlane.leaders = {{manager, {.node = *names.begin(), .fresh = true}}, {scheduler, {.node = *names.begin(), .fresh = true}}};
  return seen;
}

} // namespace kubestrap::test
