#include "cmd/commands.hpp"

namespace kubestrap::cmd {

Command rootCommand() {
  return {.name = "kubestrap",
          .summary = "Bootstrap and keep a Kubernetes control plane on your own machines",
          .description = "kubestrap makes a Kubernetes cluster on your own machines: certificates, control plane, tokens, addons. "
                         "On the first machine: kubestrap init. Every command says with --help what it does, and init says with "
                         "--dry-run what it would do.",
          .children = {initCommand(), preflightCommand(), tokenCommand(), configCommand(), certsCommand(), completionCommand(),
                       versionCommand()}};
}

} // namespace kubestrap::cmd
