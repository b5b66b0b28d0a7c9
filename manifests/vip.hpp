#pragma once

#include "config/model.hpp"

#include <string>

namespace kubestrap::manifests {

// The virtual address: keepalived on every control plane node (decision D8), beside the front. endpoint.mode vip has it.

/// Whether this node is one of those that may have the address.
bool hasVip(const config::Setup& setup);

/// The image: the operator's, or the front's.
std::string vipImage(const config::Setup& setup);

/// The pod, which finds the interface by itself where none is named, and then runs keepalived.
Value vipPod(const config::Setup& setup);
/// "/etc/kubernetes/manifests/kubestrap-vip.yaml"
config::Path vipManifest();

/// What keepalived is told. Times are in seconds, as VRRP has them.
struct KeepalivedSettings {
  std::string node, interface, address; ///< the address without a prefix's length: it is no network's
  int router = 0, priority = 0;
  std::string check; ///< a command that ends with 0 while this node may have the address
};
std::string keepalivedConfiguration(const KeepalivedSettings& settings);

} // namespace kubestrap::manifests
