#pragma once

#include "cmd/machine.hpp"
#include "kube/client.hpp"
#include "phases/roll.hpp"
#include "plan/world.hpp"

#include <functional>
#include <map>
#include <optional>
#include <string>

namespace kubestrap::cmd {

/// What the driver itself has seen of pods, since clocks of machines differ.
class Watched {
public:
  explicit Watched(plan::Clock& clock) : clock_(clock) {}

  /// Puts in how old the pod is, how long it has been ready, and how often it has ended meanwhile.
  void put(phases::roll::PodSeen& pod) {
    const auto now = clock_.now();
    auto& known = pods_.try_emplace(pod.uid, Known{now, pod.restarts, {}}).first->second;
    if (!pod.ready) known.ready.reset();
    else if (!known.ready) known.ready = now;
    pod.age = now - known.first;
    pod.readyFor = known.ready ? now - *known.ready : Duration::zero();
    pod.restarts -= known.restarts;
  }

  /// For how long something has been so without a break.
  Duration lasts(const std::string& what, bool isSo) {
    if (!isSo) {
      since_.erase(what);
      return {};
    }
    return clock_.now() - since_.try_emplace(what, clock_.now()).first->second;
  }

  /// What serves need not be asked all the time.
  void isWell(const std::string& what) { well_[what] = clock_.now(); }
  bool wasWell(const std::string& what) const {
    const auto found = well_.find(what);
    return found != well_.end() && clock_.now() - found->second < std::chrono::seconds(10);
  }

  TimePoint now() const { return clock_.now(); }
  Duration age(const std::string& uid) { return clock_.now() - pods_.try_emplace(uid, Known{clock_.now(), 0, {}}).first->second.first; }

private:
  struct Known {
    TimePoint first;
    int restarts;
    std::optional<TimePoint> ready;
  };
  plan::Clock& clock_;
  std::map<std::string, Known> pods_;
  std::map<std::string, TimePoint> since_, well_;
};

/// One look at a control plane that is rolled to what `wanted` says.
phases::roll::Seen lookAtRoll(kube::Client& client, const config::Cluster& wanted, TimePoint now, Watched& watched);
/// Asks the API servers that are new (phases::roll::toAsk); one that serves is asked again after ten seconds.
void askApiServers(const phases::roll::Intent& intent, const std::function<kube::Client(const std::string& url)>& connect, Watched& watched, phases::roll::Seen& seen);
/// Who reaches one of them with the credentials of `access`.
std::function<kube::Client(const std::string& url)> reachedWith(const plan::Access& access, Machine& machine);

/// etcd's members, with the versions of those that answer.
std::vector<phases::EtcdMemberSeen> lookAtEtcd(Machine& machine, const config::Cluster& cluster, kube::Client& client);

} // namespace kubestrap::cmd
