#include "support/sleep.hpp"

#include <condition_variable>
#include <mutex>

namespace kubestrap {

bool sleepFor(Duration duration, const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any wake;
  std::unique_lock lock(mutex);
  return !wake.wait_for(lock, stop, duration, [&] { return stop.stop_requested(); });
}

} // namespace kubestrap
