#pragma once
// How a machine that joins gets to know its cluster. Only reads; what it finds is the input of the join workflow.

#include "config/facts.hpp"
#include "config/model.hpp"
#include "kube/kubeconfig.hpp"
#include "plan/report.hpp"
#include "plan/world.hpp"
#include "support/yaml.hpp"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace kubestrap::plan {

struct Discovered {
  /// Server and authorities as the cluster gives them, with the credentials that the kubelet shall ask for its certificate with.
  kube::Kubeconfig cluster;
  /// API servers by node, as the cluster tells everybody; empty where it does not (endpoint.mode other than local).
  std::map<std::string, config::Endpoint> apiServers;
  config::ClockFacts clock; ///< this machine's beside the API server's; nothing where the server did not say
};

/// By token (kubeadm: discovery/token): cluster-info is read unverified, its signature is checked with the token, its authorities against
/// the pins, and then it is read again, verified. By file or https URL (discovery/file, discovery/https): the kubeconfig is believed.
/// Waits up to `patience` for a server that does not answer yet; what no patience mends (a wrong token, another authority) ends it
/// within seconds.
Discovered discover(const config::Discovery& wanted, Duration patience, World& world, Reporter& reporter);

/// Whether one of the cluster's authorities is one that the token's hashes name, or there are no hashes.
bool isPinned(const kube::Kubeconfig& cluster, const config::TokenDiscovery& token);

/// The documents that say what the cluster is: kubeadm-config, kubelet-config and kubestrap-config of kube-system, with the audit log's policy in the last. The last may be missing
/// or forbidden: clusters of kubeadm's making have none.
std::vector<Document> readClusterDocuments(const kube::Kubeconfig& cluster, Duration patience, World& world, Reporter& reporter);

} // namespace kubestrap::plan
