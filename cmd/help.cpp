#include "cmd/command.hpp"

#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::cmd {

namespace {

constexpr std::size_t kWidth = 100;

std::string wrapped(std::string_view text, std::size_t indent) {
  std::string lines;
  std::size_t column = indent;
  for (const auto& word : split(text, ' ')) {
    if (column != indent && column + word.size() + 1 > kWidth) {
      lines += '\n' + std::string(indent, ' ');
      column = indent;
    } else if (column != indent) {
      lines += ' ';
      ++column;
    }
    lines += word;
    column += word.size();
  }
  return lines;
}

std::string flagTitle(const Flag& flag) {
  if (flag.name == "v") return fmt::format("  -v, --v {}", flag.value);
  return fmt::format("  {}--{}{}", flag.letter ? fmt::format("-{}, ", flag.letter) : "    ", flag.name,
                     flag.value.empty() ? "" : " " + flag.value);
}

std::string flagList(const std::vector<Flag>& flags) {
  std::size_t width = 0;
  for (const auto& flag : flags)
    if (flag.shown == Flag::Shown::yes) width = std::max(width, flagTitle(flag).size());
  width = std::min<std::size_t>(width, 38);
  std::string text;
  for (const auto& flag : flags) {
    if (flag.shown == Flag::Shown::hidden) continue;
    const auto title = flagTitle(flag);
    const auto doc = flag.standard.empty() ? flag.doc : fmt::format("{} (default {})", flag.doc, flag.standard);
    text += title.size() > width ? title + '\n' + std::string(width + 2, ' ') : fmt::format("{:<{}}  ", title, width);
    text += wrapped(doc, width + 2) + '\n';
  }
  return text;
}

} // namespace

std::string help(const Command& command, const std::string& path, const std::vector<Flag>& global) {
  auto text = wrapped(command.description.empty() ? command.summary + "." : command.description, 0) + "\n";
  if (command.details) text += "\n" + command.details();
  text += "\nUsage:\n";
  if (command.run) text += fmt::format("  {}{} [flags]\n", path, command.arguments.empty() ? "" : " " + command.arguments);
  if (!command.children.empty()) text += fmt::format("  {} COMMAND\n", path);
  const auto shown = [](const Command& child) { return child.shown == Command::Shown::yes; };
  if (std::any_of(command.children.begin(), command.children.end(), shown)) {
    std::size_t width = 0;
    for (const auto& child : command.children) width = std::max(width, child.name.size());
    text += "\nCommands:\n";
    for (const auto& child : command.children)
      if (shown(child)) text += fmt::format("  {:<{}}  {}\n", child.name, width, wrapped(child.summary, width + 4));
  }
  if (const auto flags = command.flags ? flagList(command.flags()) : ""; !flags.empty()) text += "\nFlags:\n" + flags;
  text += "\nGlobal flags:\n" + flagList(global);
  if (!command.children.empty()) text += fmt::format("\nMore about a command: {} COMMAND --help\n", path);
  return text;
}

} // namespace kubestrap::cmd
