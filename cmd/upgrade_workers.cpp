// Workers get the kubelet of the cluster's version, driven from a control plane (phases/workers.hpp); and what is done on each of them.
#include "cmd/commands.hpp"
#include "cmd/confirm.hpp"
#include "cmd/operation.hpp"
#include "cmd/output.hpp"
#include "cmd/rotation_look.hpp"
#include "cmd/upgrade.hpp"
#include "cmd/workers_look.hpp"
#include "cmd/workflow.hpp"
#include "support/log.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

namespace kubestrap::cmd {

namespace {

namespace workers = phases::workers;

/// What both sides are told.
struct Source {
  BundleUse bundle;
  std::optional<std::string> kubelet, install;
  std::optional<std::vector<std::string>> ignored;
};

struct WorkersOptions {
  Source source;
  std::optional<std::string> kubeconfig, drainTimeout, selector;
  std::optional<int> parallel;
  bool dryRun = false, force = false, skips = false, yes = false;
};

std::vector<Flag> sourceFlags(Source& source) {
  std::vector<Flag> flags{
      {.name = "ignore-preflight-errors", .into = &source.ignored, .doc = "Checks on the workers whose errors count as warnings; all for every one", .value = "NAME,..."},
      {.name = "install", .into = &source.install, .doc = "A command for a shell that installs the kubelet, as root, by the worker's own packages", .value = "COMMAND"},
      {.name = "kubelet", .into = &source.kubelet, .doc = "The kubelet, as a file that lies on each worker", .value = "FILE"}};
  for (auto& flag : bundleUseFlags(source.bundle)) {
    if (flag.name == "bundle") flag.doc = "A bundle that lies on each worker, whose kubelet is taken; all else in it is put in its place, too";
    flags.push_back(std::move(flag));
  }
  return flags;
}

/// The same again, for the other side.
std::vector<std::string> wordsOf(const Source& source) {
  std::vector<std::string> words;
  const auto add = [&](const char* flag, const std::optional<std::string>& value) {
    if (value) words.insert(words.end(), {flag, *value});
  };
  add("--kubelet", source.kubelet);
  add("--install", source.install);
  add("--bundle", source.bundle.bundle);
  add("--bundle-base", source.bundle.how.base);
  for (const auto& key : source.bundle.how.keys) words.insert(words.end(), {"--bundle-key", key});
  if (!source.bundle.how.without.empty()) words.insert(words.end(), {"--bundle-without", join(source.bundle.how.without, ",")});
  if (source.bundle.offline) words.emplace_back("--offline");
  if (source.ignored) words.insert(words.end(), {"--ignore-preflight-errors", join(*source.ignored, ",")});
  return words;
}

void check(const Source& source) {
  const auto count = static_cast<int>(source.kubelet.has_value()) + static_cast<int>(source.install.has_value()) + static_cast<int>(source.bundle.bundle.has_value());
  if (count > 1) throw Error("the kubelet comes from one place", "one of --kubelet, --bundle and --install", ExitCode::usage);
  if (source.kubelet && !source.kubelet->starts_with('/')) throw Error(fmt::format("{} is no whole path", *source.kubelet), "it is a file of the workers: --kubelet /root/kubelet", ExitCode::usage);
}

workers::Intent intentOf(const WorkersOptions& options, ControlPlane& cluster, Machine& machine) {
  check(options.source);
  if (options.parallel.value_or(1) < 1) throw Error("at least one worker at a time", "--parallel 1", ExitCode::usage);
  lookAtFront(cluster.setup, machine.host()); // which image is kubestrap's own
  workers::Intent intent{.nodes = {.access = cluster.access, .image = cluster.setup.request.ownImage}, .version = cluster.setup.cluster.version.tag()};
  intent.width = static_cast<std::size_t>(options.parallel.value_or(1));
  if (options.drainTimeout) intent.drainPatience = parseDuration(*options.drainTimeout);
  intent.skips = options.skips;
  intent.force = options.force;
  intent.source = wordsOf(options.source);
  return intent;
}

// ---- a dry run

/// Which pods would not be let go as things are: the API server is asked, and does nothing.
void tellRefusals(const workers::Intent& intent, workers::Seen& seen, WorkersLook& looking, kube::Client& client) {
  std::set<std::string> behind;
  for (const auto& node : seen.nodes)
    if (node.wanted && workers::isBehind(intent, node)) behind.insert(node.name);
  looking.empty(behind, seen, client, plan::Evicting::asksOnly);
  for (const auto& node : seen.nodes)
    for (const auto& pod : node.pods)
      if (behind.contains(node.name) && !pod.refused.empty()) log::warn(fmt::format("{} may not leave {} as it is now: {}", pod.name, node.name, pod.refused));
}

ExitCode planWorkers(const workers::Intent& intent, workers::Seen seen, WorkersLook& looking, kube::Client& client) {
  tellRefusals(intent, seen, looking, client);
  for (auto& node : seen.nodes)
    if (node.ready) node.report = workers::Report{}; // nobody is asked
  workers::Progress progress = workers::remembered(intent, {}, seen);
  std::vector<std::string> steps;
  for (bool waited = false;;) {
    const auto coming = workers::next(intent, progress, seen);
    if (const auto* stuck = std::get_if<plan::Stuck>(&coming)) throw Error(stuck->cause, stuck->remedy, ExitCode::refused);
    const auto* step = std::get_if<plan::Step>(&coming);
    if (!step && (std::holds_alternative<plan::Done>(coming) || waited)) break; // what nobody can foresee is waited for
    waited = !step;
    if (step) steps.push_back(step->name);
    seen = workers::assumed(intent, std::move(seen), coming);
  }
  if (const auto as = format(globals()); as != Format::text) {
    auto document = result("UpgradeWorkersPlan");
    document.update({{"to", intent.version}, {"changed", !steps.empty()}, {"steps", stepsAsValue(steps)}});
    printResult(document, as);
  } else fmt::print("{}\n", steps.empty() ? "nothing to do" : fmt::format("{}", fmt::join(steps, "\n")));
  return ExitCode::done;
}

// ---- the run

std::map<std::string, std::string> behindIn(const workers::Intent& intent, const workers::Seen& seen) {
  std::map<std::string, std::string> behind;
  for (const auto& node : seen.nodes)
    if ((node.wanted || node.turn != workers::Turn::none) && workers::isBehind(intent, node)) behind[node.name] = node.version;
  return behind;
}

void confirm(const workers::Intent& intent, const std::map<std::string, std::string>& behind) {
  std::vector<std::string> named;
  for (const auto& [name, version] : behind) named.push_back(fmt::format("{} ({})", name, version));
  fmt::print(stderr, "The pods of these workers move to others, {} at a time, and their kubelets become {}: {}.\n", intent.width, intent.version, join(named, ", "));
  confirmOrEnd();
}

void tell(const workers::Intent& intent, const std::map<std::string, std::string>& before, const workers::Seen& after, const std::vector<std::string>& steps) {
  const auto as = format(globals());
  if (as == Format::text) {
    fmt::print(stderr, "{}\n", before.empty() ? fmt::format("no worker is behind {}", intent.version) : fmt::format("{} worker{} run{} {}", before.size(), before.size() == 1 ? "" : "s", before.size() == 1 ? "s" : "", intent.version));
    return;
  }
  auto document = result("UpgradeWorkersResult");
  document.update({{"to", intent.version}, {"changed", !steps.empty()}, {"steps", stepsAsValue(steps)}, {"nodes", Value::array()}});
  for (const auto& [name, version] : before) {
    const auto node = std::ranges::find(after.nodes, name, &workers::NodeSeen::name);
    document["nodes"].push_back({{"name", name}, {"from", version}, {"kubelet", node == after.nodes.end() ? "" : node->version}});
  }
  printResult(document, as);
}

ExitCode upgradeWorkers(const WorkersOptions& options, const std::vector<std::string>& names) {
  Machine machine(globals().rootfs);
  refuseWhileRotating(machine.host(), "an upgrade");
  auto cluster = ownControlPlane(options.kubeconfig, machine);
  const auto intent = intentOf(options, cluster, machine);
  WorkersLook looking({names, options.selector.value_or("")}, intent, machine.clock());
  auto seen = looking.look(cluster.client);
  if (options.dryRun) return planWorkers(intent, std::move(seen), looking, cluster.client);
  const auto before = behindIn(intent, seen);
  if (!options.yes && !before.empty()) confirm(intent, before);
  workers::Progress progress;
  const auto next = [&] {
    seen = looking.look(cluster.client);
    looking.empty(workers::emptied(intent, progress, seen), seen, cluster.client);
    progress = workers::remembered(intent, std::move(progress), seen);
    return workers::next(intent, progress, seen);
  };
  // Guards take no notice: it is nothing of the control plane's.
  const auto steps = stepsPerformed({.name = "upgrade workers", .access = cluster.access, .holder = cluster.setup.node.name, .state = "workers", .next = next}, machine);
  tell(intent, before, seen, steps);
  return ExitCode::done;
}

// ---- on the worker

struct OnWorkerOptions {
  Source source;
  bool looks = false;
};

ExitCode onWorker(const OnWorkerOptions& options) {
  UpgradeOptions upgrade{.kubelet = options.source.kubelet, .install = options.source.install, .ignorePreflightErrors = options.source.ignored, .bundle = options.source.bundle};
  if (!options.looks) return upgradeWorkerHere(std::move(upgrade));
  fmt::print("{}\n", reportOf({obstaclesOfWorkerHere(std::move(upgrade))}));
  return ExitCode::done;
}

} // namespace

Command upgradeWorkersCommand() {
  const auto options = std::make_shared<WorkersOptions>();
  const auto flags = [options] {
    auto all = sourceFlags(options->source);
    std::vector<Flag> own{
        {.name = "drain-timeout", .into = &options->drainTimeout, .doc = "How long the pods of one worker may take to leave it", .value = "DURATION", .standard = "5m"},
        {.name = "dry-run", .into = &options->dryRun, .doc = "Only say which steps there would be, and which pods may not move as things are"},
        {.name = "force", .into = &options->force, .doc = "Also end pods that nobody makes anew elsewhere", .letter = 'f'},
        kubeconfigFlag(options->kubeconfig),
        {.name = "parallel", .into = &options->parallel, .doc = "How many workers at a time", .value = "N", .standard = "1"},
        {.name = "selector", .into = &options->selector, .doc = "Only workers with these labels", .letter = 'l', .value = "LABEL=VALUE,..."},
        {.name = "skip-blocked", .into = &options->skips, .doc = "Go on with the others where a worker cannot be upgraded, or its pods may not leave in time"},
        {.name = "yes", .into = &options->yes, .doc = "Do not ask", .letter = 'y'}};
    all.insert(all.end(), own.begin(), own.end());
    std::ranges::sort(all, {}, &Flag::name);
    return all;
  };
  return {.name = "workers",
          .summary = "Upgrade the kubelets of the workers from one place",
          .description = "Gives workers the kubelet of the version that the cluster has, some at a time: pods move away, as disruption budgets let them, the kubelet and its settings "
                         "are replaced by a pod of kubestrap's own image, and pods may come again. Pods move to workers that are through, and so once each, as far as there is room. "
                         "It is run on a control plane. Without --kubelet, --bundle or --install the kubelet is expected to have been installed. It is safe to run again: a run that was "
                         "stopped goes on.",
          .flags = flags,
          .arguments = "[NAME...]",
          .run = [options](const auto& given) { return upgradeWorkers(*options, given); }};
}

Command upgradeWorkerOnNodeCommand() {
  const auto options = std::make_shared<OnWorkerOptions>();
  const auto flags = [options] {
    auto all = sourceFlags(options->source);
    all.push_back({.name = "look", .into = &options->looks, .doc = "Only say what stands in its way"});
    return all;
  };
  return {.name = "upgrade-worker",
          .summary = "What upgrade workers does on a worker",
          .flags = flags,
          .run = [options](const auto&) { return onWorker(*options); },
          .shown = Command::Shown::hidden};
}

} // namespace kubestrap::cmd
