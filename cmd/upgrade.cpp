#include "cmd/upgrade.hpp"
#include "cmd/commands.hpp"
#include "cmd/confirm.hpp"
#include "cmd/kubelet_install.hpp"
#include "cmd/look.hpp"
#include "cmd/operation.hpp"
#include "cmd/output.hpp"
#include "cmd/own_cluster.hpp"
#include "cmd/roll.hpp"
#include "cmd/rotation_look.hpp"
#include "cmd/saved_plan.hpp"
#include "cmd/status_look.hpp"
#include "cmd/status_text.hpp"
#include "cmd/workflow.hpp"

#include "config/store.hpp"
#include "config/versions.hpp"
#include "manifests/components.hpp"
#include "manifests/hosted.hpp"
#include "phases/node.hpp"
#include "phases/upgrade.hpp"
#include "phases/workflows.hpp"
#include "plan/gap.hpp"
#include "plan/upgrading.hpp"
#include "support/log.hpp"
#include "support/text.hpp"
#include "support/yaml.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

namespace kubestrap::cmd {

namespace {

// ---- what is told

/// "kube-apiserver" on "n1": from one version to another.
struct ComponentStep {
  std::string name, node, now, then;
};

std::vector<ComponentStep> stepsOf(const config::Setup& setup) {
  const auto& images = setup.cluster.images;
  const std::pair<const char*, std::string> wanted[] = {{"etcd", manifests::tagOf(images.etcd)},
                                                        {"kube-apiserver", manifests::tagOf(images.apiServer)},
                                                        {"kube-controller-manager", manifests::tagOf(images.controllerManager)},
                                                        {"kube-scheduler", manifests::tagOf(images.scheduler)}};
  std::vector<ComponentStep> steps;
  for (const auto& node : setup.request.upgrading.nodes) {
    for (const auto& [name, then] : wanted)
      if (const auto now = node.versions.find(name); now != node.versions.end()) steps.push_back({name, node.name, now->second, then});
    steps.push_back({"kubelet", node.name, node.kubelet, setup.cluster.version.tag()});
  }
  return steps;
}

void printSteps(const std::vector<ComponentStep>& steps) {
  std::vector<std::vector<std::string>> rows{{"COMPONENT", "NODE", "NOW", "THEN"}};
  for (const auto& step : steps) rows.push_back({step.name, step.node, step.now, step.then});
  fmt::print("{}", table(rows));
}

void printFindings(const plan::Findings& findings) {
  for (const auto& each : findings)
    fmt::print("{} {}: {}\n{}", nameOf(each.severity), each.check, each.evidence, each.remedy.empty() ? "" : fmt::format("    try: {}\n", each.remedy));
}

Value asValue(const plan::Findings& findings) {
  Value list = Value::array();
  for (const auto& each : findings) list.push_back(findingAsValue(each));
  return list;
}

/// A result of that kind, with the versions in it.
Value resultOf(std::string_view kind, const config::Setup& setup) {
  auto value = result(kind);
  value.update({{"from", setup.request.upgrading.from.tag()}, {"to", setup.cluster.version.tag()}});
  value["reachable"] = Value::array();
  for (const auto& row : config::supportedMinors())
    if (const auto minor = setup.request.upgrading.from.minor; row.minor == minor || row.minor == minor + 1) value["reachable"].push_back(row.defaultPatch);
  return value;
}

Value nodeAsValue(const config::Setup& setup) { return {{"name", setup.node.name}, {"role", setup.node.controlPlane ? "control-plane" : "worker"}}; }

Value asValue(const std::vector<ComponentStep>& steps) {
  Value list = Value::array();
  for (const auto& step : steps) list.push_back({{"name", step.name}, {"node", step.node}, {"currentVersion", step.now}, {"newVersion", step.then}});
  return list;
}

Value asValue(const plan::GapMeter::Gap& gap) {
  const auto seconds = [](Duration duration) { return static_cast<double>(duration / std::chrono::milliseconds(1)) / 1000; };
  return {{"requests", gap.asked}, {"failed", gap.failed}, {"longestSeconds", seconds(gap.longest)}, {"totalSeconds", seconds(gap.total)}};
}

void tell(const plan::GapMeter::Gap& gap) {
  if (gap.failed == 0) fmt::print(stderr, "this node's API server answered all the while ({} requests)\n", gap.asked);
  else
    fmt::print(stderr, "this node's API server did not answer for {:.1f} s in all, {:.1f} s at the longest ({} of {} requests failed)\n",
               static_cast<double>(gap.total / std::chrono::milliseconds(1)) / 1000, static_cast<double>(gap.longest / std::chrono::milliseconds(1)) / 1000,
               gap.failed, gap.asked);
}

void tellWhatFollows(const config::Setup& setup) {
  const auto& upgrading = setup.request.upgrading;
  const bool plain = setup.node.controlPlane && !manifests::isHosted(setup.cluster);
  fmt::print("The {} {} is at {}.\n", plain ? "control plane of" : "kubelet's configuration of", setup.node.name, setup.cluster.version.tag());
  if (plain && !upgrading.addonsNow)
    fmt::print("CoreDNS and kube-proxy wait for the other control planes: {}. Run there, one after the other: kubestrap upgrade node\n", upgrading.addonsWaitFor);
  std::vector<std::string> kubelets;
  for (const auto& node : upgrading.nodes)
    if (node.kubelet != setup.cluster.version.tag() && !(node.name == setup.node.name && !upgrading.kubeletProgram.empty())) kubelets.push_back(node.name);
  if (!kubelets.empty())
    fmt::print("Older kubelets run on: {}. All workers get theirs from one place with kubestrap upgrade workers; node by node it is done with your packages or kubestrap upgrade node --kubelet FILE\n", join(kubelets, ", "));
}

// ---- the commands

void confirm(const config::Setup& setup) {
  fmt::print(stderr, "This upgrades the control plane of {} from {} to {}. Its API server is away for some seconds.\n", setup.node.name,
             setup.request.upgrading.from.tag(), setup.cluster.version.tag());
  confirmOrEnd();
}

/// What would be done to the cluster: not what preflight finds, which is told beside it, nor what the upgrade keeps for itself.
plan::Outcome planned(const config::Setup& setup, const config::Facts& facts, Machine& machine, plan::Reporter& reporter) {
  auto world = machine.world();
  return plan::run(phases::upgradeApplyWorkflow(), {.only = {}, .skip = {"preflight", "backup", "post-upgrade"}}, setup, facts, world, plan::Mode::plan, reporter, "upgrade plan");
}

struct Plan {
  bool hasBegun = false; ///< a run that was stopped has done a part of it
  std::vector<ComponentStep> components;
  plan::Findings findings;
  std::vector<std::string> steps; ///< of a roll
  plan::Outcome outcome;
};

/// What of the flags a plan is made with, so that a kept one is done with them as well.
Value optionsOf(const config::Setup& setup, const UpgradeOptions& options) {
  Value given{{"certificateRenewal", setup.request.upgrading.renewsCertificates}, {"etcdUpgrade", setup.request.upgrading.upgradesEtcd}};
  const auto file = [&](const char* name, const std::optional<std::string>& path) {
    if (path) given[name] = std::filesystem::absolute(*path).string();
  };
  file("config", options.configFile);
  file("patches", options.patches);
  return given;
}

Value documentOf(const Plan& plan, const config::Setup& setup, const UpgradeOptions& options) {
  auto document = resultOf("UpgradePlan", setup);
  document["options"] = optionsOf(setup, options);
  document["components"] = asValue(plan.components);
  document["findings"] = asValue(plan.findings);
  document["changed"] = plan.outcome.changed();
  if (manifests::isHosted(setup.cluster)) document["steps"] = stepsAsValue(plan.steps);
  document["changes"] = changesWithDiffs(plan.outcome);
  return document;
}

RollOptions rollOptions(const UpgradeOptions& options, const config::Setup& setup) {
  RollOptions roll{.kubeconfig = options.kubeconfig};
  if (const auto& folder = setup.request.patchesDirectory; !folder.empty()) roll.patches = folder; // of the flag, or of UpgradeConfiguration
  roll.etcd = setup.request.upgrading.upgradesEtcd;
  if (options.soak) roll.soak = parseDuration(*options.soak);
  roll.confirms = options.waitsForConfirm;
  return roll;
}

/// What can be said without asking the cluster further.
Plan begunPlan(const config::Setup& setup, const config::Facts& facts) {
  return {.hasBegun = false, .components = stepsOf(setup), .findings = phases::judgeUpgrade(setup, facts), .steps = {}, .outcome = {}};
}

/// Whether a plain upgrade to that version was stopped here.
bool goesOnTo(const Version& version, host::Host& host) {
  const auto kept = host.read(phases::upgradeConfiguration);
  if (!kept) return false;
  const auto documents = parseYaml(*kept, phases::upgradeConfiguration.string());
  return std::ranges::any_of(documents, [&](const Document& each) { return stringAt(each.value, "kubernetesVersion") == version.tag(); });
}

/// In layout hosted by the roll of the DaemonSets, else by the phases on this node.
Plan completed(Plan made, const UpgradeOptions& options, const config::Setup& setup, const config::Facts& facts, Machine& machine, plan::Reporter& reporter) {
  if (manifests::isHosted(setup.cluster)) {
    auto roll = VersionRoll(setup.cluster.version, rollOptions(options, setup), machine).plan(reporter);
    made.steps = std::move(roll.steps);
    made.outcome = std::move(roll.outcome);
    made.hasBegun = roll.hasBegun;
  } else {
    made.hasBegun = goesOnTo(setup.cluster.version, machine.host());
    made.outcome = planned(setup, facts, machine, reporter);
  }
  return made;
}

void tellBefore(const config::Setup& setup, const Plan& plan) {
  fmt::print("From {} to {}\n\n", setup.request.upgrading.from.tag(), setup.cluster.version.tag());
  printSteps(plan.components);
  fmt::print("\n");
  printFindings(plan.findings);
  if (plan.findings.empty()) fmt::print("nothing stands in the way\n");
  fmt::print("\n");
  std::fflush(stdout);
}

ExitCode runPlan(const UpgradeOptions& options, const config::Setup& setup, const config::Facts& facts, Machine& machine) {
  const auto as = format(globals());
  const bool isText = as == Format::text;
  auto made = begunPlan(setup, facts);
  if (isText) tellBefore(setup, made);
  const auto reporter = isText ? plan::textReporter(stdout, globals().verbosity.value_or(0)) : plan::silentReporter();
  made = completed(std::move(made), options, setup, facts, machine, *reporter);
  const auto document = documentOf(made, setup, options);
  if (isText) tellSteps(made.steps, stdout);
  else printResult(document, as);
  if (options.saveTo) {
    machine.host().write(std::filesystem::absolute(*options.saveTo), document.dump(2) + "\n", 0600);
    if (isText) fmt::print("\nkept in {}; to do this and nothing else: kubestrap upgrade apply {}\n", *options.saveTo, std::filesystem::absolute(*options.saveTo).string());
  }
  if (std::ranges::any_of(made.findings, [](const auto& each) { return each.severity == plan::Severity::error; })) return ExitCode::refused;
  return options.exitCode && made.outcome.changed() ? ExitCode::differs : ExitCode::done;
}

/// A kept plan is done as it stands, or not at all.
void refuseWhatHasMoved(const Value& saved, const UpgradeOptions& options, const config::Setup& setup, const config::Facts& facts, Machine& machine) {
  const auto made = completed(begunPlan(setup, facts), options, setup, facts, machine, *plan::silentReporter());
  const auto differences = moved(saved, documentOf(made, setup, options));
  if (differences.empty()) return;
  std::vector<Problem> problems;
  for (const auto& each : differences) problems.push_back({.field = "Plan", .message = each, .remedy = {}});
  problems.back().remedy = made.hasBegun ? fmt::format("an upgrade to {} has begun, and goes on with: {}", setup.cluster.version.tag(), withoutPlan(saved))
                                         : "look at what has changed, and make another plan: kubestrap upgrade plan VERSION --save FILE";
  throw Problems(std::move(problems), ExitCode::refused);
}

ExitCode runDiff(const UpgradeOptions& options, const config::Setup& setup, const config::Facts& facts, Machine& machine) {
  const auto outcome = completed({}, options, setup, facts, machine, *plan::silentReporter()).outcome;
  bool differs = false;
  for (const auto& [phase, change] : outcome.changes) {
    if (change.preview.empty()) continue;
    differs = true;
    if (format(globals()) == Format::text) fmt::print("### {}\n{}", change.subject, change.preview);
  }
  if (const auto as = format(globals()); as != Format::text) {
    auto document = result("UpgradeDiff");
    document["changed"] = differs;
    document["changes"] = changesWithDiffs(outcome);
    printResult(document, as);
  }
  return options.exitCode && differs ? ExitCode::differs : ExitCode::done;
}

/// Asks this node's API server while the upgrade runs; none on a worker, where it has nobody to ask.
std::unique_ptr<plan::GapMeter> gapMeter(const config::Setup& setup, Machine& machine) {
  if (!setup.node.controlPlane) return nullptr;
  const auto access = phases::asAdmin(setup);
  const auto text = machine.host().read(access.kubeconfig);
  if (!text) return nullptr;
  return std::make_unique<plan::GapMeter>(machine.http(), kube::parseKubeconfig(*text, access.kubeconfig.string()), access.server);
}

struct Run {
  const plan::Workflow& workflow;
  std::string command;
  std::optional<std::string> onlyPhase;
  bool asks = false;
};

ExitCode perform(const Run& run, const UpgradeOptions& options, const config::Setup& setup, const config::Facts& facts, Machine& machine) {
  const bool dryRun = setup.request.dryRun;
  if (run.asks && !dryRun && !options.yes && !setup.request.upgrading.force && !run.onlyPhase) confirm(setup);
  const auto mode = dryRun ? plan::Mode::plan : plan::Mode::apply;
  const auto reporter = reporterFor(mode);
  const auto lock = dryRun ? nullptr : machine.host().lock(run.command);
  auto world = machine.world();
  const auto meter = dryRun ? nullptr : gapMeter(setup, machine);
  const auto outcome = plan::run(run.workflow, {.only = run.onlyPhase, .skip = setup.request.skipPhases}, setup, facts, world, mode, *reporter, run.command);
  std::optional<plan::GapMeter::Gap> gap;
  if (meter) gap = meter->end();
  if (const auto as = format(globals()); as != Format::text) {
    auto document = resultOf(dryRun ? "UpgradePlan" : "UpgradeResult", setup);
    document["node"] = nodeAsValue(setup);
    document["changed"] = outcome.changed();
    document["changes"] = dryRun ? changesWithDiffs(outcome) : changesAsValue(outcome);
    document["warnings"] = outcome.warnings;
    if (gap) document["apiGap"] = asValue(*gap);
    printResult(document, as);
  } else if (!dryRun) {
    if (gap) tell(*gap);
    auto now = setup;
    if (!setup.request.upgrading.addonsNow) plan::lookForOthers(now, phases::asAdmin(setup), world);
    if (!run.onlyPhase) tellWhatFollows(now);
  }
  return options.exitCode && outcome.changed() ? ExitCode::differs : ExitCode::done;
}

/// It may come to speak to any API server, and is never newer than one.
void refuseNewerKubelet(const UpgradeOptions& options, const config::Setup& setup, Machine& machine) {
  if (!options.kubelet || options.drained) return;
  const auto found = readVersion(versionOf(*options.kubelet, machine.host()));
  const auto& version = setup.cluster.version;
  if (found && std::pair(version.major, version.minor) < std::pair(found->major, found->minor))
    throw Error(fmt::format("{} is {}, and the cluster is at {}: a kubelet is never newer than the API servers", *options.kubelet, found->tag(), version.tag()),
                fmt::format("first kubestrap upgrade apply {}", found->tag()), ExitCode::refused);
}

/// Control planes of layout hosted are upgraded as a whole, by a roll of their DaemonSets; each by itself gets its kubelet and its settings only.
void refuseUnhosted(Upgrade what, const config::Setup& setup) {
  if (what == Upgrade::node) return;
  if (setup.cluster.kubestrap.hosting != config::Hosting::self)
    throw Error("this control plane of layout hosted is not in its own cluster yet, and only there can it be upgraded", "run kubestrap pivot first", ExitCode::refused);
}

/// Somebody has to sit there for as long as it takes, and time is no answer then.
void refuseUnasked(const UpgradeOptions& options) {
  if (!options.waitsForConfirm) return;
  const auto refuse = [](std::string_view why) { throw Error(fmt::format("--wait-for-confirm asks at the terminal, and {}", why), "--soak DURATION goes by time, and kubestrap upgrade rollback goes back", ExitCode::usage); };
  if (options.soak) refuse("--soak goes by time");
  if (options.yes) refuse("--yes asks nobody");
  if (options.force) refuse("--force asks nobody");
  if (format(globals()) != Format::text) refuse("a program reads what is told");
  if (!options.dryRun && !canBeAsked()) refuse("there is none");
}

/// How far a roll is can be seen in the cluster, and one that is to do a part of the work would do all of it, or take back what has been done.
void refusePartOfRoll(const config::Setup& setup, const std::optional<std::string>& onlyPhase) {
  const auto& skipped = setup.request.skipPhases;
  plan::check({.only = onlyPhase, .skip = skipped}, phases::upgradeApplyWorkflow());
  const auto* const remedy = "kubestrap upgrade apply VERSION goes on from where it is, to the end; bundle and preflight can be done, or left out, by themselves";
  if (onlyPhase && !phases::standsAloneInRoll(*onlyPhase))
    throw Error(fmt::format("control planes of layout hosted are upgraded by a roll, of which {} is no part that can be done by itself", *onlyPhase), remedy, ExitCode::refused);
  const auto kept = std::ranges::find_if_not(skipped, phases::standsAloneInRoll);
  if (kept != skipped.end())
    throw Error(fmt::format("control planes of layout hosted are upgraded by a roll, from which {} cannot be left out", *kept), remedy, ExitCode::refused);
}

plan::Outcome judgeHosted(const config::Setup& setup, const config::Facts& facts, Machine& machine) {
  auto skipped = setup.request.skipPhases;
  std::erase(skipped, "bundle"); // by now it has been loaded, or left out
  auto world = machine.world();
  return plan::run(phases::upgradeHostedWorkflow(), {.only = {}, .skip = std::move(skipped)}, setup, facts, world, plan::Mode::plan, *plan::textReporter(stderr, 0), "upgrade apply");
}

struct Rolled {
  std::string from;
  std::vector<std::string> steps, warnings;
};

ExitCode tellRolled(const Rolled& rolled, std::string_view outcome, const UpgradeOptions& options, const config::Setup& setup) {
  if (const auto as = format(globals()); as != Format::text) {
    auto document = result(setup.request.dryRun ? "UpgradePlan" : "UpgradeResult");
    document.update({{"from", rolled.from}, {"to", setup.cluster.version.tag()}});
    document["node"] = nodeAsValue(setup);
    document["changed"] = !rolled.steps.empty();
    document["steps"] = stepsAsValue(rolled.steps);
    document["warnings"] = rolled.warnings;
    printResult(document, as);
  } else if (!outcome.empty()) fmt::print(stderr, "{}\n", outcome);
  return options.exitCode && !rolled.steps.empty() ? ExitCode::differs : ExitCode::done;
}

void confirmRoll(VersionRoll& roll, const config::Setup& setup) {
  const auto plan = roll.plan(*plan::silentReporter());
  if (plan.steps.empty()) return;
  tellRoll(plan, stderr);
  fmt::print(stderr, "This upgrades all control planes from {} to {}, one after the other.\n", setup.request.upgrading.from.tag(), setup.cluster.version.tag());
  confirmOrEnd();
}

/// As kubestrap status: each component has proved itself by then, and nobody has looked at the whole. It fails nothing.
std::vector<Finding> judgedAfterwards(const UpgradeOptions& options, Machine& machine, std::vector<std::string>& warnings) {
  try {
    auto findings = findingsAfterwards([&] { return lookForStatus(machine, options.kubeconfig, Depth::glance); }, machine.clock());
    for (const auto& each : findings)
      warnings.push_back(fmt::format("afterwards, {} {}: {}{} ({}); {}", nameOf(each.severity), each.name, each.where.empty() ? "" : each.where + ": ", each.cause, each.evidence, each.remedy));
    return findings;
  } catch (const Interrupted&) {
    throw;
  } catch (const Error& error) {
    warnings.push_back(fmt::format("how the cluster does afterwards could not be looked at: {}", error.message()));
    log::warn(warnings.back());
    return {};
  }
}

ExitCode applyHosted(const UpgradeOptions& options, const config::Setup& setup, const config::Facts& facts, Machine& machine, const std::optional<std::string>& onlyPhase) {
  const auto& upgrading = setup.request.upgrading;
  Rolled rolled{.from = upgrading.from.tag(), .steps = {}, .warnings = judgeHosted(setup, facts, machine).warnings};
  if (onlyPhase) return tellRolled(rolled, {}, options, setup);
  VersionRoll roll(setup.cluster.version, rollOptions(options, setup), machine);
  roll.refuseWithoutWayBack();
  if (!options.yes && !upgrading.force) confirmRoll(roll, setup);
  rolled.steps = roll.perform();
  for (const auto* more : {&upgrading.unheeded, &roll.warnings()}) rolled.warnings.insert(rolled.warnings.end(), more->begin(), more->end());
  auto outcome = fmt::format("the control plane runs {}", setup.cluster.version.tag());
  if (!rolled.steps.empty())
    if (const auto findings = judgedAfterwards(options, machine, rolled.warnings); !findings.empty())
      outcome += fmt::format("; kubestrap status finds wrong, though:\n{}", trim(describe(findings, Telling::briefly)));
  return tellRolled(rolled, outcome, options, setup);
}

ExitCode planRollBack(const std::string& from, VersionRoll& roll, const UpgradeOptions& options, const config::Setup& setup) {
  const auto plan = roll.plan(*plan::silentReporter());
  if (const auto as = format(globals()); as != Format::text) {
    auto document = result("UpgradePlan");
    document.update({{"from", from}, {"to", setup.cluster.version.tag()}, {"changed", !plan.steps.empty()}});
    document["steps"] = stepsAsValue(plan.steps);
    document["changes"] = changesWithDiffs(plan.outcome);
    printResult(document, as);
  } else tellRoll(plan, stdout);
  return options.exitCode && !plan.steps.empty() ? ExitCode::differs : ExitCode::done;
}

ExitCode rollBack(const UpgradeOptions& options, const config::Setup& setup, Machine& machine) {
  const auto to = setup.cluster.version.tag();
  VersionRoll roll(setup.cluster.version, rollOptions(options, setup), machine);
  const auto from = roll.toRollBack();
  if (from.empty())
    return tellRolled({.from = to, .steps = {}, .warnings = roll.warnings()},
                      fmt::format("there is nothing to roll back: the control plane runs {}, which is what the cluster's configuration says", to), options, setup);
  roll.refuseWithoutWayBack();
  if (setup.request.dryRun) return planRollBack(from, roll, options, setup);
  Rolled rolled{.from = from, .steps = roll.perform(), .warnings = roll.warnings()};
  return tellRolled(rolled, fmt::format("the control plane runs {}", to), options, setup);
}

std::string nameOf(std::string command, const std::optional<std::string>& phase) { return phase ? command + " phase " + *phase : command; }

/// The bundle, but for its kubelet: that goes when the node has been drained (`node`), and not with the control plane (`apply`).
plan::Outcome loadForUpgrade(Upgrade what, UpgradeOptions& options, Machine& machine, const std::optional<std::string>& onlyPhase) {
  if ((what != Upgrade::apply && what != Upgrade::node) || !plan::Selection{.only = onlyPhase, .skip = {}}.runs("bundle")) return {};
  const auto documents = options.configFile && options.configFile != "-" ? machine.readDocuments(*options.configFile) : std::vector<Document>{};
  options.dryRun = options.dryRun || asksForDryRun(documents);
  const auto& workflow = what == Upgrade::apply ? phases::upgradeApplyWorkflow() : phases::upgradeNodeWorkflow();
  const auto goes = what == Upgrade::apply ? KubeletOf::Goes::nowhere : KubeletOf::Goes::aside;
  auto loaded = loadBundle(options.bundle,
                           {.workflow = workflow, .command = nameOf(std::string(workflow.command), onlyPhase), .mode = options.dryRun ? plan::Mode::plan : plan::Mode::apply,
                            .kubelet = {goes}, .skip = options.skipPhases.value_or(std::vector<std::string>{})},
                           machine);
  const bool waits = std::ranges::any_of(loaded.changes, [](const auto& each) { return each.change.subject.ends_with(KubeletOf::beside.string()); });
  if (waits && !options.kubelet && !options.dryRun) options.kubelet = KubeletOf::beside.string();
  return loaded;
}

/// The plan in a file, with what it was made for and with; flags that were given count before it.
Value takePlan(const std::string& file, UpgradeOptions& options, Machine& machine) {
  const auto text = machine.host().read(std::filesystem::absolute(file));
  if (!text) throw Error(fmt::format("{} is absent", file), "kubestrap upgrade plan VERSION --save FILE makes a plan", ExitCode::usage);
  auto plan = parsePlan(*text, file);
  options.kubernetesVersion = stringAt(plan, "to");
  const auto made = plan.value("options", Value::object());
  const auto flag = [&](const char* name, std::optional<bool>& into) {
    if (!into && made.contains(name)) into = made.at(name).get<bool>();
  };
  const auto path = [&](const char* name, std::optional<std::string>& into) {
    if (!into && made.contains(name)) into = made.at(name).get<std::string>();
  };
  flag("certificateRenewal", options.certificateRenewal);
  flag("etcdUpgrade", options.etcdUpgrade);
  path("config", options.configFile);
  path("patches", options.patches);
  return plan;
}

ExitCode runUpgrade(Upgrade what, UpgradeOptions options, const std::vector<std::string>& arguments, const std::optional<std::string>& onlyPhase) {
  if (arguments.size() > 1) throw Error("upgrade goes to one version", "kubestrap upgrade apply v1.37.2", ExitCode::usage);
  options.onlyPhase = onlyPhase.has_value();
  Machine machine(globals().rootfs);
  std::optional<Value> saved;
  if (!arguments.empty() && isPlanFile(arguments.front())) {
    if (what != Upgrade::apply || onlyPhase) throw Error("only upgrade apply as a whole takes a plan", {}, ExitCode::usage);
    saved = takePlan(arguments.front(), options, machine);
  } else if (!arguments.empty()) options.kubernetesVersion = arguments.front();
  refuseUnasked(options);
  refuseWhileRotating(machine.host(), "an upgrade");
  const auto loaded = loadForUpgrade(what, options, machine, onlyPhase);
  if (onlyPhase == "bundle") return tellLoaded(loaded, options.dryRun ? plan::Mode::plan : plan::Mode::apply, options.exitCode);
  auto facts = look(machine, Judging::yes);
  const auto setup = prepareUpgrade(what, options, machine, facts);
  if (options.printConfig) fmt::print(stderr, "{}", emitYaml(config::clusterConfigurationDocument(setup.cluster)));
  const bool isHosted = manifests::isHosted(setup.cluster) && setup.node.controlPlane;
  if (isHosted) refuseUnhosted(what, setup);
  else if (options.waitsForConfirm) throw Error("--wait-for-confirm is for control planes of layout hosted: a plain one has its own behaviour at once", {}, ExitCode::usage);
  if (isHosted && what == Upgrade::apply) refusePartOfRoll(setup, onlyPhase);
  if (saved) refuseWhatHasMoved(*saved, options, setup, facts, machine);
  switch (what) {
  case Upgrade::plan: return runPlan(options, setup, facts, machine);
  case Upgrade::diff: return runDiff(options, setup, facts, machine);
  case Upgrade::apply:
    if (isHosted) return setup.request.dryRun && !onlyPhase ? runPlan(options, setup, facts, machine) : applyHosted(options, setup, facts, machine, onlyPhase);
    return perform({phases::upgradeApplyWorkflow(), nameOf("upgrade apply", onlyPhase), onlyPhase, true}, options, setup, facts, machine);
  case Upgrade::rollback:
    if (isHosted) return rollBack(options, setup, machine);
    throw Error("a plain control plane goes back by itself when it does not get well, and not after that",
                "an older version of the API server: kubestrap upgrade apply VERSION --force; etcd keeps its own", ExitCode::refused);
  case Upgrade::node: refuseNewerKubelet(options, setup, machine); break;
  }
  return perform({phases::upgradeNodeWorkflow(), nameOf("upgrade node", onlyPhase), onlyPhase}, options, setup, facts, machine);
}

// ---- a worker that is driven from elsewhere

/// The version that this node's Node says of its kubelet, which may read it.
std::string runningKubelet(const std::string& node, Machine& machine) {
  const auto identity = readKubeconfig(machine.host(), config::paths::kubeletConf);
  if (!identity) return {};
  const auto found = kube::Client(machine.http(), *identity).get({"v1", "Node", "", node});
  return found ? stringAt(*found, "status.nodeInfo.kubeletVersion") : "";
}

/// Where its next kubelet comes from, seen from here; a command can only be tried.
std::optional<std::string> lackOfKubelet(const UpgradeOptions& options, const config::Setup& setup, Machine& machine) {
  if (options.bundle.bundle || options.install) return std::nullopt;
  const auto wanted = setup.cluster.version.tag();
  const auto program = options.kubelet ? config::Path(*options.kubelet) : phases::kubeletProgramOf(setup);
  if (options.kubelet && !machine.host().status(program)) return fmt::format("there is no {} on it", program.string());
  const auto found = versionOf(program, machine.host());
  if (found == wanted) return std::nullopt;
  return "its " + isNot(program, found, wanted);
}

// ---- flags

std::vector<Flag> chosen(std::vector<Flag> flags, std::initializer_list<std::string_view> names) {
  std::erase_if(flags, [&](const Flag& flag) { return std::ranges::find(names, flag.name) == names.end(); });
  return flags;
}

std::vector<Flag> allFlags(UpgradeOptions& options) {
  std::vector<Flag> all{
      {.name = "allow-experimental-upgrades", .into = &options.experimental, .doc = "Allow alpha, beta and release candidate versions"},
      {.name = "allow-release-candidate-upgrades", .into = &options.releaseCandidates, .doc = "Allow release candidates"},
      {.name = "certificate-renewal", .into = &options.certificateRenewal, .doc = "Renew the certificates of what is upgraded", .standard = "true"},
      {.name = "config", .into = &options.configFile, .doc = "A file with an UpgradeConfiguration of kubeadm.k8s.io/v1beta4; - is standard input", .value = "FILE"},
      {.name = "drain-timeout", .into = &options.drainTimeout, .doc = "How long the pods may take to leave this node, with --kubelet", .value = "DURATION", .standard = "5m"},
      {.name = "dry-run", .into = &options.dryRun, .doc = "Show what would be done, and touch nothing; the cluster is only read"},
      {.name = "etcd-upgrade", .into = &options.etcdUpgrade, .doc = "Upgrade etcd", .standard = "true"},
      {.name = "exit-code", .into = &options.exitCode, .doc = "End with 4 when something was, or would be, changed"},
      {.name = "force", .into = &options.force, .doc = "Do not ask, and go on where the rules for versions only advise against", .letter = 'f'},
      {.name = "ignore-preflight-errors", .into = &options.ignorePreflightErrors, .doc = "Checks whose errors count as warnings; all for every one",
       .value = "NAME,..."},
      {.name = "kubeconfig", .into = &options.kubeconfig, .doc = "The kubeconfig to speak to the cluster with", .value = "FILE",
       .standard = "/etc/kubernetes/admin.conf, on a worker the kubelet's"},
      {.name = "kubelet", .into = &options.kubelet, .doc = "A kubelet to put in place of the one that runs: the node is drained for it", .value = "FILE"},
      {.name = "patches", .into = &options.patches, .doc = "A folder with patches, as for init", .value = "DIR"},
      {.name = "print-config", .into = &options.printConfig, .doc = "Print the configuration that the cluster will have"},
      {.name = "save", .into = &options.saveTo, .doc = "Keep the plan in a file, for upgrade apply FILE", .value = "FILE"},
      {.name = "skip-phases", .into = &options.skipPhases, .doc = "Phases to leave out", .value = "PHASE,..."},
      {.name = "soak", .into = &options.soak, .doc = "How long the new version is watched before what it alone can do is let loose, on control planes of layout hosted",
       .value = "DURATION", .standard = "5m"},
      {.name = "wait-for-confirm", .into = &options.waitsForConfirm, .doc = "Ask at the terminal before what the new version alone can do is let loose, instead of going on by time (--soak); n takes the way back"},
      {.name = "yes", .into = &options.yes, .doc = "Do not ask", .letter = 'y'},
  };
  for (auto& flag : bundleUseFlags(options.bundle)) all.push_back(std::move(flag));
  std::ranges::sort(all, {}, &Flag::name);
  return all;
}

std::vector<Flag> planFlags(UpgradeOptions& options) {
  auto flags = chosen(allFlags(options), {"allow-experimental-upgrades", "allow-release-candidate-upgrades", "certificate-renewal", "config", "etcd-upgrade", "exit-code",
                                          "ignore-preflight-errors", "kubeconfig", "patches", "print-config", "save"});
  for (auto& flag : withoutEffect({"allow-missing-template-keys", "dry-run", "show-managed-fields"})) flags.push_back(std::move(flag));
  return flags;
}

std::vector<Flag> diffFlags(UpgradeOptions& options) {
  static std::optional<int> lines;
  auto flags = chosen(allFlags(options), {"certificate-renewal", "config", "exit-code", "kubeconfig", "patches"});
  flags.push_back({.name = "context-lines", .into = &lines, .doc = "Accepted, without effect", .letter = 'c', .value = "COUNT", .shown = Flag::Shown::hidden});
  return flags;
}

std::vector<Flag> applyFlags(UpgradeOptions& options) {
  auto flags = allFlags(options);
  std::erase_if(flags, [](const Flag& flag) { return flag.name == "kubelet" || flag.name == "drain-timeout" || flag.name == "save"; });
  return flags;
}

std::vector<Flag> nodeFlags(UpgradeOptions& options) {
  auto flags = chosen(allFlags(options), {"bundle", "bundle-base", "bundle-key", "bundle-without", "offline", "certificate-renewal", "config", "drain-timeout", "dry-run", "etcd-upgrade", "exit-code", "force", "ignore-preflight-errors", "kubeconfig",
                                          "kubelet", "patches", "skip-phases"});
  std::ranges::find(flags, "force", &Flag::name)->doc = "Also end pods that nobody makes anew elsewhere, with --kubelet";
  return flags;
}

} // namespace

ExitCode upgradeWorkerHere(UpgradeOptions options) {
  options.drained = true;
  Machine machine(globals().rootfs);
  loadForUpgrade(Upgrade::node, options, machine, std::nullopt); // may lay a kubelet down
  auto facts = look(machine, Judging::yes);
  const auto setup = prepareUpgrade(Upgrade::node, options, machine, facts);
  const auto& workflow = phases::upgradeNodeWorkflow();
  const auto command = std::string(workflow.command);
  const auto reporter = reporterFor(plan::Mode::apply);
  const auto lock = machine.host().lock(command);
  auto world = machine.world();
  plan::run(workflow, {.only = {}, .skip = {"bundle"}}, setup, facts, world, plan::Mode::apply, *reporter, command);
  const KubeletWish wish{.command = options.install.value_or(""), .program = phases::kubeletProgramOf(setup), .version = setup.cluster.version.tag(), .running = runningKubelet(setup.node.name, machine)};
  if (options.kubelet) makeNewerThanProcess(wish, machine.host());
  else installKubelet(wish, machine.host());
  plan::enactAll(phases::kubeletSwapped(setup, options.kubelet.value_or("")), "kubelet", command, world, *reporter);
  return ExitCode::done;
}

std::vector<std::string> obstaclesOfWorkerHere(UpgradeOptions options) {
  options.drained = options.dryRun = true;
  std::vector<std::string> obstacles;
  try {
    Machine machine(globals().rootfs);
    loadForUpgrade(Upgrade::node, options, machine, std::nullopt); // verifies it
    auto facts = look(machine, Judging::yes);
    const auto setup = prepareUpgrade(Upgrade::node, options, machine, facts);
    for (const auto& found : phases::judgeUpgradeOfNode(setup, facts))
      if (found.severity == plan::Severity::error) obstacles.push_back(fmt::format("{}: {}", found.check, found.evidence));
    if (auto lack = lackOfKubelet(options, setup, machine)) obstacles.push_back(*std::move(lack));
  } catch (const Interrupted&) {
    throw;
  } catch (const Error& error) {
    obstacles.push_back(error.message());
  }
  return obstacles;
}

Command upgradeCommand() {
  const auto options = std::make_shared<UpgradeOptions>();
  const auto run = [options](Upgrade what, const std::vector<std::string>& arguments, const std::optional<std::string>& phase) {
    return runUpgrade(what, *options, arguments, phase);
  };
  const auto& apply = phases::upgradeApplyWorkflow();
  const auto& node = phases::upgradeNodeWorkflow();
  Command plan{.name = "plan",
               .summary = "Say what an upgrade would change, and what stands in its way",
               .description = "Looks at the cluster and says which version can be reached, all that stands in the way, and every change with its differences. "
                              "On control planes of layout hosted it says the steps of the roll as well. "
                              "Touches nothing. Ends with 3 where apply would refuse.",
               .flags = [options] { return planFlags(*options); },
               .arguments = "[VERSION]",
               .run = [run](const auto& given) { return run(Upgrade::plan, given, std::nullopt); }};
  Command diff{.name = "diff",
               .summary = "Show the differences that an upgrade would make",
               .description = "Shows how manifests, etcd's too, the kubelet's settings, addons and other objects of the cluster would differ; patches count.",
               .flags = [options] { return diffFlags(*options); },
               .arguments = "[VERSION]",
               .run = [run](const auto& given) { return run(Upgrade::diff, given, std::nullopt); }};
  Command applied{.name = "apply",
                  .summary = std::string(apply.summary),
                  .description = std::string(apply.summary) +
                                 ". A snapshot of etcd is taken first. PLAN is a file of `upgrade plan --save`: it is refused where something else would be done now. What does not get well is taken back. It is safe to run again: a run that was stopped goes on.",
                  .details = [] { return phaseTable(phases::upgradeApplyWorkflow()); },
                  .flags = [options] { return applyFlags(*options); },
                  .arguments = "VERSION|PLAN",
                  .run = [run](const auto& given) { return run(Upgrade::apply, given, std::nullopt); },
                  .children = {phaseCommands(apply, {[options](const std::string&) { return applyFlags(*options); },
                                                     [run](const auto& given, const std::string& phase) { return run(Upgrade::apply, given, phase); }, "[VERSION]"})}};
  Command nodes{.name = "node",
                .summary = std::string(node.summary),
                .description = std::string(node.summary) + ": further control planes one after the other, then workers. It is safe to run again.",
                .details = [] { return phaseTable(phases::upgradeNodeWorkflow()); },
                .flags = [options] { return nodeFlags(*options); },
                .run = [run](const auto& given) { return run(Upgrade::node, given, std::nullopt); },
                .children = {phaseCommands(node, {[options](const std::string&) { return nodeFlags(*options); },
                                                  [run](const auto& given, const std::string& phase) { return run(Upgrade::node, given, phase); }})}};
  Command rollback{.name = "rollback",
                   .summary = "Take an upgrade back that has not come to its end, on control planes of layout hosted",
                   .flags = [options] { return chosen(allFlags(*options), {"config", "dry-run", "exit-code", "kubeconfig", "patches", "soak"}); },
                   .run = [run](const auto& given) { return run(Upgrade::rollback, given, std::nullopt); }};
  return {.name = "upgrade",
          .summary = "Upgrade a cluster to another version of Kubernetes",
          .description = "Upgrades a cluster: plan says what would happen, apply upgrades the first control plane node, node each further one, workers all workers from one place.",
          .children = {std::move(plan), std::move(applied), std::move(nodes), upgradeWorkersCommand(), std::move(diff), std::move(rollback)}};
}

} // namespace kubestrap::cmd
