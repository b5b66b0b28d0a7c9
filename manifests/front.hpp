#pragma once

#include "config/model.hpp"

#include <map>
#include <string>
#include <string_view>

namespace kubestrap::manifests {

// The front: HAProxy on every node, in front of all API servers (decision D7). endpoint.mode local and vip have it. It is never
// replaced in place but overlapped by one of the other slot, "a" or "b".

inline constexpr std::string_view frontSlots[] = {"a", "b"};

bool hasFront(const config::Cluster& cluster);

/// Where clients on this node find it, under the control plane's name, which stands for this machine on every node. On a
/// control plane whose own API server has that port, on 6445; in the hosted layout the front has the API server's port itself.
config::Endpoint frontEndpoint(const config::Setup& setup);

/// Whether it leads to API servers in the slots of this machine, before all others.
bool frontHasSlots(const config::Setup& setup);
/// Where this node's own API servers, and no others, are reached from other machines: by their fronts, so that two of them never lead to
/// each other, and by an operator's balancer. A hosted control plane has 6444 for that, one above the API server's port.
config::Endpoint ownApiServers(const config::Setup& setup);

/// The loopback address that it listens on: 127.0.0.1, or ::1 where nodes have IPv6 addresses.
std::string frontAddress(const config::Setup& setup);

/// The image: the operator's, or kubestrap's own.
std::string frontImage(const config::Setup& setup);

/// API servers by node: those of other nodes that are known, and this node's own where it has no slots.
std::map<std::string, config::Endpoint> apiServers(const config::Setup& setup);

/// The cluster's authority on this machine, by which who follows the API servers verifies them.
config::Path frontAuthorityFile(const config::Setup& setup);
/// The balancer's own form of it, where it is no root (Node::frontAuthority).
config::Path frontTrustedFile();

/// haproxy.cfg, and what it loads.
std::string frontConfiguration(const config::Setup& setup);
std::string frontScript();
/// The backend. `own` is the node whose API server is preferred, since it is on the same machine; empty: none is.
std::string frontServers(const std::map<std::string, config::Endpoint>& apiServers, const std::string& own);
/// How many API servers can come before HAProxy is told of them by a restart.
inline constexpr int frontSpares = 16;

/// The user that it runs as, who owns the folder of its state.
inline constexpr unsigned frontUser = 65532;
/// Files of a slot below config::paths::frontState.
config::Path frontSocket(std::string_view slot);
config::Path frontMarker(std::string_view slot); ///< there as long as the front lets connections through
config::Path frontServersFile();

Value frontPod(const config::Setup& setup, const std::string& slot);
/// A front's manifest, for another slot, and with a mark of whom it trusts: what it has read once is not seen to change.
std::string frontInSlot(std::string manifest, const std::string& slot, const std::string& other, const std::string& trusts);
std::string frontTrusts(const std::string& manifest); ///< that mark; empty: it has none
/// "/etc/kubernetes/manifests/kubestrap-front-a.yaml"
config::Path frontManifest(std::string_view slot);

/// /etc/hosts with a line by which the control plane's name stands for this machine.
std::string hostsFile(const config::Setup& setup);
/// /etc/hosts without that line.
std::string hostsFileWithoutFront(const config::Node& node);

/// The part of kube-public/cluster-info that tells everybody of this node's API server.
Value apiServerNotice(const config::Setup& setup);
/// The same part, to be taken away again.
Value apiServerWithdrawal(const config::Node& node);

} // namespace kubestrap::manifests
