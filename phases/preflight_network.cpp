#include "phases/preflight_checks.hpp"

#include "manifests/front.hpp"
#include "phases/preflight_proxy.hpp"
#include "support/text.hpp"

#include <algorithm>

namespace kubestrap::phases {

namespace {

using config::PortOwner;

/// The kernel keeps 15 characters of a process's name.
constexpr std::size_t processNameLength = 15;

/// Whether two sockets cannot listen on the same port. An IPv6 socket on all addresses takes IPv4 along, as Go opens
/// it.
bool collide(const std::optional<IpAddress>& wanted, const std::string& taken) {
  if (!wanted || wanted->isUnspecified()) return true;
  const auto address = IpAddress::parse(taken);
  if (!address) return true;
  if (address->isUnspecified()) return address->isV6() || !wanted->isV6();
  return *address == *wanted;
}

bool isOwn(const PortOwner& owner, const WantedPort& wanted, const Facts& facts) {
  return !owner.process.empty() &&
         owner.process.substr(0, processNameLength) == wanted.process.substr(0, processNameLength) &&
         isRecorded(facts, wanted.startedBy);
}

std::string describe(const PortOwner& owner) {
  if (owner.process.empty() && owner.pid == 0)
    return fmt::format("a process that cannot be seen, on {}", owner.address);
  auto text = owner.process.empty() ? "a process" : owner.process;
  if (owner.pid != 0) text += fmt::format(" (pid {}{})", owner.pid, owner.unit.empty() ? "" : ", " + owner.unit);
  return fmt::format("{} on {}", text, owner.address);
}

bool isKubernetesComponent(std::string_view process) {
  constexpr std::string_view names[] = {"kube-apiserver", "kube-controller", "kube-scheduler", "etcd", "kubelet"};
  return std::ranges::find(names, process.substr(0, processNameLength)) != std::end(names);
}

std::string remedyFor(const PortOwner& owner) {
  if (isKubernetesComponent(owner.process))
    return "this machine seems to be a node of a cluster already: take that away first (kubestrap reset)";
  if (!owner.unit.empty() && owner.unit.ends_with(".service"))
    return fmt::format("systemctl disable --now {}", owner.unit);
  if (owner.pid != 0) return fmt::format("stop process {}, or let it listen elsewhere", owner.pid);
  return {};
}

bool isHere(const IpAddress& address, const Facts& facts) {
  if (address.isUnspecified() || address.isLoopback()) return true;
  return std::ranges::find(facts.addresses, address) != facts.addresses.end();
}

std::string addressesOf(const Facts& facts) {
  std::vector<std::string> texts;
  for (const auto& each : facts.addresses)
    if (each.isGlobalUnicast()) texts.push_back(each.string());
  return texts.empty() ? "none but loopback and link-local ones" : join(texts, ", ");
}

/// Whether two networks have an address of this machine in common, by which they are told already.
bool shareOwn(const Cidr& one, const Cidr& other, const Facts& facts) {
  return std::ranges::any_of(facts.addresses,
                             [&](const auto& each) { return one.contains(each) && other.contains(each); });
}

bool covers(const Cidr& wider, const Cidr& range) { return wider.prefix() <= range.prefix() && wider.contains(range.base()); }

bool hasDefaultRoute(const Facts& facts) { return facts.defaultAddress || facts.gateway; }

bool uses(const Setup& setup, bool v6) {
  const auto fits = [&](const Cidr& range) { return range.isV6() == v6; };
  const auto& networks = setup.cluster.networks;
  const auto& address = setup.node.advertiseAddress; // a worker has none
  return (!address.isUnspecified() && address.isV6() == v6) || std::ranges::any_of(networks.services, fits) ||
         std::ranges::any_of(networks.pods, fits);
}

} // namespace

Observations portFree(const Facts& facts, const WantedPort& wanted) {
  const auto address = IpAddress::parse(wanted.address);
  if (address && !wanted.addressFlag.empty() && !facts.addresses.empty() && !isHere(*address, facts))
    return {error(fmt::format("the {} cannot listen on {} ({}): this machine has {}", wanted.process,
                              joinHostPort(wanted.address, wanted.port), wanted.addressFlag, addressesOf(facts)),
                  fmt::format("take {} out of the extraArgs, or give an address of this machine", wanted.addressFlag))};
  std::vector<std::string> holders;
  std::string remedy;
  for (const auto& owner : facts.listening) {
    if (owner.port != wanted.port || !collide(address, owner.address) || isOwn(owner, wanted, facts)) continue;
    if (remedy.empty()) remedy = remedyFor(owner);
    if (auto holder = describe(owner); std::ranges::find(holders, holder) == holders.end())
      holders.push_back(std::move(holder));
  }
  if (holders.empty()) return {};
  if (!remedy.empty() && !wanted.otherwise.empty()) remedy += ", or " + wanted.otherwise;
  return {error(
      fmt::format("port {}, which the {} needs, is held by {}", wanted.port, wanted.process, join(holders, " and by ")),
      remedy)};
}

/// In slots its port is the API server's, and looked at as that.
bool balancesItself(const Setup& setup, Purpose) { return manifests::hasFront(setup.cluster) && !manifests::frontHasSlots(setup); }

std::string frontPortName(const Setup& setup) { return fmt::format("Port-{}", manifests::frontEndpoint(setup).port); }

Observations frontPortFree(const Setup& setup, const Facts& facts) {
  static const std::filesystem::path slots[] = {manifests::frontManifest("a"), manifests::frontManifest("b")};
  const auto& startedBy = isRecorded(facts, slots[1]) ? slots[1] : slots[0];
  return portFree(facts, {.port = manifests::frontEndpoint(setup).port,
                          .address = manifests::frontAddress(setup),
                          .process = "haproxy",
                          .startedBy = startedBy});
}

std::string etcdAddress(const Setup& setup) {
  const auto given = flag(setup.cluster.apiServer.extraArgs, "advertise-address");
  return given.empty() ? setup.node.advertiseAddress.string() : given;
}

Observations proxyToApiServer(const Setup& setup, const Facts& facts) {
  if (!setup.node.controlPlane && !setup.cluster.controlPlaneEndpoint) return {};
  const auto endpoint = setup.node.controlPlane ? setup.node.localEndpoint() : *setup.cluster.controlPlaneEndpoint;
  const auto proxy = httpsProxyFor(facts.proxyVariables, endpoint.host, endpoint.port);
  if (!proxy) return {};
  return {warning(fmt::format("connections to the API server at {} would go over the proxy {}", endpoint.string(),
                              withoutCredentials(*proxy)),
                  fmt::format("add {} to NO_PROXY", endpoint.host))};
}

Observations proxyToNetworks(const Setup& setup, const Facts& facts) {
  // Any port of a service or pod may be called: like kubeadm, one is tried that no entry of NO_PROXY will name.
  constexpr int somePort = 1234;
  Observations seen;
  const auto judge = [&](std::string_view kind, const Cidr& range) {
    const auto first = range.nth(1);
    if (!first) {
      seen.push_back(
          error(fmt::format("the {} network {} has one address only", kind, range.string()), "give a larger range"));
      return;
    }
    if (const auto proxy = httpsProxyFor(facts.proxyVariables, first->string(), somePort))
      seen.push_back(
          warning(fmt::format("connections of the control plane into the {} network {} would go over the proxy {}",
                              kind, range.string(), withoutCredentials(*proxy)),
                  fmt::format("add {} to NO_PROXY", range.string())));
  };
  for (const auto& range : setup.cluster.networks.services) judge("service", range);
  for (const auto& range : setup.cluster.networks.pods) judge("pod", range);
  return seen;
}

Observations proxyToNodes(const Setup& setup, const Facts& facts) {
  Observations seen;
  const auto judge = [&](std::string_view what, const std::string& host, int port, const std::string& exception) {
    if (const auto proxy = httpsProxyFor(facts.proxyVariables, host, port))
      seen.push_back(warning(fmt::format("connections to {} ({}) would go over the proxy {}", what, joinHostPort(host, port),
                                         withoutCredentials(*proxy)),
                             fmt::format("add {} to NO_PROXY", exception)));
  };
  const auto& own = setup.node.advertiseAddress;
  for (const auto& route : facts.routes) {
    if (!route.destination.contains(own) || route.destination.hostBits() == 0) continue;
    const auto first = route.destination.nth(1);
    const auto neighbour = first == own ? route.destination.nth(2) : first;
    if (neighbour) judge("other nodes", neighbour->string(), kubeletPort, route.destination.string());
  }
  if (const auto& endpoint = setup.cluster.controlPlaneEndpoint)
    judge("the control plane's endpoint", endpoint->host, endpoint->port, endpoint->host);
  // The API server calls webhooks and aggregated APIs by the names of their services.
  judge("services by name", "webhook.default.svc", 443, ".svc");
  return seen;
}

Observations advertiseAddress(const Setup& setup, const Facts& facts) {
  const auto address = IpAddress::parse(etcdAddress(setup));
  if (!address || facts.addresses.empty() || isHere(*address, facts)) return {};
  const auto evidence =
      fmt::format("the address {}, under which the API server is to be known, is not on this machine (which has {})",
                  address->string(), addressesOf(facts));
  // With etcd elsewhere nobody listens on it: an address that a router translates can work.
  if (!setup.cluster.etcd.isLocal())
    return {
        warning(evidence,
                "see that this machine itself reaches it, or give one of its own with --apiserver-advertise-address")};
  return {error(evidence)};
}

Observations networkOverlap(const Setup& setup, const Facts& facts) {
  Observations seen;
  const auto& networks = setup.cluster.networks;
  for (const auto& pods : networks.pods)
    for (const auto& services : networks.services)
      if (pods.overlaps(services))
        seen.push_back(error(
            fmt::format("the pod network {} and the service network {} overlap", pods.string(), services.string())));

  // On a machine that kubestrap already made a node, the CNI's bridge and kube-proxy have addresses of these networks.
  const bool isNodeAlready = isRecorded(facts, config::paths::kubeletConfig);
  const auto judge = [&](std::string_view kind, const Cidr& range) {
    for (const auto& address : facts.addresses) {
      const bool isNodes = address == setup.node.advertiseAddress || address == facts.defaultAddress;
      if (range.contains(address) && (isNodes || !isNodeAlready))
        seen.push_back(warning(fmt::format("the {} network {} contains {}, an address of this machine", kind,
                                           range.string(), address.string())));
    }
  };
  const auto isServiceRoute = [&](const Cidr& range) { return !hasDefaultRoute(facts) && std::ranges::find(networks.services, range) != networks.services.end(); };
  const auto judgeSurroundings = [&](std::string_view kind, const Cidr& range) {
    for (const auto& server : facts.nameServers)
      if (range.contains(server) && !isNodeAlready)
        seen.push_back(warning(fmt::format("the {} network {} contains {}, a name server of this machine", kind,
                                           range.string(), server.string())));
    for (const auto& route : facts.routes)
      if (range.overlaps(route.destination) && !isNodeAlready && !isServiceRoute(route.destination) && !shareOwn(range, route.destination, facts))
        seen.push_back(warning(fmt::format("the {} network {} overlaps {}, which this machine reaches over {}", kind,
                                           range.string(), route.destination.string(), route.interface)));
  };
  for (const auto& range : networks.services) judge("service", range);
  for (const auto& range : networks.pods) judge("pod", range);
  for (const auto& range : networks.services) judgeSurroundings("service", range);
  for (const auto& range : networks.pods) judgeSurroundings("pod", range);
  return seen;
}

/// kube-proxy leads a packet elsewhere only after the kernel has found a route for it.
Observations serviceRoute(const Setup& setup, const Facts& facts) {
  Observations seen;
  if (hasDefaultRoute(facts)) return seen;
  for (const auto& range : setup.cluster.networks.services)
    if (std::ranges::none_of(facts.routes, [&](const auto& route) { return covers(route.destination, range); }))
      seen.push_back(warning(fmt::format("this machine has no default route, and none to the service network {}: programs in the machine's own network, as those of most pod networks are, reach no service", range.string()),
                             fmt::format("ip route add {} dev INTERFACE, and the same in what configures the network", range.string())));
  return seen;
}

bool usesIpv4(const Setup& setup, Purpose) { return uses(setup, false); }
bool usesIpv6(const Setup& setup, Purpose) { return uses(setup, true); }

} // namespace kubestrap::phases
