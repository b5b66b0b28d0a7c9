#include "cmd/roll.hpp"

#include "cmd/commands.hpp"
#include "cmd/operation.hpp"
#include "cmd/output.hpp"
#include "cmd/own_cluster.hpp"
#include "cmd/reconfigure_look.hpp"
#include "cmd/roll_look.hpp"
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
    auto seen = phases::roll::seenOnce(looked());
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

struct Rolling {
  ControlPlane cluster;
  Intent intent;
};

Rolling toVersion(const Version& version, const RollOptions& options, Machine& machine) {
  auto cluster = hostedControlPlane("upgrade", options.kubeconfig, machine);
  refuseWhileEncryptionMoves(cluster.setup.cluster, machine.host(), "an upgrade");
  const auto present = cluster.setup.cluster.version;
  auto intent = rollIntent("upgrade", cluster, storedCluster(cluster.client, version).value_or(cluster.setup.cluster), options, machine);
  if (version.minor > present.minor) intent.emulates = minorOf(present);
  intent.rollsEtcd = options.etcd && rollsEtcd(intent, cluster, machine);
  return {std::move(cluster), std::move(intent)};
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
  setup.cluster = config::clusterFromText(fromBase64(options.cluster).value_or(""), "--cluster");
  if (options.patches) setup.request.patches = readPatches(machine.host(), *options.patches, warnings);
  machine.useRuntime(foundSocket({}));
  auto world = machine.world();
  const auto reporter = reporterFor(plan::Mode::apply);
  while (const auto step = phases::rollEtcd(setup, lookAtEtcd(machine, setup.cluster, cluster.client)))
    plan::enactAll(step->work, step->name, "roll-etcd", world, *reporter);
  return ExitCode::done;
}

} // namespace

Intent rollIntent(std::string command, const ControlPlane& cluster, config::Cluster wanted, const RollOptions& options, Machine& machine) {
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

Value changesWithDiffs(const plan::Outcome& outcome) {
  auto changes = changesAsValue(outcome);
  for (std::size_t i = 0; i < outcome.changes.size(); ++i)
    if (!outcome.changes[i].change.preview.empty()) changes[i]["diff"] = outcome.changes[i].change.preview;
  return changes;
}

void tellSteps(const std::vector<std::string>& steps, std::FILE* out) {
  if (steps.empty()) return;
  fmt::print(out, "\nStep by step, with every node at its old version until its new pod serves:\n");
  for (const auto& step : steps) fmt::print(out, "  {}\n", step);
}

RollPlan planRollToVersion(const Version& version, const RollOptions& options, plan::Reporter& reporter) {
  Machine machine(globals().rootfs);
  auto [cluster, intent] = toVersion(version, options, machine);
  Watched watched(machine.clock());
  auto seen = phases::roll::seenOnce(look(intent, cluster, machine, watched));
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

} // namespace kubestrap::cmd
