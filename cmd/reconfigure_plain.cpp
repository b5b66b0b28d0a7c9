// Other settings of a control plane of static pods: of the node on which they are said, and then of each further one by what the cluster keeps.
#include "cmd/confirm.hpp"
#include "cmd/look.hpp"
#include "cmd/operation.hpp"
#include "cmd/output.hpp"
#include "cmd/own_cluster.hpp"
#include "cmd/reconfigure_wish.hpp"
#include "cmd/roll.hpp"
#include "cmd/upgrade.hpp"
#include "cmd/wishes.hpp"
#include "cmd/workflow.hpp"

#include "config/audit.hpp"
#include "config/patches.hpp"
#include "config/store.hpp"
#include "manifests/components.hpp"
#include "manifests/hosted.hpp"
#include "phases/node.hpp"
#include "phases/replaced_pods.hpp"
#include "phases/upgrade.hpp"
#include "phases/workflows.hpp"
#include "plan/upgrading.hpp"
#include "support/log.hpp"
#include "support/text.hpp"
#include "support/yaml.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::cmd {

namespace {

/// Keys move in steps that all API servers take together, and here each node is changed by itself.
void refuseMovesOfKeys(const config::Cluster& present, const config::Cluster& wanted, bool rotates) {
  const bool byArguments = config::encryptsByArguments(wanted) != config::encryptsByArguments(present) && (present.kubestrap.encryption || wanted.kubestrap.encryption);
  if (present.kubestrap.encryption == wanted.kubestrap.encryption && !rotates && !byArguments) return;
  throw Error("security.encryptionAtRest cannot come, go or change on plain control planes: its keys take several steps, each of which all API servers take before the next",
              "kubestrap convert --to hosted and kubestrap pivot make a control plane where it can (docs/convert.md, docs/pivot.md)", ExitCode::refused);
}

/// What the cluster keeps is of its version, and this node may have another one.
void refuseWhileUpgrading(const config::Setup& setup, host::Host& host) {
  const auto goesOn = [](std::string_view what, std::string_view remedy) { throw Error(fmt::format("other settings have to wait: {}", what), std::string(remedy), ExitCode::refused); };
  if (const auto kept = host.read(phases::upgradeConfiguration)) {
    for (const auto& document : parseYaml(*kept, phases::upgradeConfiguration.string()))
      if (const auto version = stringAt(document.value, "kubernetesVersion"); !version.empty() && version != setup.cluster.version.tag())
        goesOn(fmt::format("an upgrade, or other settings, were stopped on this node at {}, and the cluster is at {}", version, setup.cluster.version.tag()), upgradeThatGoesOn(version, setup.cluster.version));
  }
  const auto former = setup.request.upgrading.manifests.find("kube-apiserver");
  if (former == setup.request.upgrading.manifests.end()) return;
  const auto has = manifests::tagOf(phases::imageIn(former->second, "kube-apiserver")), wanted = manifests::tagOf(phases::wantedImage(setup, "kube-apiserver"));
  if (has != wanted)
    goesOn(fmt::format("the API server of this node has, or had when an upgrade was stopped, the version {}, and the cluster is at {}", has, wanted),
           "first kubestrap upgrade node; an image that a patch names needs the same --patches here");
}

/// It goes with the API server where it comes from elsewhere. Another version of it is an upgrade's.
bool changesEtcd(const config::Setup& setup, host::Host& host) {
  if (!setup.cluster.etcd.isLocal()) return false;
  const auto wanted = phases::wantedImage(setup, "etcd");
  const auto differs = [&](const std::optional<std::string>& manifest) {
    const auto has = manifest ? phases::imageIn(*manifest, "etcd") : "";
    return !has.empty() && has != wanted && manifests::tagOf(has) == manifests::tagOf(wanted);
  };
  const auto former = setup.request.upgrading.manifests.find("etcd");
  return differs(host.read(manifests::manifestPath(manifests::component("etcd")))) || (former != setup.request.upgrading.manifests.end() && differs(former->second));
}

/// The names that this node was to let go, and has not yet.
void takeNotice(config::Setup& setup) {
  auto& going = setup.request.reconfiguring.goingNames;
  for (const auto& node : setup.request.upgrading.nodes) {
    if (node.name != setup.node.name || !node.settingsFollow) continue;
    for (auto& name : split(*node.settingsFollow, ','))
      if (!name.empty() && std::ranges::find(setup.cluster.apiServerCertSANs, name) == setup.cluster.apiServerCertSANs.end()) going.push_back(std::move(name));
  }
}

/// One reconfiguration of this node.
class PlainReconfiguration {
public:
  /// Without a wish by what the cluster keeps.
  PlainReconfiguration(const ReconfigureFlags& flags, bool wishes, Machine& machine)
      : machine_(machine), workflow_(wishes ? phases::reconfigureWorkflow() : phases::reconfigureNodeWorkflow()) {
    auto& host = machine.host();
    const auto kubeconfig = flags.kubeconfig ? config::Path(std::filesystem::absolute(*flags.kubeconfig)) : config::paths::adminConf;
    const auto own = ownDocuments(kubeconfig, machine);
    const auto present = clusterOf(own.documents);
    if (manifests::isHosted(present))
      throw Error("this node is a plain control plane, and the cluster's configuration says hosted", "kubestrap convert, where it was begun, goes on", ExitCode::refused);
    setup_.cluster = wishes ? wantedCluster(flags, own.documents, machine, "reconfigure") : present;
    refuseMovesOfKeys(present, setup_.cluster, flags.rotatesKey);
    setup_.node = ownNode(machine, setup_.cluster);
    facts_ = look(machine, Judging::yes);
    completeNode(setup_.node, facts_, host, setup_.cluster);
    takeWishes(setup_.cluster.pki, host);
    takeRequest(flags, own, present);
    lookAround();
  }

  RollPlan plan() {
    auto world = machine_.world();
    const auto outcome = plan::run(workflow_, {.only = {}, .skip = {"backup", "post-reconfigure"}}, setup_, facts_, world, plan::Mode::plan, *plan::silentReporter(), name());
    return {.steps = stepsOf(outcome), .outcome = outcome};
  }

  std::vector<std::string> perform() {
    const auto reporter = reporterFor(plan::Mode::apply);
    const auto lock = machine_.host().lock(name());
    auto world = machine_.world();
    return stepsOf(plan::run(workflow_, {}, setup_, facts_, world, plan::Mode::apply, *reporter, name()));
  }

  /// Other control planes that have not been given what the cluster keeps.
  std::vector<std::string> following() {
    auto world = machine_.world();
    plan::lookForOthers(setup_, phases::asAdmin(setup_), world);
    std::vector<std::string> names;
    for (const auto& node : setup_.request.upgrading.nodes)
      if (node.settingsFollow && node.name != setup_.node.name) names.push_back(node.name);
    return names;
  }

  const std::string& node() const { return setup_.node.name; }

private:
  std::string name() const { return std::string(workflow_.command); }

  void takeRequest(const ReconfigureFlags& flags, const OwnDocuments& own, const config::Cluster& present) {
    auto& request = setup_.request;
    if (flags.kubeconfig) request.kubeconfig = std::filesystem::absolute(*flags.kubeconfig);
    std::vector<std::string> warnings;
    if (flags.patches) {
      request.patchesDirectory = std::filesystem::absolute(*flags.patches).string();
      request.patches = readPatches(machine_.host(), request.patchesDirectory, warnings);
    }
    for (const auto& warning : warnings) log::warn(warning);
    const auto &before = present.images, &after = setup_.cluster.images;
    request.reconfiguring = {.goingNames = goingNames(present, setup_.cluster),
                             .formerNames = present.apiServerCertSANs,
                             .addons = before.coreDns != after.coreDns || before.proxy != after.proxy || present.dnsDisabled != setup_.cluster.dnsDisabled,
                             .stores = isStoredOtherwise(present, setup_.cluster)};
    auto& upgrading = request.upgrading;
    upgrading.renewsCertificates = false;
    upgrading.from = present.version;
    upgrading.goesOn = machine_.host().status(phases::upgradeConfiguration).has_value();
    upgrading.manifests = formerManifests(machine_.host());
    std::vector<Value> documents;
    for (const auto& document : own.documents) documents.push_back(document.value);
    upgrading.configuration = emitYamlStream(documents);
    refuseWhileUpgrading(setup_, machine_.host());
    upgrading.upgradesEtcd = changesEtcd(setup_, machine_.host());
  }

  void lookAround() {
    lookFurther(facts_, phases::Purpose::joinControlPlane, setup_, machine_, machine_.useRuntime(setup_.node.criSocket));
    auto world = machine_.world();
    plan::lookAtControlPlanes(setup_, phases::etcdAccessOf(setup_.cluster, phases::asAdmin(setup_)), world);
    auto& members = setup_.request.upgrading.etcd.members;
    if (members.empty()) members = phases::etcdMembersIn(machine_.host().read(phases::upgradeEtcdMembers).value_or(""));
    takeNotice(setup_);
    refuseWithoutAuthority(setup_, setup_.request.reconfiguring.goingNames, machine_);
  }

  /// What is, or was, done; not what is looked at, waited for, or kept for the way back.
  std::vector<std::string> stepsOf(const plan::Outcome& outcome) const {
    std::vector<std::string> steps;
    for (const auto& [phase, change] : outcome.changes) {
      if (!change.changes() || change.verb == plan::Verb::wait || phase == "backup" || phase == "post-reconfigure") continue;
      steps.push_back(fmt::format("{}: {}{}", setup_.node.name, change.subject, change.reason.empty() ? "" : fmt::format(" ({})", change.reason)));
    }
    return steps;
  }

  Machine& machine_;
  const plan::Workflow& workflow_;
  config::Setup setup_;
  config::Facts facts_;
};

std::string follow(const std::vector<std::string>& names) {
  return names.empty() ? "" : fmt::format("; on {}, one after the other: kubestrap reconfigure node", join(names, ", "));
}

void printPlan(const RollPlan& plan, std::FILE* out) {
  const auto reporter = plan::textReporter(out, globals().verbosity.value_or(0));
  for (const auto& [phase, change] : plan.outcome.changes) reporter->planned(phase, change);
  if (plan.steps.empty()) fmt::print(out, "nothing to do\n");
}

Value documentOf(std::string_view kind, const std::vector<std::string>& steps, const std::vector<std::string>& following) {
  auto document = result(kind);
  document["changed"] = !steps.empty();
  document["steps"] = stepsAsValue(steps);
  document["following"] = following;
  return document;
}

ExitCode tellPlan(const RollPlan& plan, PlainReconfiguration& reconfiguration, bool exitCode) {
  if (const auto as = format(globals()); as != Format::text) {
    auto document = documentOf("OperationPlan", plan.steps, reconfiguration.following());
    document["changes"] = changesWithDiffs(plan.outcome);
    printResult(document, as);
  } else printPlan(plan, stdout);
  return exitCode && !plan.steps.empty() ? ExitCode::differs : ExitCode::done;
}

ExitCode tellDone(const std::vector<std::string>& steps, PlainReconfiguration& reconfiguration, bool exitCode) {
  const auto following = reconfiguration.following();
  if (const auto as = format(globals()); as != Format::text) printResult(documentOf("OperationResult", steps, following), as);
  else fmt::print(stderr, "the control plane of {} runs with these settings{}\n", reconfiguration.node(), follow(following));
  return exitCode && !steps.empty() ? ExitCode::differs : ExitCode::done;
}

} // namespace

ExitCode reconfigurePlain(const ReconfigureFlags& flags, Machine& machine) {
  PlainReconfiguration reconfiguration(flags, true, machine);
  if (flags.dryRun) return tellPlan(reconfiguration.plan(), reconfiguration, flags.exitCode);
  if (!flags.yes)
    if (const auto plan = reconfiguration.plan(); !plan.steps.empty()) {
      printPlan(plan, stderr);
      fmt::print(stderr, "A component whose manifest differs is away for some seconds, on this node.\n");
      confirmOrEnd();
    }
  return tellDone(reconfiguration.perform(), reconfiguration, flags.exitCode);
}

ExitCode reconfigurePlainNode(const ReconfigureFlags& flags, Machine& machine) {
  PlainReconfiguration reconfiguration(flags, false, machine);
  if (flags.dryRun) return tellPlan(reconfiguration.plan(), reconfiguration, flags.exitCode);
  return tellDone(reconfiguration.perform(), reconfiguration, flags.exitCode);
}

} // namespace kubestrap::cmd
