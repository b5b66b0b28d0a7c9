#pragma once

#include "config/model.hpp"

#include <string>

namespace kubestrap::manifests {

/// The one line of /var/lib/kubelet/kubeadm-flags.env: hostname-override when the node is not called as the machine,
/// register-with-taints on workers, the operator's kubeletExtraArgs (kubeadm: phases/kubelet/flags.go).
std::string kubeletFlagsEnv(const config::Setup& setup);

/// /var/lib/kubelet/instance-config.yaml: what is particular to this node, and its own record of the runtime's socket.
Value kubeletInstanceConfig(const config::Setup& setup);

/// /var/lib/kubelet/config.yaml: the cluster's KubeletConfiguration, resolvConf where systemd-resolved runs, the
/// operator's patches, and over all the instance configuration (kubeadm: phases/kubelet/config.go).
Value kubeletConfig(const config::Setup& setup);

/// kubelet.service, and the drop-in that hands the kubelet its settings, for machines on which no package brought them.
std::string kubeletUnit(const config::Path& program = "/usr/bin/kubelet");
/// A drop-in by which systemd starts it after the runtime.
std::string kubeletOrder();
std::string kubeletDropIn(const config::Path& program = "/usr/bin/kubelet");

} // namespace kubestrap::manifests
