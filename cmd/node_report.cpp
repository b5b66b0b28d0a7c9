#include "cmd/node_report.hpp"

#include "support/text.hpp"

namespace kubestrap::cmd {

Value reportIn(const std::string& log, const std::string& source) {
  std::string last = "{}";
  for (const auto& line : split(log, '\n'))
    if (line.starts_with("{")) last = line;
  return parseJson(last, source);
}

} // namespace kubestrap::cmd
