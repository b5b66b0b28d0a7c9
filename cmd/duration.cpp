#include "cmd/duration.hpp"

#include <algorithm>

namespace kubestrap::cmd {

Duration parseDays(const std::string& text) {
  const auto number = text.substr(0, text.size() - std::min<std::size_t>(1, text.size()));
  const bool days = text.ends_with('d') && !number.empty() && number.size() < 6 && std::ranges::all_of(number, [](char c) { return c >= '0' && c <= '9'; });
  return days ? Duration(std::chrono::hours(24) * std::stoi(number)) : parseDuration(text);
}

} // namespace kubestrap::cmd
