#pragma once

#include "config/model.hpp"

#include <string>
#include <vector>

namespace kubestrap::manifests {

/// Whether the cluster's CA key lies on the control plane nodes. With an external authority the controller-manager must
/// not try to sign, and kubeadm hands it empty file names.
enum class CaKey { present, external };

// The static pods of a control plane node, equal as documents to those that kubeadm 1.37 writes for the same
// configuration (phases/controlplane, phases/etcd), with the operator's patches applied and keys in alphabetical order.

/// An authorization-config among the extra arguments leaves out authorization-mode.
Value apiServerPod(const config::Setup& setup);
Value controllerManagerPod(const config::Setup& setup, CaKey caKey);
/// The same, the CA key lying where the node says.
Value controllerManagerPod(const config::Setup& setup);
Value schedulerPod(const config::Setup& setup);
/// The first member; or one that joins, with the members as it finds them, itself included ("n1=https://10.0.0.11:2380,n2=...").
Value etcdPod(const config::Setup& setup, const std::string& initialCluster = {});

/// "https://10.0.0.11:2379" and ":2380" of this node; etcd has no address of its own but the API server's.
std::string etcdClientUrl(const config::Node& node);
std::string etcdPeerUrl(const config::Node& node);

struct ProbeEndpoint {
  std::string scheme, host; ///< "http", "127.0.0.1"; the host without brackets
  int port = 0;
};
/// The end of an etcd metrics URL; what it does not say is http, `otherwiseHost` and 2381 (kubeadm:
/// util/staticpod/utils.go).
ProbeEndpoint parseMetricsUrl(std::string_view url, std::string otherwiseHost);

} // namespace kubestrap::manifests
