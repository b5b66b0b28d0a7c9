#include "cmd/complete.hpp"

#include <algorithm>

namespace kubestrap::cmd {

namespace {

using Paths = Candidates::Paths;

/// Offers what begins with the word being typed; `before` is what stands in front of it in the same word.
void offer(Candidates& candidates, const std::string& text, std::string_view typed, const std::string& doc, const std::string& before = {}) {
  if (text.starts_with(typed)) candidates.words.push_back({before + text, doc});
}

void offerValues(Candidates& candidates, const Flag& flag, std::string typed, std::string before = {}) {
  if (flag.value == "FILE") candidates.paths = Paths::files;
  if (flag.value == "DIR") candidates.paths = Paths::folders;
  if (const auto comma = typed.rfind(','); comma != std::string::npos && flag.value.ends_with(",...")) {
    before += typed.substr(0, comma + 1);
    typed.erase(0, comma + 1);
  }
  for (const auto& choice : flag.choices) offer(candidates, choice, typed, flag.doc, before);
}

/// Where the words before the last one lead to.
struct Reached {
  const Command* command;
  std::vector<Flag> flags; ///< its own, then those of every command
  const Flag* pending = nullptr; ///< takes the next word as its value
  bool literal = false; ///< after "--"
};

class Walk {
public:
  Walk(const Command& root, const std::vector<Flag>& global) : global_(&global) { enter(root); }

  void pass(const std::string& word) {
    if (word == "=" && reached_.pending) return;
    if (reached_.pending) {
      reached_.pending = nullptr;
    } else if (word == "--") {
      reached_.literal = true;
    } else if (word.starts_with('-') && !reached_.literal) {
      const auto* flag = find(word);
      if (flag && !flag->value.empty() && word.find('=') == std::string::npos) reached_.pending = flag;
    } else if (const auto child = std::ranges::find_if(reached_.command->children, [&](const Command& each) {
                 return each.name == word || std::ranges::find(each.aliases, word) != each.aliases.end();
               });
               child != reached_.command->children.end()) {
      enter(*child);
    }
  }

  const Flag* find(const std::string& word) const {
    const auto name = word.substr(0, word.find('='));
    const auto found = std::ranges::find_if(reached_.flags, [&](const Flag& flag) {
      return name == "--" + flag.name || (flag.letter && name == std::string("-") + flag.letter) || (flag.name == "v" && name == "-v");
    });
    return found == reached_.flags.end() ? nullptr : &*found;
  }

  const Reached& reached() const { return reached_; }

private:
  void enter(const Command& command) {
    reached_ = {.command = &command, .flags = command.flags ? command.flags() : std::vector<Flag>{}};
    reached_.flags.insert(reached_.flags.end(), global_->begin(), global_->end());
  }

  const std::vector<Flag>* global_;
  Reached reached_{};
};

} // namespace

Candidates complete(const Command& root, const std::vector<std::string>& words, const std::vector<Flag>& global) {
  Walk walk(root, global);
  for (std::size_t i = 0; i + 1 < words.size(); ++i) walk.pass(words[i]);
  const std::string typed = words.empty() ? "" : words.back();
  const auto& reached = walk.reached();
  Candidates candidates;
  if (reached.pending) {
    offerValues(candidates, *reached.pending, typed == "=" ? "" : typed);
  } else if (typed.starts_with('-') && !reached.literal) {
    const auto equals = typed.find('=');
    if (equals == std::string::npos) {
      for (const auto& flag : reached.flags)
        if (flag.shown == Flag::Shown::yes) offer(candidates, "--" + flag.name, typed, flag.doc);
    } else if (const auto* flag = walk.find(typed)) {
      offerValues(candidates, *flag, typed.substr(equals + 1), typed.substr(0, equals + 1));
    }
  } else {
    if (!reached.literal)
      for (const auto& child : reached.command->children)
        if (child.shown == Command::Shown::yes) offer(candidates, child.name, typed, child.summary);
    for (const auto& choice : reached.command->choices) offer(candidates, choice, typed, reached.command->summary);
  }
  return candidates;
}

std::string text(const Candidates& candidates) {
  std::string lines;
  for (const auto& word : candidates.words) lines += word.text + "\t" + word.doc + "\n";
  return lines + (candidates.paths == Paths::files ? ":files\n" : candidates.paths == Paths::folders ? ":folders\n" : ":none\n");
}

} // namespace kubestrap::cmd
