#pragma once

#include "config/schema.hpp"

#include <map>
#include <string>
#include <vector>

namespace kubestrap::config {

/// kubestrap.io/v1alpha1 BundleConfiguration: what a folder that a bundle is made from cannot say by its files. Paths are as in the
/// bundle: "bin/kubelet".
struct BundleConfiguration {
  std::string architecture, kubernetesVersion;
  std::vector<std::string> images; ///< to be taken from the runtime
  std::map<std::string, std::string> versions, licences;
};

extern const schema::Type bundleConfiguration;
inline constexpr std::string_view bundleConfigurationKind = "BundleConfiguration";

BundleConfiguration decodeBundleConfiguration(const Value& document);

} // namespace kubestrap::config
