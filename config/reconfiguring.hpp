#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace kubestrap::config {

/// On the Node of a plain control plane that has not been given the cluster's settings yet: the names, by commas, that its API server's certificate is
/// not to have any more.
inline constexpr std::string_view settingsFollowNotice = "kubestrap.io/settings-follow";

/// What `reconfigure` is to do on a plain control plane. The settings themselves are the Cluster of the Setup.
struct Reconfiguring {
  std::vector<std::string> goingNames; ///< of certSANs: those that are not wanted any more
  std::vector<std::string> formerNames; ///< all certSANs that the cluster keeps
  bool addons = false; ///< what concerns CoreDNS and kube-proxy differs
  bool stores = false; ///< the cluster does not keep these settings yet: other control planes have to follow
};

} // namespace kubestrap::config
