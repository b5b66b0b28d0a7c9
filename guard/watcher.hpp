#pragma once
// Asks the API again and again, in a thread of its own, so that one that hangs never keeps the guard from looking at its slots; and
// writes the guard's Lease.

#include "config/model.hpp"
#include "guard/told.hpp"
#include "kube/client.hpp"
#include "kube/kubeconfig.hpp"
#include "net/http_curl.hpp"

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <stop_token>
#include <thread>

namespace kubestrap::guard {

/// Since the machine was switched on, whatever its clock says.
phases::guard::Moment sinceBoot();

/// A transport whose calls take so long at most.
class Limited : public net::Transport {
public:
  Limited(net::Transport& transport, Duration limit) : transport_(transport), limit_(limit) {}
  net::Response perform(const net::Request& request) override;
  net::Response stream(const net::Request& request, const std::function<bool(std::string_view)>& onData) override;

private:
  net::Transport& transport_;
  Duration limit_;
};

/// What the API says, in one round over `client`: what cannot be learned is left out, and the first question that nobody answers ends it.
/// `peers` are asked for the Node where it has no part in the control plane by `client`'s word.
Told askApi(kube::Client& client, const std::string& node, const std::function<std::vector<kube::Client>()>& peers);
/// Where the API servers of all control planes are, as kube-public/cluster-info has it; nothing when that cannot be read.
std::map<std::string, config::Endpoint> askForPeers(kube::Client& client);
/// Makes the Lease, or brings it up to date.
void writeLease(kube::Client& client, const Value& lease);

class Watcher {
public:
  Watcher(std::string node, kube::Kubeconfig identity, std::string server, std::stop_token stop);

  /// The last round, when it is young enough to go by.
  std::optional<Told> told();
  std::map<std::string, config::Endpoint> peers();
  /// What is to be told, and to whom questions may go. `calm`: rounds may take their time.
  void tell(Value report, std::map<std::string, config::Endpoint> peers, bool calm);

  static constexpr Duration limit = std::chrono::seconds(3), often = std::chrono::seconds(1), seldom = std::chrono::seconds(5);
  static constexpr Duration young = std::chrono::seconds(8), renewal = std::chrono::seconds(10), peersAge = std::chrono::seconds(30);

private:
  void run(const std::stop_token& stop);
  void round();
  void renew(kube::Client& client);

  const std::string node_;
  const kube::Kubeconfig identity_;
  const std::string server_;
  net::CurlTransport transport_;
  Limited limited_;

  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::optional<Told> told_;
  Value report_;
  std::map<std::string, config::Endpoint> peers_, found_;
  bool calm_ = false, woken_ = false;

  Value written_;
  phases::guard::Moment renewed_{}, peersAsked_{};
  std::jthread thread_; ///< last: it uses all of the above
};

} // namespace kubestrap::guard
