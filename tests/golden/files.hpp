#pragma once

#include "tests/golden/render.hpp"

#include <optional>
#include <string>
#include <vector>

namespace kubestrap::golden {

/// How the engine comes to the files of a case.
struct Making {
  std::vector<std::string> phases = {"certs", "kubeconfig", "etcd", "control-plane", "kubelet-start"};
  /// Everything was made before, and then the key of this authority was taken away: "ca", "front-proxy-ca", "etcd-ca".
  std::string externalAuthority;
};

/// Runs the real engine on a machine in memory, and tells every file and folder that it leaves: mode, and of keys,
/// certificates and kubeconfigs what they are.
std::string filesOf(config::Setup setup, const config::Facts& facts, const Making& making);

} // namespace kubestrap::golden
