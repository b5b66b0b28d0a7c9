#pragma once
// What init and upgrade both say of the cluster's own objects.

#include "plan/phase.hpp"

namespace kubestrap::phases {

/// ClusterConfiguration and KubestrapConfiguration, in their ConfigMaps.
plan::Resources kubeadmConfig(const config::Setup& setup, const plan::Phase& phase);
plan::Resources kubeletConfig(const config::Setup& setup, const plan::Phase& phase);
plan::Resources coreDns(const config::Setup& setup, const plan::Phase& phase);
plan::Resources kubeProxy(const config::Setup& setup, const plan::Phase& phase);

} // namespace kubestrap::phases
