#pragma once
// Which packet filter rules are the cluster's, by their chains' names. Pure.

#include "plan/resource.hpp"

#include <string>
#include <string_view>

namespace kubestrap::plan {

/// What iptables-restore --noflush has to be given so that nothing of kubelet and kube-proxy, and of CNI plugins where that is wanted, is
/// left in what iptables-save said, and all else stays; empty when there is nothing of theirs.
std::string removalOf(const RemoveClusterRules& wanted, std::string_view saved);

} // namespace kubestrap::plan
