#include "manifests/text.hpp"

#include "support/error.hpp"
#include "templates/templates.hpp"

#include <algorithm>

namespace kubestrap::manifests {

std::string filledText(std::string_view name, const std::vector<std::pair<std::string, std::string>>& values) {
  std::string_view original = templates::text(name);
  std::string filled;
  std::vector<std::string> used;
  for (std::size_t at = 0;;) {
    auto open = original.find("{{", at);
    if (open == std::string_view::npos) {
      filled += original.substr(at);
      break;
    }
    auto close = original.find("}}", open);
    std::string key(original.substr(open + 2, close - open - 2));
    const std::string* value = nullptr;
    for (const auto& [candidate, text] : values)
      if (candidate == key) value = &text;
    if (close == std::string_view::npos || !value)
      throw Error("the text " + std::string(name) + " wants a value for {{" + key + "}}",
                  "this is a defect; please report it");
    filled += original.substr(at, open - at);
    filled += *value;
    used.push_back(key);
    at = close + 2;
  }
  for (const auto& [key, value] : values)
    if (std::find(used.begin(), used.end(), key) == used.end())
      throw Error("the text " + std::string(name) + " has no place for {{" + key + "}}",
                  "this is a defect; please report it");
  return filled;
}

} // namespace kubestrap::manifests
