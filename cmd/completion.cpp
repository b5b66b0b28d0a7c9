#include "cmd/commands.hpp"
#include "cmd/complete.hpp"

#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::cmd {

namespace {

// Each script asks the program itself what may stand at the cursor, so that it never grows old.

constexpr std::string_view bashScript = R"(# bash completion of kubestrap. For this shell: source <(kubestrap completion bash)
# For every shell: kubestrap completion bash >/etc/bash_completion.d/kubestrap
_kubestrap() {
  local line paths=
  COMPREPLY=()
  while IFS= read -r line; do
    case $line in
      :*) paths=$line ;;
      *) COMPREPLY+=("${line%%$'\t'*}") ;;
    esac
  done < <("${COMP_WORDS[0]}" __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
  case $paths in
    :files) compopt -o default 2>/dev/null ;;
    :folders) compopt -o dirnames 2>/dev/null ;;
  esac
}
complete -F _kubestrap kubestrap
)";

constexpr std::string_view zshScript = R"(#compdef kubestrap
# zsh completion of kubestrap. For this shell: source <(kubestrap completion zsh)
# For every shell: kubestrap completion zsh >"${fpath[1]}/_kubestrap"
_kubestrap() {
  local line paths=
  local -a described
  while IFS= read -r line; do
    case $line in
      :*) paths=$line ;;
      *) described+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}") ;;
    esac
  done < <("${words[1]}" __complete "${(@)words[2,CURRENT]}" 2>/dev/null)
  case $paths in
    :files) _files ;;
    :folders) _files -/ ;;
    *) _describe kubestrap described ;;
  esac
}
if [[ ${funcstack[1]} == _kubestrap ]]; then
  _kubestrap "$@"
else
  compdef _kubestrap kubestrap
fi
)";

constexpr std::string_view fishScript = R"(# fish completion of kubestrap. For this shell: kubestrap completion fish | source
# For every shell: kubestrap completion fish >~/.config/fish/completions/kubestrap.fish
function __kubestrap
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l program $words[1]
    set -e words[1]
    set -l answer ($program __complete $words "$current" 2>/dev/null)
    switch "$answer[-1]"
        case :files
            __fish_complete_path "$current"
        case :folders
            __fish_complete_directories "$current"
        case '*'
            set -e answer[-1]
            printf '%s\n' $answer
    end
end
complete -c kubestrap -f -a '(__kubestrap)'
)";

struct Shell {
  std::string_view name, script;
};
constexpr Shell shells[] = {{"bash", bashScript}, {"zsh", zshScript}, {"fish", fishScript}};

std::vector<std::string> shellNames() {
  std::vector<std::string> names;
  for (const auto& shell : shells) names.emplace_back(shell.name);
  return names;
}

ExitCode printScript(const std::vector<std::string>& arguments) {
  if (arguments.size() != 1) throw Error("one shell has to be named", fmt::format("{}", fmt::join(shellNames(), ", ")), ExitCode::usage);
  const auto shell = std::ranges::find(shells, arguments[0], &Shell::name);
  if (shell == std::end(shells))
    throw Error(fmt::format("there is no completion for {}", arguments[0]), fmt::format("{}", fmt::join(shellNames(), ", ")), ExitCode::usage);
  fmt::print("{}", shell->script);
  return ExitCode::done;
}

} // namespace

Command completionCommand() {
  return {.name = "completion",
          .summary = "Print the script with which a shell completes kubestrap's command line",
          .description = "Prints the script with which bash, zsh or fish completes kubestrap's command line. Its first lines say where it goes.",
          .arguments = "bash|zsh|fish",
          .run = printScript,
          .choices = shellNames()};
}

} // namespace kubestrap::cmd
