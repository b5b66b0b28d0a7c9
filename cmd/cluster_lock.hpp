#pragma once

#include "cmd/cluster_fleet.hpp"

#include <condition_variable>
#include <mutex>
#include <thread>

namespace kubestrap::cmd {

/// Keeps other operators from the same machines for as long as it lives: a folder in /run of a machine, and a shell there that takes it away when its
/// connection ends, however that happens.
class ClusterLock {
public:
  enum class Take { ifFree, over };
  /// Throws Error (refused) naming who has it, from where and since when. `lost` is called when the connection ends before its time.
  ClusterLock(const Fleet& fleet, std::string host, Take take, std::function<void()> lost);
  ~ClusterLock();

private:
  void hold(Take take);

  const Fleet& fleet_;
  std::string host_;
  std::function<void()> lost_;
  int reading_ = -1, writing_ = -1;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool held_ = false, over_ = false, released_ = false;
  std::optional<Error> refused_;
  std::jthread thread_;
};

} // namespace kubestrap::cmd
