#pragma once

#include "config/paths.hpp"
#include "support/value.hpp"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace kubestrap::config {

/// Addresses that MetalLB gives to services.
struct AddressPool {
  std::string name;
  std::vector<std::string> addresses; ///< ranges: "10.0.0.240/28", "10.0.0.240-10.0.0.250"
  std::optional<bool> autoAssign;
};

struct NodePorts {
  int http = 0, https = 0;
};

/// What add-ons are made with. Each knows some of these (addons.hpp); the others are refused.
struct AddonValues {
  std::string imageRegistry;                 ///< in place of the registries that a manifest names
  std::map<std::string, std::string> images; ///< image of the manifest -> the one in its place
  std::string backend, encapsulation, mode, exposure, path;
  std::optional<bool> nftables, controlPlanes, kubeletInsecureTLS, isDefault;
  std::vector<std::string> interfaces, externalIPs;
  std::vector<AddressPool> pools;
  std::optional<NodePorts> nodePorts;
};

/// An add-on that the configuration asks for.
struct Addon {
  std::string name;
  std::string source; ///< a file or folder of this machine; empty: where bundles put their manifests
  std::optional<AddonValues> values;
};

/// Names an object of the cluster.
struct ObjectName {
  std::string apiVersion, kind, nameSpace, name;
  auto operator<=>(const ObjectName&) const = default;
};

/// What there is of an add-on: its manifest on this machine, and what the cluster says it has of it.
struct AddonSeen {
  Path from;                         ///< where the manifest was read
  std::vector<Value> manifest;       ///< its documents; lists are unfolded
  std::vector<ObjectName> installed; ///< what an earlier run has recorded, in its order
  std::map<ObjectName, std::string> jobs; ///< of these the Jobs that were made: a digest of each
  std::vector<ObjectName> ofOthers;  ///< of the manifest what was there before it
};

} // namespace kubestrap::config
