#pragma once

#include "config/model.hpp"

#include <string>
#include <vector>

namespace kubestrap::manifests {

// The addons as lists of objects in the order to apply. They are made for server-side apply: quantities are in their
// canonical form, and what the API server fills in by itself is left out.

/// ServiceAccount, ClusterRole, ClusterRoleBinding, ConfigMap, Deployment (with the operator's patches), Service
/// kube-dns.
std::vector<Value> coreDns(const config::Setup& setup);
/// The server block that CoreDNS starts with.
std::string corefile(const config::Cluster& cluster);

/// ServiceAccount, ClusterRoleBinding, Role, RoleBinding, ConfigMap, DaemonSet (with the operator's patches, then with
/// this machine's proxy variables).
std::vector<Value> kubeProxy(const config::Setup& setup);

} // namespace kubestrap::manifests
