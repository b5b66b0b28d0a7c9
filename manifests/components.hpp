#pragma once
// manifests/ builds documents: what a Setup means in static pods, kubelet files, cluster objects and addons, in
// kubeadm's format and by kubeadm's rules. Everything is a pure function from a Setup to Values; nothing here knows
// where they are written or applied.

#include "config/model.hpp"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kubestrap::manifests {

/// One component of the control plane that runs as a static pod. What differs between components and can be said as a
/// value stands here; the rest is in its builder.
struct Component {
  std::string_view name; ///< pod, container, program, label and file name
  std::string config::Images::*image;
  int port = 0;                 ///< of its probes; the API server's is the node's bind port
  std::string_view addressFlag; ///< names the address of that port; empty: as listen-metrics-urls says (etcd)
  std::string_view startupPath, livenessPath, readinessPath; ///< the last may be empty: no readiness probe
  std::string_view cpuRequest, memoryRequest;                ///< the last may be empty
  std::string_view kubeconfig; ///< file below /etc/kubernetes that it identifies itself with; empty: none
  std::string_view user;       ///< whom that kubeconfig names; empty: none
  config::Patch::Target patchTarget;
  Value (*pod)(const config::Setup&); ///< as the first or only control plane node runs it
};

/// In the order in which they need each other: etcd, kube-apiserver, kube-controller-manager, kube-scheduler.
std::span<const Component> components();
/// Throws Error for a name that is not in the table.
const Component& component(std::string_view name);
/// Whether this node runs it: etcd only when it is not external.
bool runsOn(const Component& component, const config::Cluster& cluster);

/// "/etc/kubernetes/manifests/kube-apiserver.yaml"
config::Path manifestPath(const Component& component);

/// Where the component of `pod` says that it lives, for a look from this machine: "https://127.0.0.1:10257/healthz". It
/// follows the flags of the pod, so extraArgs and patches count (kubeadm: util/apiclient/wait.go); for an unspecified
/// address loopback is asked.
std::string livenessUrl(const Component& component, const Value& pod);

/// "v1.37.2" of "registry.k8s.io/kube-apiserver:v1.37.2@sha256:..."; empty where an image has no tag.
std::string tagOf(const std::string& image);

/// The container of that name in a pod, or in a pod template; nullptr: there is none.
const Value* containerOf(const Value& pod, std::string_view name);

/// Every image that a control plane node needs, in the order of `config images list`.
std::vector<std::string> imageList(const config::Cluster& cluster);

} // namespace kubestrap::manifests
