#include "cmd/roll.hpp"

#include "cmd/commands.hpp"
#include "cmd/confirm.hpp"
#include "cmd/operation.hpp"
#include "cmd/output.hpp"
#include "cmd/own_cluster.hpp"
#include "cmd/reconfigure_look.hpp"
#include "cmd/roll_look.hpp"
#include "cmd/workflow.hpp"
#include "config/patches.hpp"
#include "config/store.hpp"
#include "manifests/components.hpp"
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

std::string minorOf(const Version& version) { return fmt::format("{}.{}", version.major, version.minor); }

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

void tellRoll(const RollPlan& plan, std::FILE* out) {
  const auto reporter = plan::textReporter(out, globals().verbosity.value_or(0));
  for (const auto& [phase, change] : plan.outcome.changes) reporter->planned(phase, change);
  tellSteps(plan.steps, out);
  if (plan.steps.empty()) fmt::print(out, "nothing to do\n");
}

VersionRoll::VersionRoll(const Version& version, const RollOptions& options, Machine& machine)
    : machine_(machine), cluster_(hostedControlPlane("upgrade", options.kubeconfig, machine)) {
  refuseWhileEncryptionMoves(cluster_.setup.cluster, machine.host(), "an upgrade");
  const auto present = cluster_.setup.cluster.version;
  intent_ = rollIntent("upgrade", cluster_, storedCluster(cluster_.client, version).value_or(cluster_.setup.cluster), options, machine);
  if (version.minor > present.minor) intent_.emulates = minorOf(present);
  intent_.confirms = options.confirms;
  if (options.confirms && intent_.emulates.empty()) warn("--wait-for-confirm has nothing to ask: within a minor version API servers behave as themselves at once");
  if (intent_.setup.cluster.etcd.isLocal()) phases::roll::keepNewerEtcd(intent_, imagesOfEtcd());
  intent_.rollsEtcd = options.etcd && rollsEtcd();
}

RollPlan VersionRoll::plan(plan::Reporter& reporter) {
  auto seen = lookOnce();
  const auto changes = phases::roll::changes(intent_, seen);
  auto world = machine_.world();
  RollPlan plan{.steps = {}, .outcome = plan::planAll(changes, "roll", world, reporter), .hasBegun = phases::roll::hasBegun(intent_, seen)};
  plan.steps = stepsPlanned([&] { return phases::roll::next(intent_, {}, seen); },
                            [&](const plan::Next& done) { seen = phases::roll::assumed(intent_, std::move(seen), done); });
  return plan;
}

std::vector<std::string> VersionRoll::perform() {
  Watched watched(machine_.clock());
  std::optional<Failure> failure;
  auto said = phases::roll::Said::nothing;
  bool asked = false;
  const auto next = [&] {
    auto seen = look(watched);
    seen.said = said;
    if (!failure) failure = phases::roll::failureIn(intent_, seen);
    auto coming = phases::roll::next(intent_, failure, seen);
    if (!phases::roll::isQuestion(coming)) return coming;
    if (!std::exchange(asked, true))
      fmt::print(stderr, "The API servers are new, and behave as {} still: until they behave as themselves there is an easy way back. Go on with the new version's own API? y, or n for the way back.\n", intent_.emulates);
    if (const auto answer = answered()) said = *answer ? phases::roll::Said::yes : phases::roll::Said::no;
    return coming;
  };
  return stepsPerformed({.name = intent_.command, .access = cluster_.access, .holder = cluster_.setup.node.name, .next = next}, machine_);
}

void VersionRoll::refuseWithoutWayBack() {
  if (const auto stuck = phases::roll::cannotGoBack(intent_, lookOnce())) throw Error(stuck->cause, stuck->remedy, ExitCode::refused);
}

std::string VersionRoll::toRollBack() { return phases::roll::toRollBack(intent_, lookOnce()); }

phases::roll::Seen VersionRoll::look(Watched& watched) {
  auto seen = lookAtRoll(cluster_.client, intent_.setup.cluster, machine_.clock().now(), watched);
  if (intent_.rollsEtcd) seen.etcd = lookAtEtcd(machine_, intent_.setup.cluster, cluster_.client);
  askApiServers(intent_, reachedWith(cluster_.access, machine_), watched, seen);
  auto world = machine_.world();
  seen.hasSnapshot = std::ranges::all_of(phases::roll::snapshot(intent_, seen), [&](const auto& each) { return plan::verdict(each, world).verb == plan::Verb::keep; });
  return seen;
}

phases::roll::Seen VersionRoll::lookOnce() {
  Watched watched(machine_.clock());
  return phases::roll::seenOnce(look(watched));
}

/// As its pods say, and as the manifests here do: the pod of one that has just got its manifest is not there yet.
std::vector<std::string> VersionRoll::imagesOfEtcd() {
  std::vector<std::string> images;
  const auto add = [&](const Value& pod) {
    if (const auto* container = manifests::containerOf(pod, "etcd")) images.push_back(stringAt(*container, "image"));
  };
  for (const auto& pod : cluster_.client.list("v1", "Pod", "kube-system", "component=etcd")) add(pod);
  for (const auto& path : {manifests::manifestPath(manifests::component("etcd")), manifests::secondEtcdManifest()})
    if (const auto text = machine_.host().read(path)) add(parseYamlValue(*text, path.string()));
  return images;
}

/// Whether etcd gets its new version, too, on the way, or has got it by a driver before. Where it needs one and cannot get it here, that is told.
bool VersionRoll::rollsEtcd() {
  const auto& wanted = intent_.setup.cluster;
  if (!wanted.etcd.isLocal()) return false;
  if (!phases::roll::etcdLags(intent_, lookAtEtcd(machine_, wanted, cluster_.client))) return phases::roll::hasTwoPlacesForEtcd(intent_, lookOnce());
  const auto why = manifests::noSecondEtcd(wanted);
  if (!why.empty()) warn(fmt::format("etcd keeps its version, which {} supports as well: {}", wanted.version.tag(), why));
  return why.empty();
}

void VersionRoll::warn(std::string text) {
  log::warn(text);
  warnings_.push_back(std::move(text));
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
