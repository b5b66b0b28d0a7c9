#pragma once

#include "support/ip.hpp"
#include "support/time.hpp"
#include "support/value.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace kubestrap::config {

/// Somebody who holds a TCP port.
struct PortOwner {
  int port = 0;
  std::string address; ///< "0.0.0.0", "127.0.0.1", "::"
  int pid = 0;         ///< 0: unknown
  std::string process; ///< "nginx"; may be empty
  std::string unit;    ///< "nginx.service"; may be empty
};

struct CgroupFacts {
  bool unified = false;                 ///< cgroup v2
  std::vector<std::string> controllers; ///< what is usable
};

struct RuntimeFacts {
  bool reachable = false;
  std::string error;         ///< why not reachable
  std::string name, version; ///< "containerd", "2.1.4"
  bool ready = false;        ///< condition RuntimeReady
  std::string notReadyReason;
  std::optional<std::string> cgroupDriver; ///< "systemd", "cgroupfs"; nothing when the runtime does not say
  bool answersRuntimeConfig = false;       ///< the call by which the kubelet learns the cgroup driver
  std::string sandboxImage;                ///< may be empty
  std::string rootFolder;                  ///< where it keeps images and containers; may be empty
  bool outdated = false;                   ///< its configuration file is newer than its process
  std::optional<bool> selinux;             ///< whether it labels containers; nothing when it does not say
};

struct UnitFacts {
  bool exists = false, enabled = false, active = false;
};

/// How the kubelet is started by its unit, whether or not it runs.
struct KubeletUnitFacts {
  bool exists = false;
  bool readsSettings = false; ///< it is handed /var/lib/kubelet/config.yaml, be it by an environment file
  std::string program = "/usr/bin/kubelet";
};

struct TextFacts {
  std::string content;
  unsigned mode = 0644;
};

/// The file system that a folder lies on, or would lie on.
struct DiskFacts {
  std::string mountPoint;
  std::uint64_t bytes = 0, freeBytes = 0; ///< free: for others than root
  std::uint64_t inodes = 0, freeInodes = 0; ///< 0 of 0: it does not count them
  bool readOnly = false;
};

struct RouteFacts {
  Cidr destination; ///< never a default route, nor a link-local or multicast one
  std::string interface;
};

struct ClockFacts {
  std::optional<bool> synchronised; ///< whether something keeps it, as the kernel says
  /// How far this clock is ahead of another machine's, and how far off that may be; negative: behind.
  std::optional<Duration> ahead;
  Duration uncertainty{};
  std::string comparedWith; ///< "the API server at https://10.0.0.11:6443"
};

/// An answer from another machine, or why there was none.
struct Answer {
  std::string text, error;
  Duration took{};
};

/// iptables as the machine has it, and what of it works. What is tried is tried in a network namespace of its own.
struct PacketFilterFacts {
  std::string version, backend;              ///< "v1.8.9"; "nf_tables", "legacy"; empty: no such program
  std::vector<std::string> legacyTables;     ///< in use in the kernel's older iptables ("nat")
  std::optional<unsigned> legacyRules;       ///< in these; nothing: nobody here can count them
  std::map<std::string, bool> tried;         ///< "MASQUERADE --random-fully" -> works; empty: it could not be tried
};

struct SecurityFacts {
  std::string selinux; ///< "enforcing", "permissive" or "": not there
  bool appArmor = false, appArmorParser = false;
};

/// Another machine, as far as it is known.
struct PeerFacts {
  std::string name, machineId;
  std::vector<IpAddress> addresses;
};

/// Whether connections between this machine and another control plane come about.
struct ReachFacts {
  std::string peer, address;         ///< "n1", "10.0.0.11"
  std::map<int, std::string> closed; ///< its ports that this machine does not reach, and why
  std::vector<int> unheard;          ///< this machine's ports that it does not reach
  std::string unasked;               ///< why it is not known whether it reaches this machine; empty: it is, or nobody wanted to know
};

/// What a machine is like: looked at once by host/, used for defaults by config/, judged by preflight. Plain data.
struct Facts {
  std::string hostname; ///< as uname says, not yet lower-cased
  bool hostnameResolves = false;
  std::optional<IpAddress> defaultAddress;  ///< of the interface with the default route
  std::vector<IpAddress> addresses;         ///< of all interfaces that are up
  std::vector<IpAddress> loopbackAddresses; ///< of `addresses`, those on the loopback interface that are global unicast
  std::vector<std::string> runtimeSockets;  ///< "unix:///var/run/containerd/containerd.sock", those that exist
  unsigned uid = 0;
  unsigned cpus = 0;
  std::uint64_t memoryBytes = 0;
  std::vector<std::string> swaps; ///< names in /proc/swaps
  std::vector<PortOwner> listening;
  std::map<std::string, std::string> sysctls;  ///< "net.ipv4.ip_forward" -> "1"; absent: cannot be read
  std::map<std::string, bool> programs;        ///< "mount" -> found in PATH
  std::map<std::string, bool> files;           ///< existing paths among those that were asked for
  std::map<std::string, bool> nonEmptyFolders; ///< folders among those asked for, true when something is in them
  std::string initSystem;                      ///< "systemd", "openrc" or ""
  UnitFacts kubelet, firewalld, resolved;
  KubeletUnitFacts kubeletUnit;
  std::string kubeletVersion; ///< "v1.37.2"; empty: no kubelet found
  std::string kubeletVersionError;
  CgroupFacts cgroup;
  RuntimeFacts runtime;
  std::map<std::string, bool> images; ///< image reference -> present in the runtime
  std::string operatingSystem, kernelRelease;
  std::map<std::string, std::string> kernelConfig; ///< "CONFIG_NAMESPACES" -> "y"; empty when unreadable
  std::map<std::string, std::string>
      proxyVariables; ///< environment names that end in _proxy (any case), with their values
  /// Paths that kubestrap's journal names: what it made here itself in an earlier run is no obstacle to the next.
  std::vector<std::string> recorded;
  std::map<std::string, TextFacts> texts;   ///< those small files that were asked for and are there
  std::map<std::string, DiskFacts> disks;   ///< folder -> what it lies on
  std::vector<RouteFacts> routes;
  std::optional<IpAddress> gateway;         ///< of the default route, IPv4
  std::vector<IpAddress> nameServers;
  /// Own addresses that somebody else on the link has as well ("10.0.0.11" -> "52:54:00:12:34:56"; "": not known who).
  std::map<std::string, std::string> duplicates;
  std::string machineId;
  ClockFacts clock;
  PacketFilterFacts packetFilter;
  SecurityFacts security;
  std::map<std::string, bool> tried; ///< features of the kernel that were tried: "overlay" -> works
  std::map<std::string, Answer> etcd;       ///< URL of an external etcd -> its version
  std::map<std::string, Answer> registries; ///< "registry.k8s.io" -> how it answers; only those that are needed
  std::vector<PeerFacts> peers;             ///< nodes of the cluster that is joined
  std::vector<ReachFacts> reach;            ///< other control planes of the cluster that is joined
  std::map<std::string, bool> caFolders; ///< folders with trusted certificates that exist ("/etc/pki/ca-trust")
};

} // namespace kubestrap::config
