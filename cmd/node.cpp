// What pods do on the machine of their node (manifests/node_op.hpp).
#include "cmd/commands.hpp"

#include "host/enter.hpp"
#include "support/yaml.hpp"

namespace kubestrap::cmd {

Command nodeCommand() {
  Command enter{.name = "enter",
                .summary = "Run a program of the machine from within a pod",
                .arguments = "WORDS", // a list as JSON: flags in it are not ours
                .run = [](const std::vector<std::string>& arguments) -> ExitCode {
                  if (arguments.size() != 1) throw Error("a program's words are wanted as one list in JSON", {}, ExitCode::usage);
                  host::becomeOnMachine(parseJson(arguments[0], "the list of words").get<std::vector<std::string>>());
                }};
  return {.name = "node", .summary = "What runs in pods of kubestrap's for a node", .children = {std::move(enter)}, .shown = Command::Shown::hidden};
}

} // namespace kubestrap::cmd
