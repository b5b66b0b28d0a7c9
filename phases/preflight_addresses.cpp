// Whether this machine is told apart from others.
#include "phases/preflight_checks.hpp"

#include "support/text.hpp"

#include <algorithm>

namespace kubestrap::phases {

namespace {

/// The address under which the other nodes know this one; nothing when it is not known yet.
std::optional<IpAddress> addressOfNode(const Setup& setup, const Facts& facts) {
  if (setup.node.controlPlane && !setup.node.advertiseAddress.isUnspecified()) return setup.node.advertiseAddress;
  return facts.defaultAddress;
}

/// VirtualBox (and Vagrant with it) and QEMU give each machine behind their NAT the same address, with themselves as
/// gateway (VirtualBox manual, 9.8; QEMU: -netdev user).
bool isBehindOwnNat(const IpAddress& address, const Facts& facts) {
  return Cidr::parse("10.0.2.0/24")->contains(address) && facts.gateway == IpAddress::v4(10, 0, 2, 2);
}

std::string otherAddresses(const IpAddress& address, const Facts& facts) {
  std::vector<std::string> texts;
  for (const auto& each : facts.addresses)
    if (each != address && each.isGlobalUnicast() && each.isV6() == address.isV6()) texts.push_back(each.string());
  return join(texts, ", ");
}

} // namespace

Observations ownAddress(const Setup& setup, const Facts& facts) {
  const auto address = addressOfNode(setup, facts);
  if (!address) return {};
  Observations seen;
  if (const auto& vip = setup.cluster.kubestrap.vip; vip && vip->address == *address)
    seen.push_back(error(fmt::format("endpoint.vip.address is this machine's own address {}", address->string()), "give an unused address of the nodes' own network"));
  if (const auto found = facts.duplicates.find(address->string()); found != facts.duplicates.end())
    // A router that answers for everybody looks the same, so nobody is refused for it.
    seen.push_back(warning(fmt::format("somebody else on the same link answers for {} as well{}", address->string(),
                                       found->second.empty() ? "" : " (" + found->second + ")")));
  for (const auto& peer : facts.peers)
    if (peer.name != setup.node.name && std::ranges::find(peer.addresses, *address) != peer.addresses.end())
      seen.push_back(error(fmt::format("the node {} of this cluster has {} as well", peer.name, address->string())));
  if (!seen.empty() || !isBehindOwnNat(*address, facts)) return seen;
  const auto others = otherAddresses(*address, facts);
  return {warning(
      fmt::format("{} is behind a NAT of this machine's own: its neighbours have the same address, and none reaches it",
                  address->string()),
      others.empty() ? "give the machine a second network, which it shares with the other nodes, and its address with "
                       "--apiserver-advertise-address"
                     : fmt::format("take another address of this machine ({}): --apiserver-advertise-address, and "
                                   "node-ip among the kubeletExtraArgs",
                                   others))};
}

Observations ownIdentity(const Setup& setup, const Facts& facts) {
  if (facts.machineId.empty() || facts.machineId == "uninitialized")
    return {warning("/etc/machine-id says nothing: nothing tells this machine from a copy of it",
                    "systemd-machine-id-setup")};
  for (const auto& peer : facts.peers)
    if (peer.name != setup.node.name && peer.machineId == facts.machineId)
      return {warning(fmt::format("the node {} of this cluster has the same machine id {}: the one is a copy of the other",
                                  peer.name, facts.machineId))};
  return {};
}

} // namespace kubestrap::phases
