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

/// The container runtime, by CRI v1 over its socket (decision D9).
class Cri {
public:
  virtual ~Cri() = default;
  virtual config::RuntimeFacts facts() = 0; ///< never throws: `reachable` tells
  virtual bool hasImage(const std::string& reference) = 0;
  virtual void pullImage(const std::string& reference) = 0; ///< throws Error with the runtime's own words
  /// Containers of pods in `podNamespace`, the ended ones too, with their state's details.
  virtual std::vector<Container> containers(const std::string& podNamespace) = 0;
};

} // namespace kubestrap::host
