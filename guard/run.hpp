#pragma once
// The guard's loop.

#include "guard/asking.hpp"
#include "phases/guard.hpp"

#include <stop_token>
#include <string>

namespace kubestrap::host {
class Host;
}

namespace kubestrap::guard {

struct Options {
  std::string node, address;
  Asking::Targets targets;
  std::string kubeconfig; ///< file
  phases::guard::Timings timings;
};

/// Looks, decides and acts every second, until it is told to stop.
void run(const Options& options, host::Host& host, const std::stop_token& stop);

} // namespace kubestrap::guard
