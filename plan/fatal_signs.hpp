#pragma once

#include "host/cri.hpp"
#include "host/host.hpp"
#include "plan/resource.hpp"
#include "plan/world.hpp"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace kubestrap::plan {

/// Why a wait is in vain (decision D16).
struct Failure {
  std::string cause;    ///< "kube-apiserver exits with code 1 again and again"
  std::string evidence; ///< the line that tells most, as it was written
  std::string remedy;
};

/// What was seen of a unit.
struct UnitEvidence {
  std::string unit;
  host::ServiceState state;
  std::vector<std::string> log; ///< oldest first
  Duration watched{};           ///< how long it has been looked at
};

/// What was seen of a static pod since its manifest was written and its kubelet started.
struct PodEvidence {
  std::string component, image;
  std::vector<host::Container> containers; ///< of this component
  unsigned startedBefore = 0;              ///< how often its container had been started before
  std::vector<std::string> log;            ///< of the container that ended last, oldest first
  std::vector<std::string> kubeletLog;
  bool imagePresent = false; ///< what the kubelet said of an image that is there by now is no sign
  TimePoint watchedSince{};  ///< when the wait began
};

/// Pure judgements. A single exit is no sign (etcd may come later than the API server); three of the same container are, or one that
/// says something no waiting mends (an unknown flag, a taken port, a file that is not there).
std::optional<Failure> judge(const UnitEvidence& evidence);
std::optional<Failure> judge(const PodEvidence& evidence);

/// The line of a log that tells most about its end: the last that ends a program, else the last that speaks of an error, else the last.
std::string tellingLine(const std::vector<std::string>& log);

/// One wait's memory between its searches for signs.
struct Watch {
  TimePoint since; ///< when the wait began
  /// By component: the runtime forgets all but the last container that ended.
  std::map<std::string, unsigned> startedBefore = {};
};

/// Gathers the evidence for a sign and judges it. A static pod is looked at from when its manifest was written and its kubelet started,
/// which may be long before the wait: what it is made of has not changed since.
std::optional<Failure> look(const FatalSign& sign, World& world, Watch& watch);

} // namespace kubestrap::plan
