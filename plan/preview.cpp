#include "plan/kinds.hpp"

#include "support/encoding.hpp"
#include "support/text.hpp"

#include <algorithm>

namespace kubestrap::plan {

std::string fingerprint(const std::optional<std::string>& content) {
  return content ? sha256Hex(*content).substr(0, 16) : "absent";
}

namespace {

struct Line {
  char mark; ///< ' ' in both, '-' only before, '+' only after
  std::string_view text;
};

std::vector<std::string_view> linesOf(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const auto end = text.find('\n');
    lines.push_back(text.substr(0, end));
    text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
  }
  return lines;
}

/// Longest common subsequence by dynamic programming: manifests have a few hundred lines.
std::vector<Line> align(const std::vector<std::string_view>& before, const std::vector<std::string_view>& after) {
  const std::size_t rows = before.size(), columns = after.size();
  std::vector<std::vector<unsigned>> common(rows + 1, std::vector<unsigned>(columns + 1, 0));
  for (std::size_t i = rows; i-- > 0;)
    for (std::size_t j = columns; j-- > 0;)
      common[i][j] = before[i] == after[j] ? common[i + 1][j + 1] + 1 : std::max(common[i + 1][j], common[i][j + 1]);
  std::vector<Line> lines;
  std::size_t i = 0, j = 0;
  while (i < rows || j < columns) {
    if (i < rows && j < columns && before[i] == after[j]) {
      lines.push_back({' ', before[i]});
      ++i, ++j;
    } else if (i < rows && (j == columns || common[i + 1][j] >= common[i][j + 1])) {
      lines.push_back({'-', before[i++]});
    } else {
      lines.push_back({'+', after[j++]});
    }
  }
  return lines;
}

} // namespace

std::string lineDiff(std::string_view before, std::string_view after, std::size_t limit) {
  constexpr std::size_t context = 3;
  const auto lines = align(linesOf(before), linesOf(after));
  std::vector<bool> shown(lines.size(), false);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (lines[i].mark == ' ') continue;
    const auto first = i < context ? 0 : i - context;
    const auto last = std::min(lines.size(), i + context + 1);
    for (auto k = first; k < last; ++k) shown[k] = true;
  }
  std::string text;
  std::size_t count = 0;
  bool gap = false;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (!shown[i]) {
      gap = true;
      continue;
    }
    if (count == limit) return text + "...\n";
    if (gap && !text.empty()) text += "...\n";
    gap = false;
    text += lines[i].mark;
    text += lines[i].text;
    text += '\n';
    ++count;
  }
  return text;
}

} // namespace kubestrap::plan
