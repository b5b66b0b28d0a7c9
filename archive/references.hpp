#pragma once

#include "support/value.hpp"

#include <set>
#include <string>
#include <vector>

namespace kubestrap::archive {

/// The images that pods of these documents run, as the runtime calls them: of Pods, of whatever has a template of them, of lists.
std::set<std::string> imagesNamed(const std::vector<Value>& documents);

} // namespace kubestrap::archive
