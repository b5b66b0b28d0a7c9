#pragma once

#include "archive/lock.hpp"

namespace kubestrap::archive {

/// What is in a bundle in the words of SPDX 2.3: a package for each part and each image, with version, digest and licence. `created` is the
/// moment that it names, in RFC 3339.
std::string spdxOf(const Lock& lock, const std::string& created, const std::string& tool);

} // namespace kubestrap::archive
