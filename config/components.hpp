#pragma once

#include "config/model.hpp"
#include "config/schema.hpp"

namespace kubestrap::config {

inline constexpr std::string_view kubeletApiVersion = "kubelet.config.k8s.io/v1beta1";
inline constexpr std::string_view proxyApiVersion = "kubeproxy.config.k8s.io/v1alpha1";

/// The shapes of the components' own configuration documents. What their values mean is the components' business.
extern const schema::Type kubeletConfiguration, kubeProxyConfiguration;

/// The document with the defaults that kubeadm gives it for this cluster, in the form that Go's encoder writes. A value
/// other than the recommended one stays and is warned of. The document must fit the schema.
Value defaultKubelet(Value document, const Cluster& cluster, std::vector<std::string>& warnings);
/// `advertised` decides the address family.
Value defaultProxy(Value document, const Cluster& cluster, const IpAddress& advertised,
                   std::vector<std::string>& warnings);

} // namespace kubestrap::config
