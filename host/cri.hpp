#pragma once

#include "config/facts.hpp"
#include "support/time.hpp"

#include <optional>
#include <string>
#include <vector>

namespace kubestrap::host {

struct Container {
  std::string id, podUid, podName, podNamespace, name, image;
  enum class State { created, running, exited, unknown } state = State::unknown;
  unsigned attempt = 0;
  int exitCode = 0;
  std::string reason, message; ///< of its end
  std::string logPath;         ///< on the machine
  TimePoint createdAt{}, finishedAt{};
};

/// A pod as the runtime knows it.
struct PodSandbox {
  std::string id, uid, name, podNamespace;
  bool ready = false;
  unsigned attempt = 0;
  TimePoint createdAt{};
  bool ofKubelet = true; ///< a kubelet labels what it makes; others may make pods too
};

/// How long one image may take to come: far, slow and large as it may be.
inline constexpr Duration pullPatience = std::chrono::minutes(15);

/// The container runtime, by CRI v1 over its socket (decision D9). Asked anew with each call, so a runtime that comes
/// up later is found. All but `facts` throw Error when it cannot be reached, and all throw Interrupted.
class Cri {
public:
  virtual ~Cri() = default;
  virtual config::RuntimeFacts facts() = 0; ///< a runtime that fails is no error: `reachable` and `error` tell
  virtual bool hasImage(const std::string& reference) = 0;
  /// Returns when it is there; throws Error with the runtime's own words, or when `pullPatience` is over.
  virtual void pullImage(const std::string& reference) = 0;
  /// Containers of pods in `podNamespace`, the ended ones too, with their state's details.
  virtual std::vector<Container> containers(const std::string& podNamespace) = 0;
  /// Pods in `podNamespace`, the ended ones too; of all namespaces when it is empty.
  virtual std::vector<PodSandbox> podSandboxes(const std::string& podNamespace) = 0;
  /// Whether it is at a pod that `podSandboxes` does not have: one that is being made. False of a runtime that cannot tell.
  virtual bool isMakingPods() = 0;
  /// Asks a container to end, and ends it by force when `grace` is over; returns when it has ended. Fine when it is gone.
  virtual void stopContainer(const std::string& id, Duration grace) = 0;
  /// Ends a pod's containers, at once and by force, and removes it; fine when it is gone.
  virtual void stopAndRemovePod(const std::string& id) = 0;
};

} // namespace kubestrap::host
