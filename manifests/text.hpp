#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kubestrap::manifests {

/// The embedded text `name` with every {{placeholder}} replaced. Throws Error for a placeholder that has no value and
/// for a value that has no placeholder.
std::string filledText(std::string_view name, const std::vector<std::pair<std::string, std::string>>& values);

} // namespace kubestrap::manifests
