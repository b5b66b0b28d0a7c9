// reconfigure: other settings of a control plane that runs in its own cluster; and what its pods do on the machine of their node.
#include "cmd/commands.hpp"
#include "cmd/confirm.hpp"
#include "cmd/node_look.hpp"
#include "cmd/operation.hpp"
#include "cmd/output.hpp"
#include "cmd/own_cluster.hpp"
#include "cmd/reconfigure_look.hpp"
#include "cmd/reconfigure_wish.hpp"
#include "cmd/roll.hpp"
#include "cmd/roll_look.hpp"
#include "cmd/rotation_look.hpp"
#include "cmd/sealed_look.hpp"
#include "cmd/wishes.hpp"
#include "cmd/workflow.hpp"

#include "config/audit.hpp"
#include "config/load.hpp"
#include "config/store.hpp"
#include "config/v1alpha1.hpp"
#include "manifests/security.hpp"
#include "phases/certificates.hpp"
#include "phases/node.hpp"
#include "phases/workflows.hpp"
#include "plan/encryption.hpp"
#include "plan/on_node.hpp"
#include "support/encoding.hpp"
#include "support/log.hpp"
#include "support/text.hpp"
#include "support/yaml.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>

namespace kubestrap::cmd {

namespace {

namespace reconfigure = phases::reconfigure;
using phases::reconfigure::Task;

RollOptions rollOptions(const ReconfigureFlags& flags) { return {.kubeconfig = flags.kubeconfig, .patches = flags.patches}; }

// ---- what is wished

/// Of keys that the operator has made kubestrap knows nothing, and API servers go by one file.
void refuseTwoKindsOfKeys(const config::Cluster& present, const config::Cluster& wanted, host::Host& host) {
  const bool before = config::encryptsByArguments(present), after = config::encryptsByArguments(wanted);
  if ((before && wanted.kubestrap.encryption) || (after && present.kubestrap.encryption))
    throw Error("what is encrypted by encryption-provider-config of apiServer.extraArgs cannot be read by security.encryptionAtRest, nor the other way round",
                "first without either, when nothing is encrypted any more; then with the other one", ExitCode::refused);
  if (after && !before) refuseLeftKeys(present, host, "encryption-provider-config");
}

void refuseUnknownResources(const config::Cluster& wanted, kube::Client& client) {
  if (!wanted.kubestrap.encryption) return;
  const auto unknown = plan::unknownResources(client, wanted.kubestrap.encryption->resources);
  if (unknown.empty()) return;
  throw Error(fmt::format("security.encryptionAtRest.resources: the API server does not have {}, or does not let it be written", fmt::join(unknown, ", ")),
              "plurals, outside the core group with their group, as kubectl api-resources shows them", ExitCode::refused);
}

/// Whether other nodes have to be asked how their files are.
bool concernsFiles(const config::Cluster& present, const config::Cluster& wanted) {
  return present.apiServerCertSANs != wanted.apiServerCertSANs || auditPolicyOf(present) != auditPolicyOf(wanted) || present.kubestrap.encryption || wanted.kubestrap.encryption;
}

// ---- the driver

/// One reconfiguration as the machine that drives sees it.
class Reconfiguration {
public:
  Reconfiguration(const ReconfigureFlags& options, Machine& machine)
      : machine_(machine), cluster_(hostedControlPlane("reconfigure", options.kubeconfig, machine)), watched_(machine.clock()) {
    auto wanted = wantedCluster(options, storedDocuments(cluster_.client), machine, "a roll");
    const auto& present = cluster_.setup.cluster;
    if (present.kubestrap.encryption != wanted.kubestrap.encryption) refuseUnknownResources(wanted, cluster_.client);
    refuseTwoKindsOfKeys(present, wanted, machine.host());
    intent_.keysByHand = config::encryptsByArguments(present) || config::encryptsByArguments(wanted);
    asksOthers_ = concernsFiles(present, wanted);
    intent_.goingNames = goingNames(present, wanted);
    intent_.encryption = {.encryption = wanted.kubestrap.encryption, .rotates = options.rotatesKey, .secret = Secret(base64(machine.random()(32)))};
    takeWishes(wanted.pki, machine.host());
    intent_.roll = rollIntent("reconfigure", cluster_, std::move(wanted), rollOptions(options), machine);
    intent_.nodes = {.access = cluster_.access, .image = intent_.roll.setup.request.ownImage};
    machine.useRuntime(foundSocket({}));
    refuseWithoutAuthority(intent_.roll.setup, intent_.goingNames, machine);
  }

  const ControlPlane& cluster() const { return cluster_; }

  reconfigure::Seen look(plan::Reporter& asking) {
    reconfigure::Seen seen{.roll = lookAtRoll(cluster_.client, intent_.roll.setup.cluster, machine_.clock().now(), watched_), .nodes = {}, .keys = keysHere(intent_.roll.setup.cluster, machine_.host())};
    askApiServers(intent_.roll, reachedWith(cluster_.access, machine_), watched_, seen.roll);
    seen.nodes.push_back(here());
    asksOthers_ = asksOthers_ || reconfigure::hasKeys(intent_, seen);
    if (asksOthers_)
      for (const auto& node : seen.roll.controlPlane.nodes)
        if (node.name != seen.nodes.front().name && node.ready) seen.nodes.push_back(there(node.name, asking));
    rotated_ = rotated_ || (seen.keys && phases::encryption::rotates(*seen.keys));
    seen.rotated = rotated_;
    seen.storedBy = storedBy_;
    seen.joinsWait = joinsWait(cluster_.client);
    seen.uploadedCerts = asksOthers_ && cluster_.client.get({"v1", "Secret", "kube-system", "kubeadm-certs"}).has_value();
    if (asksOthers_)
      for (const auto& node : seen.nodes)
        if (cluster_.client.get({"v1", "Secret", "kube-system", reconfigure::secretOf(node.name)})) seen.carriers.push_back(node.name);
    return seen;
  }

  /// The next step. What was done by the last one is seen, but for objects that were written anew.
  plan::Next next(plan::Reporter& asking) {
    if (!storing_.empty()) storedBy_ = std::exchange(storing_, {});
    const auto seen = look(asking);
    if (!failure_) failure_ = phases::roll::failureIn(intent_.roll, seen.roll);
    auto coming = reconfigure::next(intent_, failure_, seen);
    if (const auto* step = std::get_if<plan::Step>(&coming)) {
      known_.erase(step->name.substr(0, step->name.find(':')));
      if (phases::roll::takesEffect(*step)) known_.clear();
      if (reconfigure::storesAnew(*step)) storing_ = phases::encryption::writer(*seen.keys);
    }
    return coming;
  }

  /// What will be another, and by which steps.
  RollPlan plan() {
    intent_.planning = true;
    auto seen = look(*reporterFor(plan::Mode::apply));
    intent_.planning = false;
    seen.roll = phases::roll::seenOnce(std::move(seen.roll));
    const auto silent = plan::silentReporter();
    auto world = machine_.world();
    RollPlan plan;
    for (const auto& node : seen.nodes)
      for (const auto& change : files_[node.name].changes) plan.outcome.changes.push_back(change);
    for (auto& change : plan::planAll(phases::roll::changes(intent_.roll, seen.roll), "roll", world, *silent).changes) plan.outcome.changes.push_back(std::move(change));
    plan.steps = stepsPlanned([&] { return reconfigure::next(intent_, {}, seen); },
                              [&](const plan::Next& done) { seen = reconfigure::assumed(intent_, std::move(seen), done); });
    return plan;
  }

private:
  reconfigure::NodeSeen here() {
    const auto& name = intent_.roll.setup.node.name;
    return known(name, [&] {
      auto world = machine_.world();
      return lookAtFiles(intent_.roll.setup, intent_.goingNames, world, *plan::silentReporter());
    });
  }

  reconfigure::NodeSeen there(const std::string& name, plan::Reporter& asking) {
    return known(name, [&] {
      auto world = machine_.world();
      auto seen = parseFilesReport(name, plan::runOnNode(reconfigure::runOn(intent_, name, Task::look, "how its files are"), world, asking));
      seen.node.receiver = receiverOf(name, seen.node.receiver, intent_.roll.setup.cluster, machine_.host());
      return seen;
    });
  }

  /// Looked at anew only after something has been done there.
  reconfigure::NodeSeen known(const std::string& name, const std::function<FilesSeen()>& look) {
    auto found = known_.find(name);
    if (found == known_.end()) {
      auto seen = look();
      found = known_.emplace(name, seen.node).first;
      files_[name] = std::move(seen.changes);
    }
    return found->second;
  }

  Machine& machine_;
  ControlPlane cluster_;
  Watched watched_;
  reconfigure::Intent intent_;
  bool asksOthers_ = false, rotated_ = false;
  std::string storing_, storedBy_; ///< by what objects are, and were, written anew
  std::optional<phases::roll::Failure> failure_;
  std::map<std::string, reconfigure::NodeSeen> known_; ///< until something is done there
  std::map<std::string, plan::Outcome> files_;         ///< what would be changed there
};

ExitCode tellPlan(const RollPlan& plan, bool exitCode) {
  if (const auto as = format(globals()); as != Format::text) {
    auto document = result("OperationPlan");
    document["changed"] = !plan.steps.empty();
    document["steps"] = stepsAsValue(plan.steps);
    document["changes"] = changesWithDiffs(plan.outcome);
    printResult(document, as);
  } else tellRoll(plan, stdout);
  return exitCode && !plan.steps.empty() ? ExitCode::differs : ExitCode::done;
}

/// A plain control plane, also one whose API server's manifest was away when a run was stopped.
bool runsStaticPods(host::Host& host) { return isControlPlane(host) && !host.status(config::paths::nodeState); }

ExitCode runReconfigure(const ReconfigureFlags& options) {
  if (options.file.empty() && !options.rotatesKey) throw Error("there is no file", "name one with --filename", ExitCode::usage);
  if (options.file == "-" && !options.dryRun && !options.yes)
    throw Error("standard input is the file, and cannot answer whether it is to be done", "--yes does it without asking, --dry-run shows it", ExitCode::usage);
  Machine machine(globals().rootfs);
  refuseWhileRotating(machine.host(), "reconfigure");
  if (runsStaticPods(machine.host())) return reconfigurePlain(options, machine);
  Reconfiguration reconfiguration(options, machine);
  if (options.dryRun) return tellPlan(reconfiguration.plan(), options.exitCode);
  if (!options.yes)
    if (const auto plan = reconfiguration.plan(); !plan.steps.empty()) {
      tellRoll(plan, stderr);
      confirmOrEnd();
    }
  const auto& cluster = reconfiguration.cluster();
  const auto steps = stepsPerformed({.name = "reconfigure", .access = cluster.access, .holder = cluster.setup.node.name, .next = {},
                                     .nextByAsking = [&](plan::Reporter& asking) { return reconfiguration.next(asking); }},
                                    machine);
  return tellPerformed(steps, "the control plane runs with these settings", options.exitCode);
}

ExitCode runReconfigureNode(const ReconfigureFlags& options) {
  Machine machine(globals().rootfs);
  if (!isControlPlane(machine.host())) throw Error("this machine is no control plane of a cluster", "run it on a plain control plane node");
  if (!runsStaticPods(machine.host()))
    throw Error("this control plane is hosted: its settings come to all nodes at once", "kubestrap reconfigure -f FILE, on any control plane node", ExitCode::refused);
  refuseWhileRotating(machine.host(), "reconfigure node");
  return reconfigurePlainNode(options, machine);
}

// ---- on the machine of another node

struct NodeReconfigureOptions {
  std::string task{reconfigure::name(Task::look)}, cluster;
  std::vector<std::string> goingNames;
};

config::Setup setupHere(const NodeReconfigureOptions& options, Machine& machine) {
  auto setup = ownControlPlane({}, machine).setup;
  setup.cluster = config::clusterFromText(fromBase64(options.cluster).value_or(""), "--cluster");
  takeWishes(setup.cluster.pki, machine.host());
  lookAtFront(setup, machine.host());
  return setup;
}

/// What API servers encrypt with, as it was sealed for this node (decision D24).
plan::File keysThatCame(const config::Setup& setup, Machine& machine) {
  auto cluster = ownControlPlane({}, machine);
  const auto name = reconfigure::secretOf(setup.node.name);
  const auto text = opened(cluster.client, name, reconfigure::keysMember, setup.cluster, machine.host());
  if (!text) throw Error(fmt::format("the keys have not come (Secret kube-system/{})", name), "kubestrap reconfigure, where it is driven from, sends them");
  const auto file = manifests::encryptionFile(setup.cluster);
  phases::encryption::parse(text->reveal(), file.string());
  return {.path = file, .content = text->reveal(), .mode = 0600, .secrecy = plan::Secrecy::secret};
}

plan::Resources workOf(Task task, const config::Setup& setup, const NodeReconfigureOptions& options, Machine& machine) {
  switch (task) {
  case Task::look: return {};
  case Task::files: return reconfigure::onNode(setup, options.goingNames);
  case Task::takeKeys: return {keysThatCame(setup, machine)};
  case Task::loadKeys: return {reconfigure::encryptsByItsFile(setup)};
  case Task::forgetKeys:
    if (const auto keys = keysHere(setup.cluster, machine.host())) return reconfigure::forgotten(setup, *keys);
    return {};
  }
  return {};
}

ExitCode reconfigureHere(const NodeReconfigureOptions& options) {
  const auto task = reconfigure::parseTask(options.task);
  if (!task) throw Error("there is no task " + options.task, {}, ExitCode::usage);
  Machine machine(globals().rootfs);
  machine.useRuntime(foundSocket({}));
  const auto setup = setupHere(options, machine);
  auto world = machine.world();
  if (*task == Task::look) {
    fmt::print("{}\n", reportOf(lookAtFiles(setup, options.goingNames, world, *plan::silentReporter())));
    return ExitCode::done;
  }
  const auto lock = machine.host().lock("reconfigure");
  const auto reporter = reporterFor(plan::Mode::apply);
  plan::enactAll(workOf(*task, setup, options, machine), options.task, "reconfigure", world, *reporter);
  return ExitCode::done;
}

} // namespace

Command reconfigureOnNodeCommand() {
  const auto options = std::make_shared<NodeReconfigureOptions>();
  const auto flags = [options]() -> std::vector<Flag> {
    return {{.name = "task", .into = &options->task, .doc = "What is to be done", .value = "TASK"},
            {.name = "cluster", .into = &options->cluster, .doc = "The cluster's configuration as it shall be, in base64", .value = "TEXT"},
            {.name = "going-name", .into = &options->goingNames, .doc = "A name that the API server's certificate is not to have any more", .value = "NAME"}};
  };
  return {.name = "reconfigure",
          .summary = "What reconfigure does on another node",
          .flags = flags,
          .run = [options](const auto&) { return reconfigureHere(*options); },
          .shown = Command::Shown::hidden};
}

namespace {

Command furtherNodeCommand(const std::shared_ptr<ReconfigureFlags>& options) {
  const auto flags = [options]() -> std::vector<Flag> {
    return {{.name = "patches", .into = &options->patches, .doc = "The folder of patches that the control plane was made with", .value = "FOLDER"},
            kubeconfigFlag(options->kubeconfig),
            {.name = "dry-run", .into = &options->dryRun, .doc = "Only show what would be changed"},
            {.name = "exit-code", .into = &options->exitCode, .doc = "End with 4 when something was, or would be, changed"}};
  };
  return {.name = "node",
          .summary = std::string(phases::reconfigureNodeWorkflow().summary),
          .description = "Run it on each further plain control plane, after kubestrap reconfigure -f FILE on one of them. Those that are begun at once take turns. What does not get ready "
                         "goes back. It is safe to run again, and does nothing where nothing is to be done.",
          .details = [] { return phaseTable(phases::reconfigureNodeWorkflow()); },
          .flags = flags,
          .run = [options](const auto&) { return runReconfigureNode(*options); }};
}

} // namespace

Command reconfigureCommand() {
  const auto options = std::make_shared<ReconfigureFlags>();
  const auto flags = [options]() -> std::vector<Flag> {
    return {{.name = "filename", .into = &options->file, .doc = "The documents as they shall be; - is standard input", .letter = 'f', .value = "FILE"},
            {.name = "patches", .into = &options->patches, .doc = "The folder of patches that the control plane was made with", .value = "FOLDER"},
            kubeconfigFlag(options->kubeconfig),
            {.name = "merge", .into = &options->merges, .doc = "What the documents leave out stays as it is, instead of being taken away; a list is taken as a whole"},
            {.name = "rotate-encryption-key", .into = &options->rotatesKey, .doc = "Encrypt with another key, and write everything anew by it"},
            {.name = "dry-run", .into = &options->dryRun, .doc = "Only show what would be changed, and by which steps"},
            {.name = "exit-code", .into = &options->exitCode, .doc = "End with 4 when something was, or would be, changed"},
            {.name = "yes", .into = &options->yes, .doc = "Do not ask", .letter = 'y'}};
  };
  return {.name = "reconfigure",
          .summary = "Give a control plane other settings",
          .description = "Takes a file as init takes it, with other arguments, environment or volumes of API server, controller-manager or scheduler, or other names for the API "
                         "server's certificate in its ClusterConfiguration, or an audit log or encryption at rest in its KubestrapConfiguration. Shows what will be changed and asks. "
                         "In its own cluster each node tries the new command lines first; then files are brought to each control plane node, and one component after the other gets a new revision, "
                         "which runs beside the one before it until it serves. No request fails on the way. On a plain control plane this node's static pods are replaced one by one, and the "
                         "other nodes follow with kubestrap reconfigure node. What does not get ready goes back by itself. It is safe to run again.",
          .flags = flags,
          .run = [=](const auto&) { return runReconfigure(*options); },
          .children = {furtherNodeCommand(options)}};
}

} // namespace kubestrap::cmd
