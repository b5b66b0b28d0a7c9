#pragma once

#include <span>
#include <string_view>

namespace kubestrap::templates {

struct Text {
  std::string_view name, content;
};

/// All embedded texts; defined in the file that embed.cmake writes.
std::span<const Text> texts();

} // namespace kubestrap::templates
