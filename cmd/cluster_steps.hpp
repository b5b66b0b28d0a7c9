#pragma once

#include "cmd/cluster_fleet.hpp"
#include "cmd/live_view.hpp"
#include "support/secret.hpp"
#include "support/time.hpp"

#include <functional>
#include <mutex>
#include <optional>

namespace kubestrap::cmd {

/// Does the steps of a plan on their machines. May be used from several threads.
class ClusterSteps {
public:
  /// `asked`: the control plane that speaks for the cluster; empty: the one that begins it, once it has.
  ClusterSteps(const Fleet& fleet, std::string asked, PodsAlone alone, LiveView& view, std::function<TimePoint()> now = std::chrono::system_clock::now)
      : fleet_(fleet), view_(view), now_(std::move(now)), alone_(alone), isThere_(!asked.empty()), asked_(std::move(asked)) {}
  ~ClusterSteps(); ///< the tokens with which machines have joined are not valid any more

  /// Throws Error with the machine's own words.
  void perform(const phases::fleet::Step& step);

private:
  struct Words {
    Value discovery;
    TimePoint made;
  };
  void copy(const phases::fleet::Step& step);
  void upgradeNode(const config::InventoryHost& host);
  std::vector<std::string> upgradeFlags(phases::fleet::Task task) const;
  Value answer(const std::string& host, nodes::Errand errand, std::initializer_list<int> allowed);
  void join(const config::InventoryHost& host);
  Value kubestrap(const std::string& host, const std::vector<std::string>& words, const std::vector<Value>& documents = {}, std::string_view marked = {},
                  std::initializer_list<int> allowed = {0});
  Value discovery();
  std::string certificateKey();
  bool lasts(TimePoint made) const;

  const Fleet& fleet_;
  LiveView& view_; ///< is shown what the machines say
  const std::function<TimePoint()> now_; ///< the time of day, which goes on while the desk sleeps
  const PodsAlone alone_;
  const bool isThere_; ///< the cluster, before anything is done
  std::mutex mutex_;
  std::string asked_;
  std::optional<Words> words_;
  std::vector<std::string> tokens_; ///< ids of all that were made: who has begun with an older one still needs it
  Secret certificateKey_;
  TimePoint shared_; ///< since when the files are there for that key
};

} // namespace kubestrap::cmd
