#pragma once

#include "config/model.hpp"
#include "support/yaml.hpp"

#include <string>
#include <vector>

namespace kubestrap::config {

/// ClusterConfiguration (v1beta4) as kubeadm keeps it in kube-system/kubeadm-config: defaults filled in, keys in
/// alphabetical order, durations like "8760h0m0s".
Value clusterConfigurationDocument(const Cluster& cluster);
/// KubeletConfiguration of kube-system/kubelet-config: what is the same for all nodes.
Value kubeletConfigDocument(const Cluster& cluster);
/// KubeProxyConfiguration, key config.conf of kube-system/kube-proxy.
Value kubeProxyDocument(const Cluster& cluster);
/// KubestrapConfiguration of kube-system/kubestrap-config; never a secret in it.
Value kubestrapConfigurationDocument(const Cluster& cluster);
/// What kube-system keeps of a cluster for kubestrap on other machines: ClusterConfiguration, KubestrapConfiguration and, where there is an audit log, its
/// policy.
std::vector<Value> storedDocuments(const Cluster& cluster);
/// All that clusterFromDocuments needs as one stream: for kubestrap on another machine.
std::string storedText(const Cluster& cluster);

/// The opposite of storedText, of this kubestrap's own making. Throws Problems.
Cluster clusterFromText(const std::string& text, const std::string& source);

/// A Cluster from the stored documents (those of the kinds that are there, in any order;
/// ClusterConfiguration must be). Stored documents may be of another kubeadm's making: fields that are not known here
/// are warnings, no errors, and a missing encryptionAlgorithm means RSA-2048. Throws Problems.
Cluster clusterFromDocuments(const std::vector<Document>& documents, std::vector<std::string>& warnings);

} // namespace kubestrap::config
