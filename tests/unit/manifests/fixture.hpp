#pragma once

#include "config/model.hpp"
#include "support/encoding.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace kubestrap::test {

inline bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

/// The first node of a cluster that the real kubeadm 1.37.2 was run for, with the same configuration. Its documents are
/// the judge of ours; where a whole document is compared, its fingerprint stands in for it.
inline config::Setup referenceSetup() {
  config::Setup setup;
  config::Cluster& cluster = setup.cluster;
  cluster.version = parseVersion("v1.37.2");
  cluster.controlPlaneEndpoint = config::Endpoint{"10.88.0.11", 6443};
  cluster.networks.serviceSubnet = "10.96.0.0/12";
  cluster.networks.services = {*Cidr::parse("10.96.0.0/12")};
  cluster.networks.podSubnet = "10.244.0.0/16";
  cluster.networks.pods = {*Cidr::parse("10.244.0.0/16")};
  cluster.pki.algorithm = certs::KeyAlgorithm::rsa2048;
  cluster.images = {.apiServer = "registry.k8s.io/kube-apiserver:v1.37.2",
                    .controllerManager = "registry.k8s.io/kube-controller-manager:v1.37.2",
                    .scheduler = "registry.k8s.io/kube-scheduler:v1.37.2",
                    .proxy = "registry.k8s.io/kube-proxy:v1.37.2",
                    .coreDns = "registry.k8s.io/coredns/coredns:v1.14.6",
                    .pause = "registry.k8s.io/pause:3.10.2",
                    .etcd = "registry.k8s.io/etcd:3.7.0-0"};
  cluster.kubelet.userSupplied = cluster.proxy.userSupplied = true;
  cluster.kubelet.document = Value::object(
      {{"apiVersion", "kubelet.config.k8s.io/v1beta1"}, {"kind", "KubeletConfiguration"}, {"cgroupDriver", "systemd"}});
  cluster.proxy.document = Value::object(
      {{"apiVersion", "kubeproxy.config.k8s.io/v1alpha1"}, {"kind", "KubeProxyConfiguration"}, {"mode", "iptables"}});
  setup.node = {
      .name = "n1",
      .hostname = "n1",
      .advertiseAddress = *IpAddress::parse("10.88.0.11"),
      .criSocket = "unix:///run/containerd/containerd.sock",
      .taints = {Value::object({{"key", "node-role.kubernetes.io/control-plane"}, {"effect", "NoSchedule"}})},
      .kubeletExtraArgs = {{"node-ip", "10.88.0.11"}},
      .caFolders = {"/etc/ca-certificates", "/usr/share/ca-certificates", "/usr/local/share/ca-certificates"}};
  return setup;
}

/// The same node as a control plane of layout hosted.
inline config::Setup hostedSetup() {
  auto setup = referenceSetup();
  setup.cluster.kubestrap.layout = config::Layout::hosted;
  setup.cluster.kubestrap.endpointMode = config::EndpointMode::local;
  setup.cluster.controlPlaneEndpoint = {{"api.kubernetes.internal", 6443}};
  setup.request.ownImage = "kubestrap.io/kubestrap:v0";
  return setup;
}

/// SHA-256 of the document as JSON with sorted keys and without white space.
inline std::string fingerprint(const Value& document) { return sha256Hex(sorted(document).dump()); }

inline std::vector<std::string> strings(const Value& list) { return list.get<std::vector<std::string>>(); }

inline const Value& container(const Value& pod) { return pod.at("spec").at("containers").at(0); }
inline std::vector<std::string> command(const Value& pod) { return strings(container(pod).at("command")); }

inline bool has(const std::vector<std::string>& list, const std::string& wanted) {
  for (const std::string& item : list)
    if (item == wanted) return true;
  return false;
}

} // namespace kubestrap::test
