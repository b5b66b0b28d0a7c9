#pragma once

#include "support/value.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace kubestrap::config {

/// The documents that `config print` shows: every default in its place, placeholders for what depends on the machine.
std::vector<Value> initDefaults();      ///< InitConfiguration, ClusterConfiguration
std::vector<Value> componentDefaults(); ///< KubeletConfiguration, KubeProxyConfiguration
Value joinDefaults(std::string_view nodeName);
Value resetDefaults();
Value upgradeDefaults();

/// What `config explain` prints for "ClusterConfiguration.networking.podSubnet" or just "networking.podSubnet": type,
/// default, meaning, since when. Throws Error with the nearest known path.
std::string explain(std::string_view path);

} // namespace kubestrap::config
