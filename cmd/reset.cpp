#include "cmd/commands.hpp"
#include "cmd/configuration_file.hpp"
#include "cmd/confirm.hpp"
#include "cmd/look.hpp"
#include "cmd/output.hpp"
#include "cmd/own_cluster.hpp"
#include "cmd/reset_cluster.hpp"
#include "cmd/reset_verify.hpp"
#include "cmd/workflow.hpp"

#include "config/v1beta4.hpp"
#include "phases/workflows.hpp"
#include "plan/leaving.hpp"
#include "support/log.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

namespace kubestrap::cmd {

namespace {

using config::v1beta4::ResetConfiguration;

struct ResetOptions {
  std::optional<std::string> configFile, certDir, criSocket, kubeconfig, drainTimeout;
  std::optional<std::vector<std::string>> ignorePreflightErrors, skipPhases;
  bool cleanupTmpDir = false, force = false, yes = false, dryRun = false, drain = false, verify = false, exitCode = false, cluster = false;
};

constexpr ConfigurationKind kind{"ResetConfiguration", "reset", "reset-defaults"};

/// Where the runtime is: as the kubelet was told, else the one that there is.
std::string socketOf(const ResetOptions& options, const ResetConfiguration& configuration, const config::Facts& facts, host::Host& host) {
  if (options.criSocket) return *options.criSocket;
  if (!configuration.criSocket.empty()) return configuration.criSocket;
  if (const auto told = recordedSocket(host)) return *told;
  if (facts.runtimeSockets.size() > 1)
    throw Error(fmt::format("this machine has {} container runtimes: {}", facts.runtimeSockets.size(), join(facts.runtimeSockets, ", ")),
                "say with --cri-socket which one the node uses", ExitCode::usage);
  return foundSocket(facts);
}

config::Setup setupOf(const ResetOptions& options, const ResetConfiguration& configuration, const config::Facts& facts) {
  config::Setup setup;
  setup.node.name = lower(facts.hostname);
  setup.node.controlPlane = false;
  auto& request = setup.request;
  // A cluster that is being left is not waited for long: it may be gone.
  request.timeouts.kubernetesAPICall = std::chrono::seconds(10);
  request.timeouts.etcdAPICall = std::chrono::seconds(20);
  request.skipPhases = options.skipPhases.value_or(configuration.skipPhases);
  request.ignorePreflightErrors = configuration.ignorePreflightErrors;
  for (const auto& name : options.ignorePreflightErrors.value_or(std::vector<std::string>{})) request.ignorePreflightErrors.push_back(name);
  auto& known = request.resetting;
  known.force = options.force || configuration.force;
  known.cleanupTmpDir = options.cleanupTmpDir || configuration.cleanupTmpDir;
  known.unmountFlags = configuration.unmountFlags;
  if (options.certDir) known.certificatesDir = *options.certDir;
  else if (!configuration.certificatesDir.empty()) known.certificatesDir = configuration.certificatesDir;
  setup.cluster.pki.folder = known.certificatesDir;
  if (options.kubeconfig) known.kubeconfig = std::filesystem::absolute(*options.kubeconfig);
  if (options.drain || options.drainTimeout) {
    known.drain = parseDuration(options.drainTimeout.value_or("5m"));
  }
  return setup;
}

/// kubeadm's question, with what is at stake.
void confirm(const config::Setup& setup) {
  const auto& known = setup.request.resetting;
  fmt::print(stderr, "This takes {} {} out of its cluster and removes everything that made it a node{}.\n",
             setup.node.controlPlane ? "the control plane" : "the worker", setup.node.name, known.etcdPeerUrl.empty() && !setup.node.controlPlane ? "" : ", etcd's data too");
  confirmOrEnd();
}

void tellResult(const config::Setup& setup, const plan::Outcome& outcome, const std::vector<std::string>& otherNodes, const ResetOptions& options) {
  if (const auto as = format(globals()); as != Format::text) {
    auto document = result(options.dryRun ? "ResetPlan" : "ResetResult");
    document["changed"] = outcome.changed();
    document["node"] = {{"name", setup.node.name}, {"role", setup.node.controlPlane ? "control-plane" : "worker"}};
    if (options.cluster) document["steps"] = otherNodes;
    document["changes"] = changesAsValue(outcome);
    document["warnings"] = outcome.warnings;
    printResult(document, as);
    return;
  }
  if (options.dryRun) return;
  if (!setup.request.resetting.isNode) fmt::print("This machine is no node: there was nothing to do.\n");
  else if (setup.request.resetting.journal) fmt::print("This machine is no node any more. What may be left of it: kubestrap reset --verify\n");
  else fmt::print("This machine is no node any more. The pod network's configuration (/etc/cni/net.d), its interfaces and rules were left: "
                  "nobody has recorded whose they are.\n");
}

ExitCode runReset(ResetOptions options, const std::optional<std::string>& onlyPhase) {
  Machine machine(globals().rootfs);
  if (options.verify) return verifyReset(machine);
  std::vector<std::string> otherNodes;
  if (options.cluster) {
    otherNodes = resetOtherNodes({.kubeconfig = options.kubeconfig, .dryRun = options.dryRun, .force = options.force, .yes = options.yes}, machine);
    options.force = true; // this is the last one, as was wished
    if (options.dryRun && format(globals()) == Format::text)
      for (const auto& step : otherNodes) fmt::print("{}\n", step);
  }
  const auto facts = look(machine, Judging::no);
  std::vector<std::string> warnings;
  const auto configuration = configurationIn<ResetConfiguration>(options.configFile, kind, machine, warnings);
  for (const auto& warning : warnings) log::warn(warning);
  options.dryRun = options.dryRun || configuration.dryRun;
  auto setup = setupOf(options, configuration, facts);
  machine.useRuntime(socketOf(options, configuration, facts, machine.host()));
  const auto lock = options.dryRun ? nullptr : machine.host().lock("reset");
  auto world = machine.world();
  plan::lookAtLeavingNode(setup, world);
  const plan::Selection selection{.only = onlyPhase, .skip = setup.request.skipPhases};
  plan::check(selection, phases::resetWorkflow());
  const auto runs = [&](std::string_view phase) {
    return selection.runs(phase) && std::ranges::find(selection.skip, phase) == selection.skip.end();
  };
  if (setup.request.resetting.isNode && (runs("preflight") || runs("drain") || runs("leave-cluster") || runs("remove-etcd-member"))) plan::lookAtClusterLeft(setup, world);
  if (setup.request.resetting.drain && (!setup.request.resetting.mayDeleteNode || !setup.request.resetting.unreachable.empty()))
    throw Error("pods cannot be moved away from here: " + (setup.request.resetting.unreachable.empty() ? "a worker's own credentials may not do it" : setup.request.resetting.unreachable),
                "give --kubeconfig with an administrator's file, or leave out --drain");
  if (runs("preflight") && setup.request.resetting.isNode && !options.dryRun && !options.yes && !setup.request.resetting.force) confirm(setup);
  const auto mode = options.dryRun ? plan::Mode::plan : plan::Mode::apply;
  const auto reporter = reporterFor(mode);
  const auto outcome = plan::run(phases::resetWorkflow(), selection, setup, facts, world, mode, *reporter,
                                 onlyPhase ? "reset phase " + *onlyPhase : "reset");
  tellResult(setup, outcome, otherNodes, options);
  return options.exitCode && outcome.changed() ? ExitCode::differs : ExitCode::done;
}

std::vector<Flag> resetFlags(ResetOptions& options) {
  return {
      {.name = "cert-dir", .into = &options.certDir, .doc = "The folder of the certificates", .value = "DIR", .standard = "/etc/kubernetes/pki"},
      {.name = "cleanup-tmp-dir", .into = &options.cleanupTmpDir, .doc = "Empty /etc/kubernetes/tmp as well, where kubeadm keeps copies"},
      {.name = "cluster", .into = &options.cluster, .doc = "Reset every other node first: the cluster ends"},
      {.name = "config", .into = &options.configFile, .doc = "A file with a ResetConfiguration of kubeadm.k8s.io/v1beta4; - is standard input", .value = "FILE"},
      {.name = "cri-socket", .into = &options.criSocket, .doc = "The socket of the container runtime", .value = "URL", .standard = "as the kubelet was told"},
      {.name = "drain", .into = &options.drain, .doc = "First move the pods that may move to other nodes"},
      {.name = "drain-timeout", .into = &options.drainTimeout, .doc = "How long that may take", .value = "DURATION", .standard = "5m"},
      {.name = "dry-run", .into = &options.dryRun, .doc = "Show what would be done, and touch nothing; the cluster is only read"},
      {.name = "exit-code", .into = &options.exitCode, .doc = "End with 4 when something was, or with --dry-run would be, changed"},
      {.name = "force", .into = &options.force, .doc = "Do not ask, and go on where the cluster would end with this node", .letter = 'f'},
      {.name = "ignore-preflight-errors", .into = &options.ignorePreflightErrors, .doc = "Checks whose errors count as warnings; all for every one",
       .value = "NAME,..."},
      kubeconfigFlag(options.kubeconfig, "With which the cluster is told"),
      {.name = "skip-phases", .into = &options.skipPhases, .doc = "Phases to leave out", .value = "PHASE,..."},
      {.name = "verify", .into = &options.verify,
       .doc = "Change nothing: compare the machine with what it was before init or join, and end with 4 when something is left"},
      {.name = "yes", .into = &options.yes, .doc = "Do not ask", .letter = 'y'},
  };
}

} // namespace

Command resetCommand() {
  const auto options = std::make_shared<ResetOptions>();
  const auto& workflow = phases::resetWorkflow();
  const auto phaseFlags = [options](const std::string&) { return resetFlags(*options); };
  const auto runPhase = [options](const auto&, const std::string& phase) { return runReset(*options, phase); };
  return {.name = "reset",
          .summary = std::string(workflow.summary),
          .description = std::string(workflow.summary) +
                         ": tells the cluster, stops what runs, removes what kubestrap recorded as made, puts back what it replaced. On a machine that "
                         "kubeadm made a node it goes by the well-known paths. It is safe to run again, and needs no cluster that answers.",
          .details = [] { return phaseTable(phases::resetWorkflow()); },
          .flags = [options] { return resetFlags(*options); },
          .run = [options](const auto&) { return runReset(*options, std::nullopt); },
          .children = {phaseCommands(workflow, {phaseFlags, runPhase})}};
}

} // namespace kubestrap::cmd
