// Many machines from one place: what a cluster.yaml describes, over ssh.
#include "cmd/cluster_fleet.hpp"
#include "cmd/cluster_inventory.hpp"
#include "cmd/cluster_lock.hpp"
#include "cmd/cluster_run.hpp"
#include "cmd/cluster_status.hpp"
#include "cmd/cluster_steps.hpp"
#include "cmd/commands.hpp"
#include "cmd/confirm.hpp"
#include "cmd/machine.hpp"
#include "cmd/output.hpp"
#include "support/log.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <iostream>
#include <memory>

namespace kubestrap::cmd {

namespace {

namespace fleet = phases::fleet;

struct ClusterOptions {
  std::optional<std::string> file;
  bool yes = false, prune = false, takeOver = false, exitCode = false, force = false;
};

constexpr std::chrono::seconds busyPatience = std::chrono::minutes(20), pause = std::chrono::seconds(2);

const std::string& fileOf(const ClusterOptions& options) {
  if (!options.file) throw Error("say which file describes the cluster", "kubestrap cluster ... -f cluster.yaml", ExitCode::usage);
  return *options.file;
}

using Planner = std::function<fleet::Plan(const fleet::Wish&, const fleet::Seen&)>;

/// What an operation asks before it begins, and how it is called.
struct Kind {
  std::string_view result;
  Planner planner;
  bool compares; ///< the cluster's settings and add-ons with the file's
  bool goesUnlocked; ///< where no control plane can be reached, which would keep the lock
  std::function<void(const Fleet&)> confirm;
};

/// Signals, and what else may end it: the loss of the lock.
struct Stopping {
  SignalWatch signals;
  std::stop_source source;
  std::stop_callback<std::function<void()>> bySignal{signals.token(), [this] { source.request_stop(); }};
};

FleetLook lookAndCompare(const Fleet& fleet) {
  auto look = fleet.look();
  fleet.compare(look);
  return look;
}

void tellWaiting(const std::string& busy) {
  if (format(globals()) == Format::text) log::write(0, fmt::format("waiting: another kubestrap is at work on {}", busy));
  else fmt::print(stderr, "{}\n", waitingEvent(busy).dump());
}

/// A run that was stopped here may go on there for a while.
FleetLook lookWhenQuiet(const Fleet& fleet, const fleet::Wish& wish, const Planner& planner, SystemClock& clock) {
  std::string told;
  for (const auto began = clock.now();;) {
    auto look = fleet.look();
    const auto busy = join(planner(wish, look.seen).busy, ", ");
    if (busy.empty()) return look;
    if (busy != told) tellWaiting(busy);
    told = busy;
    if (clock.now() - began > busyPatience) throw Error(fmt::format("another kubestrap has been at work for {} on {}", humanDuration(busyPatience), busy), "see there what it waits for: ps -C kubestrap -f");
    clock.sleep(pause);
  }
}

/// The first control plane that answers: two operators come to the same one. Nothing: none does, and what is done goes on without.
std::optional<std::string> lockHost(const config::ClusterFile& file, const fleet::Seen& seen, const Kind& kind) {
  for (const auto& host : file.inventory.hosts)
    if (host.controlPlane() && seen.of(host.name).unreachable.empty()) return host.name;
  const auto& first = seen.of(file.first().name);
  const auto cause = fmt::format("no control plane can be reached: {}: {}", file.first().name, first.unreachable);
  if (!kind.goesUnlocked) throw Error(cause, first.hint);
  log::warn(cause + "; so nobody can be kept from doing the same at this moment");
  return std::nullopt;
}

Value planDocument(std::string_view kind, const fleet::Wish& wish, const fleet::Plan& plan) {
  auto document = result(kind);
  document.update(planValue(wish, plan));
  return document;
}

void refuseStuck(const fleet::Plan& plan) {
  for (const auto& trouble : plan.troubles)
    if (trouble.host.empty()) throw Error(trouble.cause, trouble.remedy);
}

ExitCode runPlan(const ClusterOptions& options) {
  SignalWatch signals;
  Fleet fleet(fileOf(options), signals.token());
  const auto wish = fleet.wish(options.prune);
  const auto plan = fleet::planApply(wish, lookAndCompare(fleet).seen);
  fleet.judgeBundle(plan);
  if (const auto as = format(globals()); as != Format::text) printResult(planDocument("ClusterPlan", wish, plan), as);
  else fmt::print("{}", planText(wish, plan));
  refuseStuck(plan);
  return options.exitCode && !plan.steps.empty() ? ExitCode::differs : ExitCode::done;
}

ExitCode runStatus(const ClusterOptions& options) {
  SignalWatch signals;
  const Fleet fleet(fileOf(options), signals.token());
  const auto look = fleet.look();
  if (const auto as = format(globals()); as != Format::text) {
    auto document = result("ClusterStatus");
    document.update(statusValue(fleet.file(), look));
    printResult(document, as);
  } else {
    fmt::print("{}", statusText(fleet.file(), look));
  }
  return options.exitCode && !isWell(fleet.file(), look) ? ExitCode::differs : ExitCode::done;
}

ExitCode runInventory(const ClusterOptions& options) {
  const auto as = format(globals());
  if (as == Format::text) {
    fmt::print("{}", inventoryText(readClusterFile(fileOf(options))));
    return ExitCode::done;
  }
  std::vector<std::string> warnings;
  const auto file = readClusterFile(fileOf(options), warnings);
  auto document = result("ClusterInventory");
  document.update(inventoryValue(file, warnings));
  printResult(document, as);
  return ExitCode::done;
}

/// Before it is asked and begun: on a terminal as people read it, else as an event.
void tellPlan(const fleet::Wish& wish, const fleet::Plan& plan) {
  if (format(globals()) == Format::text) {
    fmt::print(stderr, "{}", planText(wish, plan));
    return;
  }
  Value record{{"event", "planned"}};
  record.update(planValue(wish, plan));
  fmt::print(stderr, "{}\n", record.dump());
}

ExitCode tell(const fleet::Plan& plan, const std::vector<StepOutcome>& outcomes, const Kind& kind) {
  const auto failures = failuresText(plan, outcomes);
  if (const auto as = format(globals()); as != Format::text) {
    auto document = result(kind.result);
    document["changed"] = std::ranges::any_of(outcomes, [](const StepOutcome& each) { return each.state == fleet::State::done; });
    document["succeeded"] = failures.empty();
    document["steps"] = outcomesValue(plan, outcomes);
    document["unreached"] = Value::array();
    for (const auto& trouble : plan.troubles) document["unreached"].push_back({{"host", trouble.host}, {"error", trouble.cause}, {"hint", trouble.remedy}});
    document["notes"] = plan.notes;
    printResult(document, as);
  } else if (!failures.empty()) {
    fmt::print(stderr, "not done:\n{}", failures);
  }
  return failures.empty() ? ExitCode::done : ExitCode::failed;
}

ExitCode operate(const ClusterOptions& options, const Kind& kind) {
  Stopping stopping;
  SystemClock clock(stopping.source.get_token());
  Fleet fleet(fileOf(options), stopping.source.get_token());
  const auto wish = fleet.wish(options.prune);
  auto look = kind.compares ? lookAndCompare(fleet) : fleet.look();
  auto plan = kind.planner(wish, look.seen);
  fleet.judgeBundle(plan);
  if (plan.steps.empty() || plan.stuck()) {
    tellPlan(wish, plan);
    refuseStuck(plan);
    if (plan.busy.empty()) return tell(plan, {}, kind);
  }
  std::atomic<bool> lost = false;
  std::optional<ClusterLock> lock;
  if (const auto keeper = lockHost(fleet.file(), look.seen, kind))
    lock.emplace(fleet, *keeper, options.takeOver ? ClusterLock::Take::over : ClusterLock::Take::ifFree, [&] {
      lost = true;
      stopping.source.request_stop();
    });
  // What was seen before may be another operator's, who has ended meanwhile.
  look = lookWhenQuiet(fleet, wish, kind.planner, clock);
  if (kind.compares) fleet.compare(look);
  plan = kind.planner(wish, look.seen);
  fleet.judgeBundle(plan);
  tellPlan(wish, plan);
  refuseStuck(plan);
  if (plan.steps.empty()) return tell(plan, {}, kind);
  if (!options.yes) kind.confirm(fleet);
  std::vector<StepOutcome> outcomes;
  try {
    LiveView view;
    ClusterSteps steps(fleet, look.seen.asked, options.force ? PodsAlone::ended : PodsAlone::refused, view);
    outcomes = carryOut(plan, [&](const fleet::Step& step) { steps.perform(step); }, view, stopping.source.get_token());
  } catch (const Interrupted&) {
    if (lost && !stopping.signals.token().stop_requested())
      throw Error("somebody else has taken the lock over, or the connection that kept it broke", "the same command goes on from here", ExitCode::refused);
    throw;
  }
  const auto code = tell(plan, outcomes, kind);
  if (options.exitCode && code == ExitCode::done && std::ranges::any_of(outcomes, [](const auto& each) { return each.state == fleet::State::done; })) return ExitCode::differs;
  return code;
}

void confirmByName(const Fleet& fleet) {
  fmt::print(stderr, "This ends the cluster: its machines are made bare again, and all that is in etcd is gone.\nIts name, to go on ({}): ", fleet.file().name);
  std::fflush(stderr);
  std::string answer;
  std::getline(std::cin, answer);
  if (trim(answer) != fleet.file().name) throw Error("nothing was done: it was not confirmed", "answer with the cluster's name, or give --yes");
}

ExitCode runApply(const ClusterOptions& options) {
  return operate(options, {"ClusterApplyResult", fleet::planApply, true, false, [](const Fleet&) { confirmOrEnd(); }});
}

ExitCode runDestroy(const ClusterOptions& options) { return operate(options, {"ClusterDestroyResult", fleet::planDestroy, false, true, confirmByName}); }

using Options = std::shared_ptr<ClusterOptions>;

/// Those of a command, by name, out of all that there are.
Flags flagsOf(const Options& options, std::initializer_list<std::string_view> names) {
  return [options, wanted = std::vector<std::string_view>(names)] {
    std::vector<Flag> flags{{.name = "exit-code", .into = &options->exitCode, .doc = "End with 4 when something was, or would be, changed; with status, when something is wrong"},
                            {.name = "file", .into = &options->file, .doc = "The file that describes the cluster: a document of kind Cluster, and kubeadm's; - is standard input", .letter = 'f', .value = "FILE"},
                            {.name = "force", .into = &options->force, .doc = "Also end pods that nobody makes anew elsewhere, where a node is drained for another kubelet"},
                            {.name = "prune", .into = &options->prune, .doc = "Also take out nodes that the file does not have: they are drained and made bare; of those that are gone the cluster forgets all"},
                            {.name = "take-over", .into = &options->takeOver, .doc = "End the run of another operator, and go on in its place"},
                            {.name = "yes", .into = &options->yes, .doc = "Do not ask", .letter = 'y'}};
    std::erase_if(flags, [&](const Flag& flag) { return std::ranges::find(wanted, flag.name) == wanted.end(); });
    return flags;
  };
}

} // namespace

Command clusterCommand() {
  const auto options = std::make_shared<ClusterOptions>();
  return {.name = "cluster",
          .summary = "Make, see and end a whole cluster from one place, over ssh",
          .description = "A cluster.yaml names the machines and how they are reached, and has the documents of init beside that. Machines need sshd and a shell, and what every node needs: a container "
                         "runtime and the kubelet, which may come from a bundle. ssh is the user's own, with its configuration, agent and known hosts.",
          .children = {{.name = "plan",
                        .summary = "Look at all machines at once, and say what apply would do",
                        .flags = flagsOf(options, {"exit-code", "file", "prune"}),
                        .run = [options](const auto&) { return runPlan(*options); }},
                       {.name = "apply",
                        .summary = "Make the machines what the file says",
                        .description = "Shows the plan, asks, and does it: at once where the order does not matter, one after the other where it does. It is safe to run again: what is as it should be is "
                                       "kept, and a run that was stopped goes on. A machine that fails does not keep others from going on.",
                        .flags = flagsOf(options, {"exit-code", "file", "force", "prune", "take-over", "yes"}),
                        .run = [options](const auto&) { return runApply(*options); }},
                       {.name = "status",
                        .summary = "Show how all machines do, and what is wrong",
                        .flags = flagsOf(options, {"exit-code", "file"}),
                        .run = [options](const auto&) { return runStatus(*options); }},
                       {.name = "destroy",
                        .summary = "Make all machines bare again: the cluster ends",
                        .description = "Workers first, all at once, then control planes one by one, the first at the end. Machines that cannot be reached are named. It is safe to run again.",
                        .flags = flagsOf(options, {"file", "take-over", "yes"}),
                        .run = [options](const auto&) { return runDestroy(*options); }},
                       {.name = "inventory",
                        .summary = "Check the file, and print its machines and how they are reached; none is asked",
                        .description = "With -o json or yaml it is all that the file says, with paths made whole and each machine's ssh settings put together; the documents beside it are as they stand "
                                       "there, with the secrets that they have. What the file does not say is left out.",
                        .flags = flagsOf(options, {"file"}),
                        .run = [options](const auto&) { return runInventory(*options); }},
                       cloudInitCommand()}};
}

} // namespace kubestrap::cmd
