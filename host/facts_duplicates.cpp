// Whether somebody else on the link has an address of ours: for IPv4 by a probe of RFC 5227, for IPv6 by what the kernel
// found when it took the address.
#include "host/descriptor.hpp"
#include "host/facts.hpp"
#include "host/proc.hpp"
#include "support/encoding.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cstring>
#include <memory>
#include <net/ethernet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/if_ether.h>
#include <netpacket/packet.h>
#include <poll.h>
#include <set>
#include <sys/ioctl.h>
#include <unistd.h>

namespace kubestrap::host {

namespace {

constexpr auto patience = std::chrono::milliseconds(50); // a neighbour's kernel answers within one or two
constexpr int latePackets = 100; // that are read after that, when this process was not let run in time
using Mac = std::array<std::uint8_t, 6>;

struct Link {
  int index = 0;
  Mac mac{};
};

/// Of every interface, those without an address too: each answers for all addresses of this machine.
std::set<Mac> ownMacs() {
  std::set<Mac> macs;
  std::unique_ptr<struct if_nameindex, void (*)(struct if_nameindex*)> interfaces(if_nameindex(), if_freenameindex);
  Descriptor any(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  for (const auto* each = interfaces.get(); any && each && each->if_index != 0; ++each) {
    ifreq request{};
    std::strncpy(request.ifr_name, each->if_name, sizeof request.ifr_name - 1);
    if (ioctl(any.get(), SIOCGIFHWADDR, &request) != 0) continue;
    Mac mac{};
    std::memcpy(mac.data(), request.ifr_hwaddr.sa_data, mac.size());
    macs.insert(mac);
  }
  return macs;
}

/// Nothing when the interface is no Ethernet on which addresses are asked for by broadcast.
std::optional<Link> linkOf(const std::string& interface) {
  ifreq request{};
  if (interface.size() >= sizeof request.ifr_name) return {};
  std::strcpy(request.ifr_name, interface.c_str());
  Descriptor any(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!any || ioctl(any.get(), SIOCGIFFLAGS, &request) != 0) return {};
  if ((request.ifr_flags & IFF_NOARP) != 0 || (request.ifr_flags & IFF_BROADCAST) == 0) return {};
  Link link{.index = static_cast<int>(if_nametoindex(interface.c_str()))};
  if (ioctl(any.get(), SIOCGIFHWADDR, &request) != 0 || request.ifr_hwaddr.sa_family != ARPHRD_ETHER) return {};
  std::memcpy(link.mac.data(), request.ifr_hwaddr.sa_data, link.mac.size());
  return link;
}

std::string text(const Mac& mac) {
  return fmt::format("{:02x}:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
}

void probe(const Descriptor& socket, const Link& link, const std::string& target) {
  ether_arp question{};
  question.arp_hrd = htons(ARPHRD_ETHER);
  question.arp_pro = htons(ETHERTYPE_IP);
  question.arp_hln = 6;
  question.arp_pln = 4;
  question.arp_op = htons(ARPOP_REQUEST);
  std::memcpy(question.arp_sha, link.mac.data(), link.mac.size()); // no sender address: nobody shall learn anything
  std::memcpy(question.arp_tpa, target.data(), target.size());
  sockaddr_ll everybody{};
  everybody.sll_family = AF_PACKET;
  everybody.sll_protocol = htons(ETHERTYPE_ARP);
  everybody.sll_ifindex = link.index;
  everybody.sll_halen = 6;
  std::memset(everybody.sll_addr, 0xff, 6);
  // A link that cannot be asked tells nothing, which is no failure.
  [[maybe_unused]] auto sent = sendto(socket.get(), &question, sizeof question, 0, reinterpret_cast<const sockaddr*>(&everybody),
                                      sizeof everybody);
}

/// The address that an answer claims, with who claims it; nothing for other packets and for our own interfaces' answers.
std::optional<std::pair<std::string, Mac>> claim(const ether_arp& packet, const std::set<Mac>& ours) {
  if (ntohs(packet.arp_op) != ARPOP_REPLY || ntohs(packet.arp_pro) != ETHERTYPE_IP) return {};
  Mac sender{};
  std::memcpy(sender.data(), packet.arp_sha, sender.size());
  if (ours.contains(sender)) return {};
  return std::pair(std::string(reinterpret_cast<const char*>(packet.arp_spa), 4), sender);
}

void askNeighbours(const std::vector<InterfaceAddress>& addresses, std::map<std::string, std::string>& found) {
  std::map<std::string, IpAddress> wanted; // by octets
  const auto ours = ownMacs();
  Descriptor socket(::socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETHERTYPE_ARP)));
  if (!socket) return; // not root
  for (const auto& each : addresses) {
    if (each.loopback || !each.up || each.address.isV6() || !each.address.isGlobalUnicast()) continue;
    const auto link = linkOf(each.interface);
    if (!link) continue;
    wanted.emplace(each.address.octets(), each.address);
    probe(socket, *link, each.address.octets());
  }
  const auto end = std::chrono::steady_clock::now() + patience;
  for (int late = 0; !wanted.empty() && late < latePackets;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now()).count();
    pollfd ready{socket.get(), POLLIN, 0};
    if (poll(&ready, 1, static_cast<int>(std::max<long>(left, 0))) <= 0) return;
    if (left <= 0) ++late;
    ether_arp packet{};
    if (recv(socket.get(), &packet, sizeof packet, 0) < static_cast<ssize_t>(sizeof packet)) continue;
    const auto claimed = claim(packet, ours);
    if (!claimed) continue;
    if (const auto ask = wanted.find(claimed->first); ask != wanted.end()) found[ask->second.string()] = text(claimed->second);
  }
}

} // namespace

std::vector<IpAddress> parseFailedDuplicates(std::string_view procNetIfInet6) {
  constexpr unsigned long duplicateFound = 0x08; // IFA_F_DADFAILED
  std::vector<IpAddress> failed;
  for (const auto& line : split(procNetIfInet6, '\n')) {
    const auto fields = words(line); // address, index, prefix, scope, flags, interface
    if (fields.size() < 6 || fields[0].size() != 32) continue;
    if ((std::strtoul(fields[4].c_str(), nullptr, 16) & duplicateFound) == 0) continue;
    std::string spelled;
    for (std::size_t at = 0; at < 32; at += 4) spelled += (at ? ":" : "") + fields[0].substr(at, 4);
    if (const auto address = IpAddress::parse(spelled)) failed.push_back(*address);
  }
  return failed;
}

std::map<std::string, std::string> findDuplicates() {
  std::map<std::string, std::string> found;
  for (const auto& address : parseFailedDuplicates(readProc("/proc/net/if_inet6"))) found[address.string()] = "";
  askNeighbours(interfaceAddresses(), found);
  return found;
}

} // namespace kubestrap::host
