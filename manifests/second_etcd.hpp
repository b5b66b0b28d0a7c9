#pragma once
// The second member of etcd that runs beside a node's own while that one is replaced: on one node, etcd's version changes without an
// outage only if there is always a member that serves.

#include "config/model.hpp"

#include <string>
#include <string_view>

namespace kubestrap::manifests {

/// Its peers reach it at an address of the machine, not at loopback: whoever joins meanwhile has to.
std::string secondEtcdPeerUrl(const config::Node& node);   ///< "https://10.0.0.11:2382"
std::string secondEtcdClientUrl(const config::Node& node); ///< "https://10.0.0.11:2383"
bool isSecondEtcd(std::string_view peerUrl);
inline constexpr std::string_view secondEtcdSuffix = "-second";
std::string secondEtcdName(const config::Node& node);      ///< "n1-second"
/// Where API servers of the node reach the members.
std::string etcdForApiServers(const config::Node& node);       ///< "127.0.0.1:2379"
std::string secondEtcdForApiServers(const config::Node& node); ///< "127.0.0.1:2383"
std::string bothEtcdServers(const config::Node& node);         ///< "https://127.0.0.1:2379,https://127.0.0.1:2383"
config::Path secondEtcdData(const config::LocalEtcd& etcd); ///< "/var/lib/etcd-second"
config::Path secondEtcdManifest();

/// Where the second member says whether it is ready, by where the node's own one does; empty: it has no second one.
std::string secondEtcdHealth(std::string_view own);
/// An API server's pod that knows the node's own member, and then the second one, too.
Value knowingBothEtcds(Value apiServerPod);

/// The pod: the node's own with other ports, name and data folder, and the members as it finds them.
Value secondEtcdPod(const config::Setup& setup, const std::string& initialCluster);

/// Why an operator's arguments do not let a second one run; empty: they do.
std::string noSecondEtcd(const config::Cluster& cluster);

} // namespace kubestrap::manifests
