#pragma once

#include "support/version.hpp"

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kubestrap::config {

/// A minor version of Kubernetes that kubestrap deploys, with the companions that belong to it (decision D2).
struct SupportedMinor {
  int minor;                     ///< of major version 1
  std::string_view defaultPatch; ///< deployed when only the minor is asked for: "v1.37.2"
  std::string_view etcdTag, coreDnsTag, pauseTag;
};

/// Newest first.
std::span<const SupportedMinor> supportedMinors();
/// Nothing when this minor is not supported.
const SupportedMinor* findMinor(const Version& version);
/// "a version of 1.37 or 1.36, like v1.37.2"
std::string supportedVersions();
/// What is deployed when no version is asked for.
Version defaultVersion();

/// "v1.37.2", "1.37.2" or a label ("stable", "stable-1", "stable-1.36", "latest..."). Labels are resolved without a
/// network to the default patch of their minor, with a warning. Throws Error with what is expected instead.
Version resolveVersion(std::string_view text, std::vector<std::string>& warnings);

} // namespace kubestrap::config
