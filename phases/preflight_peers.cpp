// Whether members of etcd will reach each other, before there is one more of them.
#include "phases/preflight_checks.hpp"

namespace kubestrap::phases {

namespace {

std::string whatListensAt(int port) {
  return port == etcdPeerPort ? "where members of etcd speak to each other" : port == etcdClientPort ? "where etcd's clients ask it" : "where balancers find its API server";
}

} // namespace

Observations peersReach(const Setup& setup, const Facts& facts) {
  Observations seen;
  for (const auto& each : facts.reach) {
    for (const auto& [port, why] : each.closed)
      seen.push_back(error(fmt::format("port {} of {} ({}), {}, cannot be reached from this machine: {}", port, each.peer, each.address, whatListensAt(port), why)));
    for (const auto port : each.unheard)
      seen.push_back(error(fmt::format("port {} of this machine ({}), {}, cannot be reached from {} ({})", port, setup.node.advertiseAddress.string(), whatListensAt(port),
                                       each.peer, each.address)));
    if (!each.unasked.empty()) seen.push_back(warning(fmt::format("whether {} ({}) reaches this machine is not known: {}", each.peer, each.address, each.unasked)));
  }
  return seen;
}

} // namespace kubestrap::phases
