#include "tests/fakes/fake_cri.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::fakes {

FakeCri::FakeCri(FakeHost* host) : host_(host) {
  runtime = {.reachable = true, .name = "containerd", .version = "2.1.4", .ready = true, .cgroupDriver = "systemd",
             .answersRuntimeConfig = true};
}

void FakeCri::needRuntime() const {
  if (!runtime.reachable) throw Error(runtime.error.empty() ? "the container runtime does not answer" : runtime.error);
}

void FakeCri::effect(const std::string& what) {
  if (host_) host_->effect(what);
  effects.push_back(what);
}

bool FakeCri::hasImage(const std::string& reference) {
  needRuntime();
  return images.contains(reference);
}

void FakeCri::pullImage(const std::string& reference) {
  needRuntime();
  effect("pull " + reference);
  if (auto failure = pullFailures.find(reference); failure != pullFailures.end())
    throw Error(fmt::format("cannot pull {}: {}", reference, failure->second));
  images.insert(reference);
}

std::vector<host::Container> FakeCri::containers(const std::string& podNamespace) {
  needRuntime();
  std::vector<host::Container> chosen;
  std::ranges::copy_if(found, std::back_inserter(chosen),
                       [&](const auto& one) { return one.podNamespace == podNamespace; });
  return chosen;
}

std::vector<host::PodSandbox> FakeCri::podSandboxes(const std::string& podNamespace) {
  needRuntime();
  std::vector<host::PodSandbox> chosen;
  std::ranges::copy_if(pods, std::back_inserter(chosen),
                       [&](const auto& one) { return podNamespace.empty() || one.podNamespace == podNamespace; });
  return chosen;
}

bool FakeCri::isMakingPods() {
  needRuntime();
  for (auto& [questions, pod] : inTheMaking)
    if (--questions < 0) pods.push_back(pod);
  std::erase_if(inTheMaking, [](const auto& each) { return each.first < 0; });
  return !inTheMaking.empty();
}

void FakeCri::stopContainer(const std::string& id, Duration) {
  needRuntime();
  auto container = std::ranges::find(found, id, &host::Container::id);
  if (container == found.end() || container->state == host::Container::State::exited) return;
  effect("stop container " + id);
  container->state = host::Container::State::exited;
  if (host_) container->finishedAt = host_->now;
}

void FakeCri::stopAndRemovePod(const std::string& id) {
  needRuntime();
  auto pod = std::ranges::find(pods, id, &host::PodSandbox::id);
  if (pod == pods.end()) return;
  effect("remove pod " + id);
  std::erase_if(found, [&](const auto& one) { return one.podUid == pod->uid; });
  pods.erase(pod);
}

} // namespace kubestrap::fakes
