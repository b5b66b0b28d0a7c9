#pragma once

#include "config/model.hpp"
#include "config/v1alpha1.hpp"
#include "config/v1beta4.hpp"

#include <optional>
#include <string>
#include <vector>

namespace kubestrap::config {

/// The documents of a cluster, decoded, with static defaults and found to be valid.
struct ClusterDocuments {
  v1beta4::ClusterConfiguration cluster;
  v1alpha1::KubestrapConfiguration kubestrap;
  std::optional<Value> kubelet, proxy; ///< nothing: the operator gave none
  std::optional<Value> auditPolicy;    ///< nothing: none was given, or kept
};

/// What is not in the documents but decided with them.
struct ClusterCircumstances {
  Version version;
  int bindPort = 6443;  ///< for an endpoint without port
  IpAddress advertised; ///< its family is kube-proxy's
};

/// The record that the rest of the program works with, images and component configurations included.
Cluster assemble(const ClusterDocuments& documents, const ClusterCircumstances& circumstances,
                 std::vector<std::string>& warnings);
/// The documents that say what this cluster is; assemble's opposite.
v1beta4::ClusterConfiguration clusterConfiguration(const Cluster& cluster);
v1alpha1::KubestrapConfiguration kubestrapConfiguration(const Cluster& cluster);

PullPolicy pullPolicy(std::string_view name);
Timeouts timeouts(const v1beta4::Timeouts& timeouts);
/// The endpoint that "host", "host:port" or an address says.
std::optional<Endpoint> endpoint(std::string_view text, int otherwisePort);
/// API servers by node, as cluster-info tells of them (apiServerNotice).
std::map<std::string, Endpoint> apiServersIn(const std::map<std::string, std::string>& notices);

} // namespace kubestrap::config
