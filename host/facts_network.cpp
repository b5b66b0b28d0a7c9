#include "host/facts.hpp"
#include "host/proc.hpp"
#include "host/process.hpp"
#include "support/text.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <ifaddrs.h>
#include <memory>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>

namespace kubestrap::host {

namespace {

bool isZero(std::string_view digits) {
  return !digits.empty() && digits.find_first_not_of('0') == std::string_view::npos;
}

void addOnce(std::vector<std::string>& names, const std::string& name) {
  if (std::ranges::find(names, name) == names.end()) names.push_back(name);
}

std::optional<IpAddress> addressOf(const sockaddr* address) {
  if (!address) return {};
  std::array<char, INET6_ADDRSTRLEN> text{};
  const void* octets = nullptr;
  if (address->sa_family == AF_INET)
    octets = &reinterpret_cast<const sockaddr_in*>(address)->sin_addr;
  else if (address->sa_family == AF_INET6)
    octets = &reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr;
  if (!octets || !inet_ntop(address->sa_family, octets, text.data(), text.size())) return {};
  return IpAddress::parse(text.data());
}

template <typename Where>
std::optional<IpAddress> firstGlobal(const std::vector<InterfaceAddress>& addresses, IpAddress::Family family,
                                     Where where) {
  for (const auto& one : addresses)
    if (one.up && one.address.family() == family && one.address.isGlobalUnicast() && where(one)) return one.address;
  return {};
}

} // namespace

std::vector<std::string> defaultInterfacesV4(std::string_view procNetRoute) {
  std::vector<std::string> names;
  for (const auto& line : split(procNetRoute, '\n'))
    if (auto fields = words(line); fields.size() > 2 && fields[0] != "Iface" && isZero(fields[1]))
      addOnce(names, fields[0]);
  return names;
}

std::vector<std::string> defaultInterfacesV6(std::string_view procNetIpv6Route) {
  std::vector<std::string> names;
  for (const auto& line : split(procNetIpv6Route, '\n'))
    // Without a gateway it is the reject route of the loopback interface.
    if (auto fields = words(line); fields.size() > 9 && isZero(fields[0]) && !isZero(fields[4]))
      addOnce(names, fields[9]);
  return names;
}

std::vector<InterfaceAddress> interfaceAddresses() {
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return {};
  std::unique_ptr<ifaddrs, void (*)(ifaddrs*)> owner(list, freeifaddrs);
  std::vector<InterfaceAddress> result;
  for (auto* one = list; one; one = one->ifa_next)
    if (auto address = addressOf(one->ifa_addr))
      result.push_back({.interface = one->ifa_name,
                        .up = (one->ifa_flags & IFF_UP) != 0,
                        .loopback = (one->ifa_flags & IFF_LOOPBACK) != 0,
                        .pointToPoint = (one->ifa_flags & IFF_POINTOPOINT) != 0,
                        .address = *address});
  return result;
}

std::optional<IpAddress> chooseAddress(const Routes& routes, const std::vector<InterfaceAddress>& addresses) {
  for (auto family : {IpAddress::Family::v4, IpAddress::Family::v6}) {
    if (!routes.known) {
      if (auto found =
              firstGlobal(addresses, family, [](const auto& one) { return !one.loopback && !one.pointToPoint; }))
        return found;
      continue;
    }
    for (const auto& interface : family == IpAddress::Family::v4 ? routes.v4 : routes.v6) {
      if (auto found = firstGlobal(addresses, family, [&](const auto& one) { return one.interface == interface; }))
        return found;
      // Routed networks whose links have link-local addresses only carry the machine's address on loopback (RFC 5549).
      if (auto found = firstGlobal(addresses, family, [](const auto& one) { return one.loopback; })) return found;
    }
  }
  return {};
}

std::vector<IpAddress> globalOnLoopback(const std::vector<InterfaceAddress>& addresses) {
  std::vector<IpAddress> found;
  for (auto family : {IpAddress::Family::v4, IpAddress::Family::v6})
    for (const auto& one : addresses)
      if (one.up && one.loopback && one.address.family() == family && one.address.isGlobalUnicast())
        found.push_back(one.address);
  return found;
}

void lookAtNetwork(config::Facts& facts) {
  auto addresses = interfaceAddresses();
  facts.loopbackAddresses = globalOnLoopback(addresses);
  for (const auto& one : addresses)
    if (one.up && std::ranges::find(facts.addresses, one.address) == facts.addresses.end())
      facts.addresses.push_back(one.address);
  auto v4 = readProc("/proc/net/route");
  facts.defaultAddress = chooseAddress({.known = !v4.empty(), // the table always has its heading
                                        .v4 = defaultInterfacesV4(v4),
                                        .v6 = defaultInterfacesV6(readProc("/proc/net/ipv6_route"))},
                                       addresses);
}

bool resolves(const std::string& hostname, const Runner& run) {
  if (findProgram("getent")) {
    auto result = run({"getent", {"ahosts", hostname}, "", std::chrono::seconds(3)});
    return !result.timedOut && result.exitCode == 0;
  }
  addrinfo* list = nullptr;
  if (getaddrinfo(hostname.c_str(), nullptr, nullptr, &list) != 0) return false;
  freeaddrinfo(list);
  return true;
}

} // namespace kubestrap::host
