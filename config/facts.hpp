#pragma once

#include "support/ip.hpp"
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
  std::optional<std::string>
      cgroupDriver;         ///< "systemd", "cgroupfs"; nothing when the runtime cannot say (no RuntimeConfig)
  std::string sandboxImage; ///< may be empty
};

struct UnitFacts {
  bool exists = false, enabled = false, active = false;
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
  std::map<std::string, bool> caFolders; ///< folders with trusted certificates that exist ("/etc/pki/ca-trust")
};

} // namespace kubestrap::config
