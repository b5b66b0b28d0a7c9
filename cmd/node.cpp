// What pods do on the machine of their node (manifests/node_op.hpp).
#include "cmd/commands.hpp"

#include "host/enter.hpp"

namespace kubestrap::cmd {

Command nodeCommand() {
  Command enter{.name = "enter",
                .summary = "Run a program of the machine from within a pod",
                .arguments = "-- PROGRAM [ARGUMENT...]",
                .run = [](const std::vector<std::string>& arguments) -> ExitCode {
                  if (arguments.empty()) throw Error("there is no program", "name one after --", ExitCode::usage);
                  host::becomeOnMachine(arguments);
                }};
  return {.name = "node", .summary = "What runs in pods of kubestrap's for a node", .children = {std::move(enter)}, .shown = Command::Shown::hidden};
}

} // namespace kubestrap::cmd
