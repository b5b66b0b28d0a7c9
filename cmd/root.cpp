#include "cmd/commands.hpp"

namespace kubestrap::cmd {

Command rootCommand() {
  Command root{.name = "kubestrap",
               .summary = "Bootstrap and keep a Kubernetes control plane on your own machines",
               .description = "kubestrap makes a Kubernetes cluster on your own machines: certificates, control plane, tokens, addons. "
                         "On the first machine: kubestrap init; on each further one: kubestrap join; what is no node any more: kubestrap reset. "
                         "Every command says with --help what it does, and init and join say with --dry-run what they would do.",
               .children = {initCommand(), joinCommand(), resetCommand(), upgradeCommand(), statusCommand(), doctorCommand(), rescueCommand(), repairCommand(), etcdCommand(),
                       addonsCommand(), backupCommand(), bundleCommand(), clusterCommand(), recoverCommand(), preflightCommand(), tokenCommand(), configCommand(), certsCommand(), kubeconfigCommand(), completionCommand(), frontCommand(), vipCommand(),
                       guardCommand(), nodeCommand(), versionCommand()}};
  auto further = pivotCommands();
  root.children.insert(root.children.begin() + 2, further.begin(), further.end());
  root.children.insert(root.children.begin() + 4, convertCommand());
  root.children.insert(root.children.begin() + 5, reconfigureCommand());
  return root;
}

} // namespace kubestrap::cmd
