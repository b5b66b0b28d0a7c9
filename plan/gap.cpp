#include "plan/gap.hpp"

#include <chrono>

namespace kubestrap::plan {

namespace {
using Clock = std::chrono::steady_clock; // real time, since real servers are asked
constexpr auto pause = std::chrono::milliseconds(100);
} // namespace

GapMeter::GapMeter(net::Transport& transport, const kube::Kubeconfig& kubeconfig, const std::string& server)
    : transport_(transport),
      request_{.url = (server.empty() ? kubeconfig.server : server) + "/api/v1/namespaces/default",
               .bearerToken = kubeconfig.token,
               .tls = {.authorities = kubeconfig.authorities,
                       .certificate = kubeconfig.clientCertificate,
                       .key = kubeconfig.clientKey,
                       .serverName = kubeconfig.tlsServerName},
               .timeout = std::chrono::seconds(1)},
      thread_([this](const std::stop_token& stop) { ask(stop); }) {}

void GapMeter::ask(const std::stop_token& stop) {
  auto answered = Clock::now();
  bool missing = false;
  const auto count = [&] {
    const auto gap = std::chrono::duration_cast<Duration>(Clock::now() - answered);
    gap_.longest = std::max(gap_.longest, gap);
    gap_.total += gap;
  };
  while (!stop.stop_requested()) {
    bool well = false;
    try {
      well = transport_.perform(request_).status == 200;
    } catch (const Interrupted&) {
      break;
    } catch (const Error&) {
    }
    {
      const std::lock_guard guard(mutex_);
      ++gap_.asked;
      if (!well) ++gap_.failed;
      if (well && missing) count();
    }
    missing = !well;
    if (well) answered = Clock::now();
    std::this_thread::sleep_for(pause);
  }
  const std::lock_guard guard(mutex_);
  if (missing) count();
}

GapMeter::Gap GapMeter::end() {
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
  return gap_;
}

} // namespace kubestrap::plan
