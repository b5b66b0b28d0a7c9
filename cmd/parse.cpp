// The only file that knows CLI11.
#include "cmd/command.hpp"
#include "cmd/complete.hpp"
#include "cmd/globals.hpp"

#include "support/log.hpp"
#include "support/text.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <system_error>

#include <algorithm>
#include <cstdio>
#include <ranges>

namespace kubestrap::cmd {

namespace {

/// CLI11 takes an argument that has the name of a command further up for that command ("certs print-defaults config"). Such arguments
/// carry this mark through it.
constexpr char kArgument = '\x01';

std::string optionName(const Flag& flag) {
  if (flag.name == "v") return "-v,--v";
  return flag.letter ? fmt::format("-{},--{}", flag.letter, flag.name) : "--" + flag.name;
}

template <typename... Each> struct overloaded : Each... {
  using Each::operator()...;
};
template <typename... Each> overloaded(Each...) -> overloaded<Each...>;

void addFlag(CLI::App& app, const Flag& flag) {
  const auto name = optionName(flag);
  CLI::Option* option = std::visit(
      overloaded{[&](bool* into) { return app.add_flag(name, *into); },
                 [&](std::optional<bool>* into) {
                   return app.add_flag_function(name, [into](std::int64_t count) { *into = count > 0; });
                 },
                 [&](std::optional<std::string>* into) { return app.add_option(name, *into); },
                 [&](std::string* into) { return app.add_option(name, *into); },
                 [&](std::optional<int>* into) { return app.add_option(name, *into); },
                 [&](std::optional<std::vector<std::string>>* into) {
                   return app.add_option_function<std::vector<std::string>>(
                                 name, [into](const std::vector<std::string>& values) { *into = values; })
                       ->delimiter(',')
                       ->allow_extra_args(false)
                       ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
                 },
                 [&](std::vector<std::string>* into) {
                   return app.add_option(name, *into)->delimiter(',')->allow_extra_args(false)->multi_option_policy(
                       CLI::MultiOptionPolicy::TakeAll);
                 }},
      flag.into);
  const bool list = std::holds_alternative<std::vector<std::string>*>(flag.into) ||
                    std::holds_alternative<std::optional<std::vector<std::string>>*>(flag.into);
  if (!list) option->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
}

/// What parsing leaves behind: the command that was meant, its path, and its positional arguments.
struct Chosen {
  const Command* command = nullptr;
  std::string path;
  std::vector<std::string> arguments;
};

/// Declares a command's flags, and its children by name only: a child is built when parsing comes to it.
void build(CLI::App& app, const Command& command, const std::vector<Flag>& global) {
  app.set_help_flag();
  app.allow_extras();
  for (const auto& flag : global) addFlag(app, flag);
  if (command.flags)
    for (const auto& flag : command.flags()) addFlag(app, flag);
  for (const auto& child : command.children) {
    auto* sub = app.add_subcommand(child.name);
    for (const auto& alias : child.aliases) sub->alias(alias);
    sub->preparse_callback([sub, &child, &global](std::size_t) { build(*sub, child, global); });
  }
}

std::vector<std::string> flagNames(const Command& command, const std::vector<Flag>& global) {
  std::vector<std::string> names;
  for (const auto& flag : global) names.push_back("--" + flag.name);
  if (command.flags)
    for (const auto& flag : command.flags()) names.push_back("--" + flag.name);
  return names;
}

[[noreturn]] void refuse(const std::string& message, const std::string& near, const std::string& path) {
  throw Error(message, near.empty() ? fmt::format("see: {} --help", path) : fmt::format("did you mean {}?", near), ExitCode::usage);
}

/// Walks to the deepest sub-command that CLI11 saw, and judges what it left over.
Chosen choose(const CLI::App& app, const Command& root, const std::vector<Flag>& global) {
  Chosen chosen{.command = &root, .path = root.name};
  const CLI::App* at = &app;
  for (;;) {
    const auto taken = at->get_subcommands();
    if (taken.empty()) break;
    const auto next = std::find_if(chosen.command->children.begin(), chosen.command->children.end(),
                                   [&](const Command& child) { return child.name == taken.front()->get_name(); });
    chosen.command = &*next;
    chosen.path += " " + next->name;
    at = taken.front();
  }
  for (const auto& extra : at->remaining()) {
    if (extra.size() > 1 && extra[0] == '-') {
      refuse(fmt::format("{} has no flag {}", chosen.path, extra.substr(0, extra.find('='))),
             nearest(extra.substr(0, extra.find('=')), flagNames(*chosen.command, global)), chosen.path);
    } else {
      chosen.arguments.push_back(extra.starts_with(kArgument) ? extra.substr(1) : extra);
    }
  }
  if (globals().help) return chosen;
  if (!chosen.arguments.empty() && (!chosen.command->run || chosen.command->arguments.empty())) {
    std::vector<std::string> names;
    for (const auto& child : chosen.command->children) names.push_back(child.name);
    refuse(chosen.command->children.empty() ? fmt::format("{} takes no argument, but was given {}", chosen.path, chosen.arguments[0])
                                            : fmt::format("{} has no command {}", chosen.path, chosen.arguments[0]),
           nearest(chosen.arguments[0], names), chosen.path);
  }
  return chosen;
}

/// The command below `at` of that name, or `at` itself.
const Command* descend(const Command* at, std::string_view word) {
  for (const auto& child : at->children)
    if (child.name == word || std::ranges::find(child.aliases, word) != child.aliases.end()) return &child;
  return at;
}

bool isCommand(const Command& root, std::string_view word) {
  return descend(&root, word) != &root || std::ranges::any_of(root.children, [&](const Command& child) { return descend(&child, word) != &child; });
}

bool hasFlag(const Command& command, std::string_view name) {
  if (!command.flags) return false;
  const auto flags = command.flags();
  return std::ranges::find(flags, name, &Flag::name) != flags.end();
}

/// Whether the next word is this one's value: a flag that is no switch, with no value of its own.
bool awaitsValue(const std::string& word, const Command& command, const std::vector<Flag>& global) {
  if (word.size() < 2 || word[0] != '-' || word.find('=') != std::string::npos) return false;
  const auto is = [&](const Flag& flag) {
    const bool named = word == "--" + flag.name || (flag.letter && word == std::string{'-', flag.letter}) || (flag.name == "v" && word == "-v");
    return named && !std::holds_alternative<bool*>(flag.into) && !std::holds_alternative<std::optional<bool>*>(flag.into);
  };
  return std::ranges::any_of(global, is) || (command.flags && std::ranges::any_of(command.flags(), is));
}

/// Habits of klog and pflag that CLI11 does not have: "-v=5", "--flag=", underscores in flag names, "--help" anywhere; and Go's own, one
/// dash before a long name, for the commands that stand for a program of Go's.
std::vector<std::string> normalised(const Command& root, const std::vector<Flag>& global, int argc, const char* const* argv) {
  std::vector<std::string> arguments;
  const Command* command = &root;
  bool literal = false; // after "--"
  for (int i = 1; i < argc; ++i) {
    std::string argument = argv[i];
    if (literal || argument == "--") {
      literal = true;
      arguments.push_back(argument);
      continue;
    }
    const bool isWord = !argument.starts_with('-') && (arguments.empty() || !awaitsValue(arguments.back(), *command, global));
    if (isWord && command->children.empty() && isCommand(root, argument)) argument.insert(0, 1, kArgument);
    if (isWord) command = descend(command, argument);
    if (command->dashes == Command::Dashes::oneOrTwo && argument.size() > 2 && argument[0] == '-' && argument[1] != '-' &&
        (argument[2] != '=' || hasFlag(*command, argument.substr(1, 1))))
      argument.insert(0, 1, '-');
    if (argument.starts_with("-v=")) argument = "--v=" + argument.substr(3);
    if (argument.starts_with("--")) {
      const auto equals = argument.find('=');
      auto name = argument.substr(0, equals);
      std::replace(name.begin(), name.end(), '_', '-');
      argument = name + (equals == std::string::npos ? "" : argument.substr(equals));
      if (equals != std::string::npos && equals + 1 == argument.size()) {
        arguments.push_back(name);
        arguments.emplace_back();
        continue;
      }
    }
    arguments.push_back(argument);
  }
  return arguments;
}

void print(const Error& error) {
  std::string text;
  if (const auto* problems = dynamic_cast<const Problems*>(&error)) {
    text = fmt::format("error: {} problem{}\n", problems->list().size(), problems->list().size() == 1 ? "" : "s");
    constexpr std::size_t enough = 100; // a file with more is not mended line by line
    for (const auto& problem : problems->list() | std::views::take(enough)) {
      text += "  " + describe(problem) + "\n";
      if (!problem.remedy.empty()) text += "    try: " + problem.remedy + "\n";
    }
    if (problems->list().size() > enough) text += fmt::format("  and {} more\n", problems->list().size() - enough);
  } else {
    text = fmt::format("error: {}\n", error.message());
  }
  for (const auto& context : error.contexts()) text += fmt::format("  while {}\n", context);
  if (!error.hint().empty()) text += fmt::format("  try: {}\n", error.hint());
  fmt::print(stderr, "{}", text);
}

ExitCode parseAndRun(Command& root, int argc, const char* const* argv) {
  const auto global = globalFlags(globals());
  if (argc > 1 && argv[1] == completeCommand) {
    fmt::print("{}", text(complete(root, {argv + 2, argv + argc}, global)));
    return ExitCode::done;
  }
  CLI::App app(root.summary, root.name);
  build(app, root, global);
  auto arguments = normalised(root, global, argc, argv);
  std::reverse(arguments.begin(), arguments.end()); // as CLI11 wants a vector
  try {
    app.parse(arguments);
  } catch (const CLI::ParseError& error) {
    throw Error(lower(std::string_view(error.what()).substr(0, 1)) + std::string(error.what()).substr(1), "see --help", ExitCode::usage);
  }
  const auto chosen = choose(app, root, global);
  if (globals().help || !chosen.command->run) {
    fmt::print("{}", help(*chosen.command, chosen.path, global));
    return ExitCode::done;
  }
  log::setLevel(globals().verbosity.value_or(0));
  if (const auto& further = chosen.command->furtherFormat; further.empty() || further != globals().output)
    (void)format(globals()); // refuses an unknown one before anything is done
  return chosen.command->run(chosen.arguments);
}

} // namespace

namespace {

/// Without this a result that nobody got would be called done: a key, too.
void checkOutput() {
  errno = 0;
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return;
  throw Error(fmt::format("what was asked for could not be written to standard output: {}", std::strerror(errno == 0 ? EIO : errno)), "it is lost: run the command again");
}

ExitCode runAndCheckOutput(Command& root, int argc, const char* const* argv) {
  try {
    const auto code = parseAndRun(root, argc, argv);
    checkOutput();
    return code;
  } catch (const std::system_error&) { // fmt's, of a long output
    checkOutput();
    throw;
  }
}

} // namespace

ExitCode dispatch(Command& root, int argc, const char* const* argv) {
  try {
    return runAndCheckOutput(root, argc, argv);
  } catch (const Interrupted&) {
    fmt::print(stderr, "interrupted: what is done is kept, and the same command goes on from here\n");
    return ExitCode::interrupted;
  } catch (const Error& error) {
    print(error);
    return error.exitCode();
  } catch (const std::exception& error) {
    fmt::print(stderr, "error: {}\n", error.what());
    return ExitCode::failed;
  }
}

} // namespace kubestrap::cmd
