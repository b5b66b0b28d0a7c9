#pragma once

#include <span>
#include <string>
#include <string_view>

namespace kubestrap::nodes {

/// One word of a POSIX shell that stands for exactly this text, whatever is in it.
std::string shellWord(std::string_view word);
/// A line on which these are the words.
std::string commandLine(std::span<const std::string> words);

} // namespace kubestrap::nodes
