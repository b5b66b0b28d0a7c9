#include "support/text.hpp"

#include <algorithm>
#include <array>

namespace kubestrap {

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  if (text.empty()) return parts;
  for (std::size_t start = 0;;) {
    auto end = text.find(separator, start);
    parts.emplace_back(text.substr(start, end == text.npos ? end : end - start));
    if (end == text.npos) return parts;
    start = end + 1;
  }
}

std::vector<std::string> words(std::string_view line) {
  constexpr std::string_view space = " \t\r\n\v\f";
  std::vector<std::string> result;
  for (auto begin = line.find_first_not_of(space); begin != std::string_view::npos;) {
    auto end = std::min(line.find_first_of(space, begin), line.size());
    result.emplace_back(line.substr(begin, end - begin));
    begin = line.find_first_not_of(space, end);
  }
  return result;
}

std::string join(std::span<const std::string> parts, std::string_view separator) {
  std::string text;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) text += separator;
    text += parts[i];
  }
  return text;
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view whiteSpace = " \t\r\n\v\f";
  auto start = text.find_first_not_of(whiteSpace);
  if (start == text.npos) return {};
  return text.substr(start, text.find_last_not_of(whiteSpace) - start + 1);
}

std::string lastLine(std::string_view text) {
  std::string last;
  for (const auto& line : split(text, '\n'))
    if (const auto trimmed = trim(line); !trimmed.empty()) last = trimmed;
  return last;
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return result;
}

std::string replaceAll(std::string text, std::string_view from, std::string_view to) {
  if (from.empty() || text.find(from) == text.npos) return text;
  std::string result;
  std::size_t begin = 0;
  for (auto at = text.find(from); at != text.npos; at = text.find(from, begin)) {
    result.append(text, begin, at - begin).append(to);
    begin = at + from.size();
  }
  return result.append(text, begin);
}

namespace {
/// Insertions, deletions, substitutions and swaps of neighbours count one each ("inti" is one away from "init").
std::size_t editDistance(std::string_view a, std::string_view b) {
  std::array<std::vector<std::size_t>, 3> rows; // the last three rows of the usual table: i, i - 1, i - 2
  for (auto& row : rows) row.assign(b.size() + 1, 0);
  auto &current = rows[0], &previous = rows[1], &beforePrevious = rows[2];
  for (std::size_t j = 0; j <= b.size(); ++j) current[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    beforePrevious.swap(previous);
    previous.swap(current);
    current[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      current[j] = std::min({previous[j] + 1, current[j - 1] + 1, previous[j - 1] + (a[i - 1] == b[j - 1] ? 0U : 1U)});
      bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) current[j] = std::min(current[j], beforePrevious[j - 2] + 1);
    }
  }
  return current[b.size()];
}
} // namespace

std::string nearest(std::string_view word, std::span<const std::string> candidates) {
  std::string best;
  std::size_t limit = word.size() / 3, bestDistance = limit + 1;
  for (const auto& candidate : candidates) {
    const auto longer = std::max(word.size(), candidate.size()), shorter = std::min(word.size(), candidate.size());
    if (longer - shorter >= bestDistance) continue; // at least so many letters differ
    auto distance = editDistance(lower(word), lower(candidate)); // a slip of the shift key is no distance at all
    if (distance < bestDistance) best = candidate, bestDistance = distance;
  }
  return best;
}

namespace {
bool isAlphanumeric(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

bool isLabel(std::string_view text) {
  return !text.empty() && isAlphanumeric(text.front()) && isAlphanumeric(text.back()) &&
         std::all_of(text.begin(), text.end(), [](char c) { return isAlphanumeric(c) || c == '-'; });
}
} // namespace

bool isDns1123Label(std::string_view text) { return text.size() <= 63 && isLabel(text); }

bool isDns1123Subdomain(std::string_view text) {
  if (text.empty() || text.size() > 253) return false;
  auto labels = split(text, '.');
  return std::all_of(labels.begin(), labels.end(), isLabel); // Kubernetes does not limit the single label here
}

bool isWildcardDns1123Subdomain(std::string_view text) {
  return text.size() <= 253 && text.starts_with("*.") && isDns1123Subdomain(text.substr(2));
}

namespace {
std::size_t width(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}
} // namespace

std::string table(const std::vector<std::vector<std::string>>& rows) {
  constexpr std::size_t gap = 3; // kubectl's
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width(row[i]));
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      line.append(widths[i] - width(row[i]) + gap, ' ');
    }
    line.resize(line.find_last_not_of(' ') + 1); // npos + 1 is 0
    text += line + '\n';
  }
  return text;
}

} // namespace kubestrap
