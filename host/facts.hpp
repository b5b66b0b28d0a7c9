#pragma once
// How `Host::facts` is gathered: what is read from texts of the kernel stands apart as functions of these texts.

#include "host/host.hpp"
#include "host/root.hpp"
#include "host/services.hpp"

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace kubestrap::host {

struct FactSources {
  const Root& root; ///< for files and folders
  Services& services;
  const std::string& initSystem;
  Runner run;
};

/// Everything but the runtime's own answers and images, which are the CRI's to tell.
config::Facts gatherFacts(const Host::Questions& questions, const FactSources& sources);

// ---- network (facts_network.cpp)

/// Interfaces of the default routes, in order (kubeadm asks the same files: apimachinery util/net/interface.go).
std::vector<std::string> defaultInterfacesV4(std::string_view procNetRoute);
std::vector<std::string> defaultInterfacesV6(std::string_view procNetIpv6Route);

struct InterfaceAddress {
  std::string interface;
  bool up = false, loopback = false, pointToPoint = false;
  IpAddress address;
};
std::vector<InterfaceAddress> interfaceAddresses();

/// The address that kubeadm would advertise: the first global unicast one, IPv4 before IPv6, of an interface with a
/// default route, or else of the loopback interface; without a routing table of any interface that is no loopback and
/// no tunnel. Nothing when there is none.
struct Routes {
  bool known = true; ///< whether the kernel has a table to ask
  std::vector<std::string> v4, v6;
};
std::optional<IpAddress> chooseAddress(const Routes& routes, const std::vector<InterfaceAddress>& addresses);

/// Those of the loopback interface that other machines can reach, IPv4 before IPv6: the machine's address in networks as
/// in RFC 5549.
std::vector<IpAddress> globalOnLoopback(const std::vector<InterfaceAddress>& addresses);

/// An address as /proc/net/route has it, a number of the machine's own byte order: "0B00000A" -> 10.0.0.11.
std::optional<IpAddress> addressV4(std::string_view digits);
/// As /proc/net/ipv6_route has it: "fd000005000000000000000000000000" -> fd00:5::.
std::optional<IpAddress> addressV6(std::string_view digits);
/// "00FFFFFF" -> 24.
std::optional<int> prefixOfMaskV4(std::string_view digits);

/// Routes of /proc/net/route and /proc/net/ipv6_route but default, link-local, multicast and host routes.
std::vector<config::RouteFacts> parseRoutesV4(std::string_view procNetRoute);
std::vector<config::RouteFacts> parseRoutesV6(std::string_view procNetIpv6Route);
/// Gateway of the first default route.
std::optional<IpAddress> parseGatewayV4(std::string_view procNetRoute);

void lookAtNetwork(config::Facts& facts);
/// Whether the name has an address. Asks a program with a time limit, since a name server that is down would hold us
/// for long.
bool resolves(const std::string& hostname, const Runner& run);

// ---- kernel (facts_kernel.cpp)

/// "CONFIG_NAMESPACES" -> "y" or "m"; other values and options that are not set are left out.
std::map<std::string, std::string> parseKernelConfig(std::string_view text);
/// Unpacks gzip, as /proc/config.gz is; "" when it is none.
std::string gunzip(std::string_view bytes);
std::vector<std::string> parseSwaps(std::string_view procSwaps);
/// Where cgroups are mounted, and whether in version 2.
struct CgroupMount {
  std::string path;
  bool unified = false;
};
CgroupMount parseCgroupMount(std::string_view procMounts, bool memoryFolderExists);
std::vector<std::string> parseCgroupsV1(std::string_view procCgroups);

void lookAtKernel(config::Facts& facts, const std::vector<std::string>& sysctls);

// ---- ports (facts_ports.cpp)

struct Listener {
  config::PortOwner owner;
  std::uint64_t inode = 0;
};
/// Sockets in state LISTEN of /proc/net/tcp or tcp6.
std::vector<Listener> parseListeners(std::string_view procNetTcp);
/// "nginx.service" of the lines of /proc/PID/cgroup; "" when the process belongs to no service or scope.
std::string unitOfCgroup(std::string_view procCgroup);

/// All listeners; those on `ports` with their owners, which costs a walk over all processes when there is such a
/// listener.
std::vector<config::PortOwner> listeners(const std::vector<int>& ports);

// ---- what surrounds a node (facts_environment.cpp)
config::SecurityFacts lookAtSecurity();
config::ClockFacts lookAtClock();
std::vector<IpAddress> nameServers();
std::string machineId();

// ---- facts_duplicates.cpp
/// Addresses of /proc/net/if_inet6 that the kernel found to be taken.
std::vector<IpAddress> parseFailedDuplicates(std::string_view procNetIfInet6);
/// Own addresses that somebody else on the link has as well, with who.
std::map<std::string, std::string> findDuplicates();

// ---- facts_disks.cpp
/// The file system on which a folder lies, or would lie when it were made.
std::optional<config::DiskFacts> diskOf(const Path& folder);

// ---- facts_runtime.cpp
/// The sandbox image of what `containerd config dump` prints; "" when it is not there.
std::string parseContainerdDump(std::string_view toml);

// ---- facts_kubelet.cpp
/// Of the unit's file and its drop-ins, in the order in which they count; `read` gives the environment files that they name.
config::KubeletUnitFacts parseKubeletUnit(const std::vector<std::string>& texts, const std::function<std::string(const Path&)>& read);
/// A drop-in of ours does not count.
config::KubeletUnitFacts lookAtKubeletUnit(Host& host);

// ---- facts_trials.cpp
/// "iptables v1.8.9 (nf_tables)"
void parseIptablesVersion(std::string_view output, config::PacketFilterFacts& facts);
config::PacketFilterFacts lookAtPacketFilter(const Runner& run);
std::map<std::string, bool> tryKernelFeatures(const Runner& run);

/// "v1.37.2" of what `kubelet --version` prints; "" when it is something else.
std::string parseKubeletVersion(std::string_view output);

} // namespace kubestrap::host
