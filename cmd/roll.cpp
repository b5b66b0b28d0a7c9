#include "cmd/roll.hpp"

#include "cmd/commands.hpp"
#include "cmd/operation.hpp"
#include "cmd/own_cluster.hpp"
#include "cmd/roll_look.hpp"
#include "cmd/rotation_look.hpp"
#include "cmd/workflow.hpp"
#include "config/patches.hpp"
#include "config/store.hpp"
#include "manifests/second_etcd.hpp"
#include "support/encoding.hpp"
#include "support/log.hpp"
#include "support/yaml.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

namespace kubestrap::cmd {

namespace {

using phases::roll::Failure;
using phases::roll::Intent;

phases::roll::Seen look(const Intent& intent, ControlPlane& cluster, Machine& machine, Watched& watched) {
  auto seen = lookAtRoll(cluster.client, intent.setup.cluster, machine.clock().now(), watched);
  if (intent.rollsEtcd) seen.etcd = lookAtEtcd(machine, intent.setup.cluster, cluster.client);
  return seen;
}

ExitCode roll(const Intent& intent, ControlPlane& cluster, Machine& machine, bool dryRun, std::string_view outcome) {
  Watched watched(machine.clock());
  const auto looked = [&] { return look(intent, cluster, machine, watched); };
  if (dryRun) {
    auto seen = looked();
    return planOperation([&] { return phases::roll::next(intent, {}, seen); },
                         [&](const plan::Next& done) { seen = phases::roll::assumed(intent, std::move(seen), done); });
  }
  std::optional<Failure> failure;
  const auto next = [&] {
    const auto seen = looked();
    if (!failure) failure = phases::roll::failureIn(intent, seen);
    return phases::roll::next(intent, failure, seen);
  };
  return performOperation({.name = intent.command, .access = cluster.access, .holder = cluster.setup.node.name, .next = next}, machine, outcome);
}

/// Whether etcd gets its new version, too, on the way. Where it needs one and cannot get it here, that is told.
bool rollsEtcd(const Intent& intent, ControlPlane& cluster, Machine& machine) {
  const auto& wanted = intent.setup.cluster;
  if (!wanted.etcd.isLocal() || !phases::etcdIsOutdated(intent.setup, lookAtEtcd(machine, wanted, cluster.client))) return false;
  const auto why = manifests::noSecondEtcd(wanted);
  if (!why.empty()) log::warn(fmt::format("etcd keeps its version, which {} supports as well: {}", wanted.version.tag(), why));
  return why.empty();
}

std::string minorOf(const Version& version) { return fmt::format("{}.{}", version.major, version.minor); }

Intent intentOf(std::string command, const ControlPlane& cluster, config::Cluster wanted, const RollOptions& options, Machine& machine) {
  Intent intent{.setup = cluster.setup, .command = std::move(command), .emulates = {}, .soak = options.soak, .afterwards = {}};
  intent.setup.cluster = std::move(wanted);
  lookAtFront(intent.setup, machine.host()); // which image is kubestrap's own
  std::vector<std::string> warnings;
  if (options.patches) {
    intent.patchesFolder = std::filesystem::absolute(*options.patches).string();
    intent.setup.request.patches = readPatches(machine.host(), intent.patchesFolder, warnings);
  }
  for (const auto& warning : warnings) log::warn(warning);
  intent.afterwards = phases::roll::afterwards(intent.setup);
  return intent;
}

struct Rolling {
  ControlPlane cluster;
  Intent intent;
};

Rolling toVersion(const Version& version, const RollOptions& options, Machine& machine) {
  auto cluster = hostedControlPlane("upgrade", options.kubeconfig, machine);
  const auto present = cluster.setup.cluster.version;
  auto intent = intentOf("upgrade", cluster, storedCluster(cluster.client, version).value_or(cluster.setup.cluster), options, machine);
  if (version.minor > present.minor) intent.emulates = minorOf(present);
  intent.rollsEtcd = options.etcd && rollsEtcd(intent, cluster, machine);
  return {std::move(cluster), std::move(intent)};
}

// ---- other settings

/// What a roll can change: all else in ClusterConfiguration lies in certificates, in etcd, or in what nodes have from their beginning.
constexpr const char* changeable[] = {"apiServer.extraArgs", "apiServer.extraEnvs", "apiServer.extraVolumes", "controllerManager", "scheduler",
                                      "imageRepository", "dns"};

Value withoutChangeable(Value document) {
  for (const std::string path : changeable) {
    const auto dot = path.find('.');
    if (dot == path.npos) document.erase(path);
    else if (document.contains(path.substr(0, dot))) document[path.substr(0, dot)].erase(path.substr(dot + 1));
  }
  Value left = Value::object();
  for (const auto& [name, member] : document.items())
    if (!member.is_object() || !member.empty()) left[name] = member;
  return left;
}

void refuseOthers(const config::Cluster& present, const config::Cluster& wanted) {
  const auto before = withoutChangeable(config::clusterConfigurationDocument(present)), after = withoutChangeable(config::clusterConfigurationDocument(wanted));
  if (present.version != wanted.version) throw Error("reconfigure does not change the version", "kubestrap upgrade does", ExitCode::refused);
  if (sameDocument(before, after)) return;
  auto paths = differences(after, before);
  for (auto& path : differences(before, after))
    if (std::ranges::find(paths, path) == paths.end()) paths.push_back(std::move(path));
  throw Error(fmt::format("a roll cannot change {}", fmt::join(paths, ", ")), fmt::format("it can change {}", fmt::join(changeable, ", ")), ExitCode::refused);
}

// ---- etcd's new version, on a node that is not the driver's

struct RollEtcdOptions {
  std::string cluster;
  std::optional<std::string> patches;
};

ExitCode rollEtcdHere(const RollEtcdOptions& options) {
  Machine machine(globals().rootfs);
  const auto lock = machine.host().lock("roll-etcd");
  auto cluster = ownControlPlane({}, machine);
  std::vector<std::string> warnings;
  auto& setup = cluster.setup;
  setup.cluster = config::clusterFromDocuments(parseYaml(fromBase64(options.cluster).value_or(""), "--cluster"), warnings);
  if (options.patches) setup.request.patches = readPatches(machine.host(), *options.patches, warnings);
  machine.useRuntime(foundSocket({}));
  auto world = machine.world();
  const auto reporter = reporterFor(plan::Mode::apply);
  while (const auto step = phases::rollEtcd(setup, lookAtEtcd(machine, setup.cluster, cluster.client)))
    plan::enactAll(step->work, step->name, "roll-etcd", world, *reporter);
  return ExitCode::done;
}

// ---- the commands

struct ReconfigureOptions : RollOptions {
  std::string file;
};

ExitCode reconfigure(const ReconfigureOptions& options) {
  if (options.file.empty()) throw Error("there is no file", "name one with --filename", ExitCode::usage);
  Machine machine(globals().rootfs);
  refuseWhileRotating(machine.host(), "reconfigure");
  auto cluster = hostedControlPlane("reconfigure", options.kubeconfig, machine);
  const auto wanted = storedCluster(cluster.client, {}, machine.readDocuments(options.file));
  if (!wanted) throw Error("the cluster keeps no configuration", "kubestrap init phase upload-config all");
  refuseOthers(cluster.setup.cluster, *wanted);
  return roll(intentOf("reconfigure", cluster, *wanted, options, machine), cluster, machine, options.dryRun, "the control plane runs with these settings");
}

} // namespace

RollPlan planRollToVersion(const Version& version, const RollOptions& options, plan::Reporter& reporter) {
  Machine machine(globals().rootfs);
  auto [cluster, intent] = toVersion(version, options, machine);
  Watched watched(machine.clock());
  auto seen = look(intent, cluster, machine, watched);
  const auto changes = phases::roll::changes(intent, seen);
  machine.useRuntime(foundSocket({}));
  auto world = machine.world();
  RollPlan plan{.steps = {}, .outcome = plan::planAll(changes, "roll", world, reporter)};
  plan.steps = stepsPlanned([&] { return phases::roll::next(intent, {}, seen); },
                            [&](const plan::Next& done) { seen = phases::roll::assumed(intent, std::move(seen), done); });
  return plan;
}

ExitCode rollToVersion(const Version& version, const RollOptions& options) {
  Machine machine(globals().rootfs);
  auto [cluster, intent] = toVersion(version, options, machine);
  return roll(intent, cluster, machine, options.dryRun, fmt::format("the control plane runs {}", version.tag()));
}

Command rollEtcdOnNodeCommand() {
  const auto options = std::make_shared<RollEtcdOptions>();
  const auto flags = [options]() -> std::vector<Flag> {
    return {{.name = "cluster", .into = &options->cluster, .doc = "The cluster's configuration as it shall be, in base64", .value = "TEXT"},
            {.name = "patches", .into = &options->patches, .doc = "The folder of the patches", .value = "DIR"}};
  };
  return {.name = "roll-etcd",
          .summary = "What an upgrade does to etcd on another node",
          .flags = flags,
          .run = [options](const auto&) { return rollEtcdHere(*options); },
          .shown = Command::Shown::hidden};
}

Command reconfigureCommand() {
  const auto options = std::make_shared<ReconfigureOptions>();
  const auto flags = [options]() -> std::vector<Flag> {
    return {{.name = "filename", .into = &options->file, .doc = "The documents as they shall be; - is standard input", .letter = 'f', .value = "FILE"},
            {.name = "patches", .into = &options->patches, .doc = "The folder of patches that the control plane was made with", .value = "FOLDER"},
            kubeconfigFlag(options->kubeconfig),
            {.name = "dry-run", .into = &options->dryRun, .doc = "Only say which steps there would be"}};
  };
  return {.name = "reconfigure",
          .summary = "Give a control plane that runs in its own cluster other settings",
          .description = "Takes a file as init takes it, with other arguments, environment or volumes of API server, controller-manager or scheduler in its "
                         "ClusterConfiguration. Each node tries the new command lines first; then one component after the other gets a new revision, which "
                         "runs beside the one before it until it serves. No request fails on the way. What does not get ready goes back by itself.",
          .flags = flags,
          .run = [=](const auto&) { return reconfigure(*options); }};
}

} // namespace kubestrap::cmd
