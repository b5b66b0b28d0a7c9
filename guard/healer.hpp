#pragma once
// Keeps this node's address among those of the Service kubernetes while an API server here is ready. An API server takes it out when it
// stops, and also when it starts, though its sibling on the same node serves.

#include "kube/client.hpp"
#include "kube/kubeconfig.hpp"
#include "net/http_curl.hpp"

#include <atomic>
#include <stop_token>
#include <string>
#include <thread>

namespace kubestrap::guard {

/// The patch that adds the address to Endpoints or EndpointSlice `kubernetes`; null: it is there. It is refused when somebody else has
/// written in between.
Value missingAddress(const Value& object, const std::string& address, int port);
/// Whether the object names nobody at all.
bool namesNobody(const Value& object);

/// Looks at both objects and mends what lacks the address. Returns what was mended.
std::vector<std::string> heal(kube::Client& client, const std::string& address, int port);

class Healer {
public:
  Healer(kube::Kubeconfig identity, std::string server, std::string address, int port, std::stop_token stop);

  /// Whether an API server here is ready, and whether this is the only control plane node.
  void tell(bool ready, bool alone) {
    ready_ = ready;
    alone_ = alone;
  }

private:
  void run(const std::stop_token& stop);
  void watchOnce(const std::stop_token& stop);
  void mend(const Value& slice, const std::stop_token& stop);

  const kube::Kubeconfig identity_;
  const std::string server_, address_;
  const int port_;
  net::CurlTransport transport_;
  std::atomic<bool> ready_ = false, alone_ = false;
  std::jthread thread_; ///< last: it uses all of the above
};

} // namespace kubestrap::guard
