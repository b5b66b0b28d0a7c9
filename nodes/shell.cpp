#include "nodes/shell.hpp"

#include "support/error.hpp"
#include "support/text.hpp"

#include <algorithm>
#include <vector>

namespace kubestrap::nodes {

namespace {

/// Means itself to every shell.
bool isPlain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || std::string_view("_-./:,@%+").find(c) != std::string_view::npos;
}

} // namespace

std::string shellWord(std::string_view word) {
  if (word.find('\0') != std::string_view::npos) throw Error("a word with a zero octet cannot be given to a shell");
  if (!word.empty() && std::ranges::all_of(word, isPlain)) return std::string(word);
  return "'" + replaceAll(std::string(word), "'", "'\\''") + "'";
}

std::string commandLine(std::span<const std::string> words) {
  std::vector<std::string> each;
  for (const auto& word : words) each.push_back(shellWord(word));
  return join(each, " ");
}

} // namespace kubestrap::nodes
