#include "host/facts.hpp"
#include "host/proc.hpp"
#include "host/process.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <bit>
#include <charconv>
#include <cstring>
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

std::optional<std::uint32_t> parseHex(std::string_view digits) {
  std::uint32_t value = 0;
  const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
  if (failure != std::errc() || end != digits.data() + digits.size()) return {};
  return value;
}

/// A network as a place that packets go to; nothing for default, link-local, multicast and host routes.
void addRoute(std::vector<config::RouteFacts>& routes, const std::optional<IpAddress>& base, int prefix,
              const std::string& interface) {
  if (!base || prefix == 0 || base->isLinkLocal() || base->isMulticast() || base->isLoopback() || interface == "lo") return;
  const auto network = Cidr::parse(fmt::format("{}/{}", base->string(), prefix));
  if (network && network->hostBits() > 0) routes.push_back({*network, interface});
}

template <typename Where>
std::optional<IpAddress> firstGlobal(const std::vector<InterfaceAddress>& addresses, IpAddress::Family family,
                                     Where where) {
  for (const auto& one : addresses)
    if (one.up && one.address.family() == family && one.address.isGlobalUnicast() && where(one)) return one.address;
  return {};
}

} // namespace

std::optional<IpAddress> addressV4(std::string_view digits) {
  const auto value = parseHex(digits);
  if (!value) return {};
  std::array<std::uint8_t, 4> octets{};
  std::memcpy(octets.data(), &*value, octets.size());
  return IpAddress::v4(octets[0], octets[1], octets[2], octets[3]);
}

std::optional<IpAddress> addressV6(std::string_view digits) {
  if (digits.size() != 32) return {};
  std::string text;
  for (std::size_t at = 0; at < digits.size(); at += 4) text += (at ? ":" : "") + std::string(digits.substr(at, 4));
  return IpAddress::parse(text);
}

std::optional<int> prefixOfMaskV4(std::string_view digits) {
  const auto mask = parseHex(digits);
  return mask ? std::optional(std::popcount(*mask)) : std::nullopt;
}

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

std::vector<config::RouteFacts> parseRoutesV4(std::string_view procNetRoute) {
  std::vector<config::RouteFacts> routes;
  for (const auto& line : split(procNetRoute, '\n'))
    if (auto fields = words(line); fields.size() > 7 && fields[0] != "Iface")
      if (const auto prefix = prefixOfMaskV4(fields[7])) addRoute(routes, addressV4(fields[1]), *prefix, fields[0]);
  return routes;
}

std::vector<config::RouteFacts> parseRoutesV6(std::string_view procNetIpv6Route) {
  std::vector<config::RouteFacts> routes;
  for (const auto& line : split(procNetIpv6Route, '\n'))
    if (auto fields = words(line); fields.size() > 9)
      if (const auto prefix = parseHex(fields[1])) addRoute(routes, addressV6(fields[0]), static_cast<int>(*prefix), fields[9]);
  return routes;
}

std::optional<IpAddress> parseGatewayV4(std::string_view procNetRoute) {
  for (const auto& line : split(procNetRoute, '\n'))
    if (auto fields = words(line); fields.size() > 2 && fields[0] != "Iface" && isZero(fields[1]) && !isZero(fields[2]))
      return addressV4(fields[2]);
  return {};
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
  const auto v6 = readProc("/proc/net/ipv6_route");
  facts.routes = parseRoutesV4(v4);
  for (auto& each : parseRoutesV6(v6)) facts.routes.push_back(std::move(each));
  facts.gateway = parseGatewayV4(v4);
  facts.defaultAddress = chooseAddress({.known = !v4.empty(), // the table always has its heading
                                        .v4 = defaultInterfacesV4(v4),
                                        .v6 = defaultInterfacesV6(v6)},
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
