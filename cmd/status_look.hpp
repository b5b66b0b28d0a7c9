#pragma once

#include "cmd/machine.hpp"
#include "phases/status.hpp"
#include "support/log.hpp"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace kubestrap::cmd {

/// What status shows, or what doctor asks besides: webhooks, clocks, disks, images.
enum class Depth { glance, thorough };

/// Looks at this machine, and at the cluster with this kubeconfig, else with what the machine has. What cannot be asked is left empty.
phases::status::Seen lookForStatus(Machine& machine, const std::optional<std::string>& kubeconfig, Depth depth);

/// What is wrong after something was changed: looked at until nothing is that may pass by itself, for a minute at most.
std::vector<phases::status::Finding> findingsAfterwards(const std::function<phases::status::Seen()>& look, plan::Clock& clock);

/// The part that is this machine's.
void lookAtMachine(Machine& machine, Depth depth, phases::status::Seen& seen);

/// What cannot be asked is left out, and told of with -v.
template <typename Body> void whatCanBe(std::string_view what, Body body) {
  try {
    body();
  } catch (const Interrupted&) {
    throw;
  } catch (const Error& error) {
    log::info(1, "{}: {}", what, error.message());
  }
}

} // namespace kubestrap::cmd
