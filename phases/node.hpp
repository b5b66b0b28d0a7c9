#pragma once
// What init and join both say of a node: its static pods, its kubelet, and when they are up.

#include "plan/phase.hpp"

#include <initializer_list>
#include <string_view>
#include <vector>

namespace kubestrap::phases {

/// Where this node's own components reach the API. A hosted control plane's balancer may lead to another node's API server, whose
/// certificate has the control plane's name, and not this node's address.
std::string apiServerOf(const config::Setup& setup);
/// As admin, at this node's own API server: the public endpoint may be a balancer that is not there yet.
plan::Access asAdmin(const config::Setup& setup);

/// Whether this node's control plane has been handed over to its guard: from then on it says which static pods there are.
bool isGoverned(const config::Setup& setup);

plan::Resources objects(std::vector<Value> documents, const plan::Access& access);
void append(plan::Resources& resources, plan::Resources more);

/// The images of a control plane node are in the runtime.
plan::Resources controlPlaneImages(const config::Setup& setup);
/// etcd as a client that may do everything, by the certificate for health checks (kubeadm: util/etcd/etcd.go).
plan::EtcdAccess etcdAccessOf(const config::Cluster& cluster, const plan::Access& api);
/// A member of etcd as it joins, votes or leaves. etcd takes one learner at a time, and a quorum is never changed by two at once: nodes
/// take turns.
plan::EtcdMember etcdMemberOf(const config::Setup& setup, const plan::Access& api, const std::string& peerUrl, plan::Standing standing);

/// The manifest of a component, below the folder that the kubelet watches.
plan::File staticPod(std::string_view component, Value pod);
/// The kubelet's files are there and it runs with them, and was started since the manifests of `components` were written.
plan::Resources kubeletIsStarted(const config::Setup& setup, std::initializer_list<std::string_view> components);

/// kubelet.conf with the certificate that the kubelet renews itself. It leads to the node's balancer, where it has none to the node's own
/// API server.
plan::Kubeconfig rotatedKubeletConf(const config::Setup& setup);

/// What ends a wait for these components early; those that this node does not run are left out.
std::vector<plan::FatalSign> staticPodSigns(const config::Setup& setup, std::initializer_list<std::string_view> components);
/// A component with a manifest of this machine: how its pod is known.
plan::StaticPod staticPodOf(const config::Setup& setup, std::string_view component);
/// A component answers at its own health port; `pod` is its manifest.
plan::Condition componentHealthy(const config::Setup& setup, std::string_view component);
plan::Resources kubeletIsHealthy(const config::Setup& setup);
/// A kubelet that was started with another kubelet.conf starts anew.
plan::Resources kubeletTakesUpItsKubeconfig(const config::Setup& setup);
/// API server, controller-manager and scheduler of this node answer.
plan::Resources controlPlaneAnswers(const config::Setup& setup, const plan::Access& access);

} // namespace kubestrap::phases
