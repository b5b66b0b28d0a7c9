#pragma once

#include "cmd/command.hpp"

#include <string>
#include <vector>

namespace kubestrap::cmd {

/// What a shell may offer for the word that is being typed.
struct Candidates {
  struct Word {
    std::string text, doc;
  };
  std::vector<Word> words;
  enum class Paths { none, files, folders } paths = Paths::none; ///< also, or only, paths of this machine
};

/// `words` is the command line after the program's name; the last one is being typed and may be empty. A word "=" parts a flag from its
/// value, as bash has it.
Candidates complete(const Command& root, const std::vector<std::string>& words, const std::vector<Flag>& global);

/// The answer to the scripts of `completion`: a line "word<TAB>doc" for each candidate, and at last ":none", ":files" or ":folders".
std::string text(const Candidates& candidates);

/// The first argument with which those scripts ask.
inline constexpr std::string_view completeCommand = "__complete";

} // namespace kubestrap::cmd
