#include "plan/static_pods.hpp"

#include "support/log.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::plan {

namespace {

constexpr const char* kNamespace = "kube-system";

std::vector<host::Container> containersOf(const StaticPod& pod, World& world) {
  auto containers = world.cri.containers(kNamespace);
  std::erase_if(containers, [&](const auto& each) { return each.name != pod.component; });
  std::ranges::stable_sort(containers, {}, [](const auto& each) { return std::pair(each.createdAt, each.attempt); });
  return containers;
}

/// The kubelet pulls the image of a pod that has a sandbox, or makes its container: a matter of a moment once the image is there.
bool waitsWithImage(const StaticPod& pod, World& world, TimePoint written) {
  constexpr auto moment = std::chrono::seconds(10);
  const auto all = world.cri.containers(kNamespace);
  const auto isEmpty = [&](const host::PodSandbox& sandbox) {
    return sandbox.ready && sandbox.name.starts_with(pod.component + "-") && sandbox.createdAt >= written &&
           sandbox.createdAt + moment <= world.clock.now() &&
           std::ranges::none_of(all, [&](const auto& each) { return each.podUid == sandbox.uid; });
  };
  return std::ranges::any_of(world.cri.podSandboxes(kNamespace), isEmpty) && world.cri.hasImage(pod.image);
}

} // namespace

std::optional<TimePoint> manifestWritten(const StaticPod& pod, World& world) {
  const auto status = world.host.status(pod.manifest);
  return status ? std::optional(status->modified) : std::nullopt;
}

StaticPodSeen lookAtStaticPod(const StaticPod& pod, World& world, TimePoint from) {
  StaticPodSeen seen;
  auto containers = containersOf(pod, world);
  if (containers.empty()) return seen;
  const auto newest = containers.back().podUid;
  for (auto& container : containers) {
    if (container.podUid != newest) continue;
    if (container.createdAt < from) seen.startedBefore = std::max(seen.startedBefore, container.attempt + 1);
    else seen.containers.push_back(std::move(container));
  }
  return seen;
}

std::optional<std::string> whyIdle(const StaticPod& pod, World& world) {
  const auto written = manifestWritten(pod, world);
  if (!written) return std::nullopt;
  try {
    const auto seen = lookAtStaticPod(pod, world, *written);
    if (!seen.containers.empty() && seen.containers.back().state == host::Container::State::exited)
      return fmt::format("{} has ended and is not tried again yet", pod.component);
    if (seen.containers.empty() && waitsWithImage(pod, world, *written))
      return fmt::format("{} waits for its image, which is there", pod.component);
  } catch (const Interrupted&) {
    throw;
  } catch (const Error& error) {
    log::info(2, "cannot look at {}: {}", pod.component, error.message());
  }
  return std::nullopt;
}

} // namespace kubestrap::plan
