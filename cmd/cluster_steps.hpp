#pragma once

#include "cmd/cluster_fleet.hpp"
#include "cmd/live_view.hpp"
#include "support/secret.hpp"

#include <mutex>
#include <optional>

namespace kubestrap::cmd {

/// Does the steps of a plan on their machines. May be used from several threads.
class ClusterSteps {
public:
  /// `asked`: the control plane that speaks for the cluster; empty: the one that begins it, once it has.
  ClusterSteps(const Fleet& fleet, std::string asked, PodsAlone alone, LiveView& view) : fleet_(fleet), view_(view), alone_(alone), isThere_(!asked.empty()), asked_(std::move(asked)) {}
  ~ClusterSteps(); ///< the token with which machines have joined is not valid any more

  /// Throws Error with the machine's own words.
  void perform(const phases::fleet::Step& step);

private:
  struct Words {
    Value discovery;
    std::string tokenId;
  };
  void copy(const phases::fleet::Step& step);
  void upgradeNode(const config::InventoryHost& host);
  std::vector<std::string> upgradeFlags(phases::fleet::Task task) const;
  Value answer(const std::string& host, nodes::Errand errand, std::initializer_list<int> allowed);
  void join(const config::InventoryHost& host);
  Value kubestrap(const std::string& host, const std::vector<std::string>& words, const std::vector<Value>& documents = {}, std::string_view marked = {},
                  std::initializer_list<int> allowed = {0});
  void offline(std::vector<std::string>& words) const;
  Value discovery();
  std::string certificateKey();

  const Fleet& fleet_;
  LiveView& view_; ///< is shown what the machines say
  const PodsAlone alone_;
  const bool isThere_; ///< the cluster, before anything is done
  std::mutex mutex_;
  std::string asked_;
  std::optional<Words> words_;
  Secret certificateKey_;
};

} // namespace kubestrap::cmd
