#pragma once

#include <filesystem>

namespace kubestrap::config {

using Path = std::filesystem::path;

/// Where things lie on a node. All are absolute below the machine's root; another root (--rootfs, tests) is `host`'s
/// business.
namespace paths {
inline const Path kubernetes = "/etc/kubernetes";
inline const Path pki = "/etc/kubernetes/pki";
inline const Path manifests = "/etc/kubernetes/manifests";
inline const Path adminConf = "/etc/kubernetes/admin.conf";
inline const Path superAdminConf = "/etc/kubernetes/super-admin.conf";
inline const Path kubeletConf = "/etc/kubernetes/kubelet.conf";
inline const Path bootstrapKubeletConf = "/etc/kubernetes/bootstrap-kubelet.conf";
inline const Path controllerManagerConf = "/etc/kubernetes/controller-manager.conf";
inline const Path schedulerConf = "/etc/kubernetes/scheduler.conf";
inline const Path kubelet = "/var/lib/kubelet";
inline const Path kubeletConfig = "/var/lib/kubelet/config.yaml";
inline const Path kubeletInstanceConfig = "/var/lib/kubelet/instance-config.yaml";
inline const Path kubeletFlags = "/var/lib/kubelet/kubeadm-flags.env";
inline const Path kubeletDropIn = "/etc/systemd/system/kubelet.service.d/10-kubestrap.conf";
inline const Path kubeletOrder = "/etc/systemd/system/kubelet.service.d/20-kubestrap-order.conf";
inline const Path kubeletClientCertificate = "/var/lib/kubelet/pki/kubelet-client-current.pem";
inline const Path hosts = "/etc/hosts";
inline const Path nodeState = "/etc/kubernetes/kubestrap/node.json"; ///< what the guard keeps of its node
inline const Path standbys = "/etc/kubernetes/kubestrap/standby";
inline const Path credentials = "/etc/kubernetes/kubestrap/credentials"; ///< of hosted components, a folder each
inline const Path guardCredentials = credentials / "kubestrap-guard";
inline const Path front = "/etc/kubernetes/kubestrap/front"; ///< the balancer's configuration
inline const Path frontState = "/var/lib/kubestrap-front";    ///< its servers and sockets; its own user's
inline const Path state = "/var/lib/kubestrap"; ///< journal and what was replaced
inline const Path lock = "/run/lock/kubestrap.lock";
} // namespace paths

} // namespace kubestrap::config
