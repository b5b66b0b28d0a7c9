#pragma once

#include "kube/kubeconfig.hpp"
#include "net/http.hpp"
#include "support/time.hpp"

#include <mutex>
#include <string>
#include <thread>

namespace kubestrap::plan {

/// Asks an API server for something that it has to ask etcd for, ten times a second, for as long as it lives: for how long it does not
/// answer is measured, not reckoned.
class GapMeter {
public:
  GapMeter(net::Transport& transport, const kube::Kubeconfig& kubeconfig, const std::string& server);

  struct Gap {
    unsigned asked = 0, failed = 0;
    Duration longest{}, total{}; ///< from the last answer before to the first answer after
  };
  /// Stops asking. A server that does not answer at the end has its gap up to now.
  Gap end();

private:
  void ask(const std::stop_token& stop);
  net::Transport& transport_;
  net::Request request_;
  std::mutex mutex_;
  Gap gap_;
  std::jthread thread_;
};

} // namespace kubestrap::plan
