#pragma once

#include "host/descriptor.hpp"
#include "support/ip.hpp"

#include <map>
#include <mutex>
#include <set>
#include <stop_token>
#include <thread>
#include <vector>

namespace kubestrap::host {

/// Listens on TCP ports of one address of this machine, and remembers who came; each connection is closed at once. Ports on which somebody
/// listens already are left out.
class PortListener {
public:
  PortListener(const IpAddress& address, const std::vector<int>& ports);

  /// On which of the ports it listens, in their order.
  std::vector<int> ports() const;
  /// The addresses from which connections have come by now, by port.
  std::map<int, std::set<IpAddress>> seen() const;

private:
  struct Socket {
    int port;
    Descriptor descriptor;
  };
  void serve(std::stop_token stop);
  std::vector<Socket> sockets_;
  mutable std::mutex mutex_;
  std::map<int, std::set<IpAddress>> seen_;
  std::jthread thread_; ///< last: it uses the others
};

} // namespace kubestrap::host
