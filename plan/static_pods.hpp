#pragma once

#include "host/cri.hpp"
#include "plan/resource.hpp"
#include "plan/world.hpp"

#include <optional>
#include <string>
#include <vector>

namespace kubestrap::plan {

/// What the runtime shows of a static pod as its manifest on disk makes it; of pods that an earlier manifest made, nothing.
struct StaticPodSeen {
  std::vector<host::Container> containers; ///< of the component, in the newest pod, those that were made since the moment asked for
  unsigned startedBefore = 0;              ///< how often that pod's container had been started before that moment, as far as is known
};

/// When the manifest of a pod was last written; nothing when it is absent.
std::optional<TimePoint> manifestWritten(const StaticPod& pod, World& world);

/// Looks at the containers that were made since `from`. Throws Error when the runtime cannot be asked.
StaticPodSeen lookAtStaticPod(const StaticPod& pod, World& world, TimePoint from);

/// Why a pod stands still until the kubelet turns to it again, which may be in five minutes: its container has ended, or its image, which
/// could not be had, is there by now. Nothing when it runs, is being made, or cannot be looked at.
std::optional<std::string> whyIdle(const StaticPod& pod, World& world);

} // namespace kubestrap::plan
