#pragma once
// Pods and DaemonSets as a hosted node has them.

#include "manifests/components.hpp"
#include "manifests/hosted.hpp"
#include "phases/guard.hpp"
#include "support/yaml.hpp"
#include "tests/unit/manifests/fixture.hpp"

#include <string>

namespace kubestrap::test {

inline const manifests::Component& rowOf(phases::guard::Component component) { return manifests::component(phases::guard::nameOf(component)); }
inline Value rescuePod(phases::guard::Component component) { return manifests::rescuePod(rowOf(component), hostedSetup()); }

/// As an API server has it, complete on one node.
inline Value daemonSet(phases::guard::Component component, manifests::Slot slot, int revision) {
  auto set = manifests::daemonSet(rowOf(component), hostedSetup(), slot, revision);
  set["metadata"]["generation"] = 3;
  set["status"] = Value::parse(R"({"desiredNumberScheduled":1,"observedGeneration":3,"updatedNumberScheduled":1,"numberAvailable":1})");
  return set;
}

} // namespace kubestrap::test
