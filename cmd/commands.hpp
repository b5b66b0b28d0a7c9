#pragma once

#include "cmd/command.hpp"

namespace kubestrap::cmd {

// One file per command; each gives its node of the command tree.
Command initCommand();
/// init with a configuration file, as recover does it.
ExitCode initFrom(const std::string& configFile, const std::vector<std::string>& ignorePreflightErrors);
Command joinCommand();
Command resetCommand();
Command upgradeCommand();
Command statusCommand();
Command doctorCommand();
Command rescueCommand();
Command repairCommand();
Command etcdCommand();
Command backupCommand();
/// addons plan, apply, status and remove.
Command addonsCommand();
/// bundle create, inspect, verify, keygen, diff, delta and load.
Command bundleCommand();
/// cluster plan, apply, status, destroy, inventory and cloud-init.
Command clusterCommand();
Command cloudInitCommand();
Command recoverCommand();
Command configCommand();
Command preflightCommand();
Command tokenCommand();
Command versionCommand();
Command certsCommand();
/// What cfssl's users know: gencert, sign, selfsign, genkey, print-defaults, cfssljson.
std::vector<Command> cfsslCommands();
Command certsStatusCommand();
Command renewCommand();
Command rotateCommand();
/// requests and generate-csr.
std::vector<Command> requestCommands();
Command importCommand();
Command autoRenewCommand();
Command autoApproveCommand();
Command approveCommand();
/// certinfo and bundle-verify.
std::vector<Command> certinfoCommands();
/// kubeconfig user and create.
Command kubeconfigCommand();
Command completionCommand();
Command frontCommand();
Command vipCommand();
Command guardCommand();
/// What pods do on the machine of their node.
Command nodeCommand();
/// What cluster apply does with the labels of a Node.
Command labelNodeCommand();
/// And with its taints.
Command taintNodeCommand();
/// What certs rotate-ca does there.
Command rotateOnNodeCommand();
/// What convert does there.
Command convertOnNodeCommand();
/// `node roll-etcd`, by which an upgrade reaches etcd on other nodes.
Command rollEtcdOnNodeCommand();
/// What reconfigure does there.
Command reconfigureOnNodeCommand();
/// `node upgrade-worker`, by which `upgrade workers` reaches a worker.
Command upgradeWorkerOnNodeCommand();
/// From one layout to the other.
Command convertCommand();
/// Of node as well: another address, another machine.
Command readdressCommand();
Command replaceCommand();
/// pivot and unpivot.
std::vector<Command> pivotCommands();
Command reconfigureCommand();

/// The whole tree below "kubestrap".
Command rootCommand();

} // namespace kubestrap::cmd
