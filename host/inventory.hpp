#pragma once
// What `Host::inventory` is made of. Each part is a record of names with a short text, so that two inventories are compared by one rule.

#include "host/host.hpp"
#include "host/services.hpp"
#include "support/value.hpp"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kubestrap::host {

struct InventorySources {
  Host& host;
  Runner run;
};

/// files, links, routes, rules, ipvs, mounts, processes, units, sysctls.
Value takeInventory(const InventorySources& sources);

/// Settings of the kernel that kubelet, kube-proxy and CNI plugins change without being asked.
std::span<const std::string_view> changedSysctls();

/// Where things are mounted, by /proc/self/mounts.
std::vector<Path> mountPoints(Host& host);

/// "-A FORWARD -j KUBE-FORWARD" and ":KUBE-FORWARD" of each table, by iptables-save: without counters, comments and policies.
std::vector<std::string> rulesIn(std::string_view saved);

/// Programs that save packet filter rules, with the one that restores them.
struct FilterPrograms {
  std::string save, restore;
};
/// Those that this machine has, by PATH's usual folders.
std::vector<FilterPrograms> filterPrograms(Host& host);

} // namespace kubestrap::host
