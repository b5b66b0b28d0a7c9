#pragma once
// cmd/ is the command line: flags in, a call to a workflow, rendering out. A command is data (name, flags, what to run), so that
// parsing, help, suggestions and completion come from one place; decisions belong below.

#include "support/error.hpp"

#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace kubestrap::cmd {

/// Where a flag's value goes; its type is the flag's. An absent flag leaves the place as it is.
using Into = std::variant<bool*, std::optional<bool>*, std::optional<std::string>*, std::string*, std::optional<int>*,
                          std::optional<std::vector<std::string>>*, std::vector<std::string>*>;

struct Flag {
  std::string name;    ///< "node-name"
  Into into;
  std::string doc;     ///< a sentence
  char letter = 0;     ///< 'o'
  std::string value;   ///< what help calls the value: "NAME"; empty for switches
  std::string standard; ///< the default, for help only
  enum class Shown { yes, hidden } shown = Shown::yes;
  std::vector<std::string> choices = {}; ///< the values that there are, or the parts of a list; empty: any
};

/// Flags are made when their command is chosen: a hundred commands with all their texts would cost a start its milliseconds.
using Flags = std::function<std::vector<Flag>()>;

struct Command {
  std::string name;
  std::string summary;     ///< a line, for the list of the parent
  std::string description; ///< for its own help; may be empty
  std::function<std::string()> details; ///< printed as it is after the description; may be empty
  Flags flags;             ///< empty: none of its own
  std::string arguments;   ///< "TOKEN [TOKEN...]" for help; empty: takes none
  std::function<ExitCode(const std::vector<std::string>& arguments)> run; ///< empty: a group that prints its help
  std::vector<Command> children;
  std::vector<std::string> aliases;
  std::vector<std::string> choices; ///< what an argument may be, for completion
  std::string furtherFormat; ///< a value of --output besides those of every command
  enum class Shown { yes, hidden } shown = Shown::yes;
  enum class Dashes { two, oneOrTwo } dashes = Dashes::two; ///< one: long flags are also taken as Go has them, "-profile=www"
};

/// Runs what argv asks for. Prints errors with their contexts and hint on standard error, once, and gives the exit code.
ExitCode dispatch(Command& root, int argc, const char* const* argv);

/// The help of a command whose full name is `path` ("kubestrap init phase certs").
std::string help(const Command& command, const std::string& path, const std::vector<Flag>& global);

} // namespace kubestrap::cmd
