// pivot and unpivot: looks at the cluster for phases/pivot.cpp, and drives what it says.
#include "cmd/commands.hpp"
#include "cmd/control_plane.hpp"
#include "cmd/machine.hpp"
#include "cmd/output.hpp"
#include "cmd/own_cluster.hpp"
#include "cmd/workflow.hpp"

#include "kube/client.hpp"
#include "kube/reading.hpp"
#include "manifests/guard.hpp"
#include "manifests/hosted.hpp"
#include "phases/node.hpp"
#include "phases/pivot.hpp"
#include "plan/operation.hpp"
#include "support/text.hpp"
#include "support/yaml.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

namespace kubestrap::cmd {

namespace {

using phases::pivot::Goal;
using phases::pivot::Seen;

struct PivotOptions {
  std::optional<std::string> kubeconfig;
  bool dryRun = false;
};

Value asValue(const std::vector<std::string>& steps, bool planned) {
  auto document = result(planned ? "OperationPlan" : "OperationResult");
  document["changed"] = !steps.empty();
  document["steps"] = Value::array();
  for (const auto& step : steps) document["steps"].push_back(Value::object({{"name", step}}));
  return document;
}

/// Every step there would be, each assumed to go well.
ExitCode planSteps(Goal goal, const config::Setup& setup, Seen seen) {
  std::vector<std::string> steps;
  for (;;) {
    const auto next = phases::pivot::next(goal, setup, seen);
    if (const auto* stuck = std::get_if<plan::Stuck>(&next)) throw Error(stuck->cause, stuck->remedy);
    if (std::holds_alternative<plan::Done>(next)) break;
    if (const auto* waiting = std::get_if<plan::Waiting>(&next)) {
      steps.push_back("wait until " + waiting->what);
      break; // what comes after it hangs on what is seen then
    }
    steps.push_back(std::get<plan::Step>(next).name);
    seen = phases::pivot::assumed(goal, std::move(seen), next);
  }
  if (const auto as = format(globals()); as != Format::text) printResult(asValue(steps, true), as);
  else if (steps.empty()) fmt::print("nothing to do\n");
  for (const auto& step : steps)
    if (format(globals()) == Format::text) fmt::print("{}\n", step);
  return ExitCode::done;
}

ExitCode run(Goal goal, const std::string& name, const PivotOptions& options) {
  Machine machine(globals().rootfs);
  const auto own = ownCluster({}, options.kubeconfig, machine);
  if (!own.known) throw Error("the cluster's configuration cannot be read", "run this on a control plane node whose API server answers");
  if (!manifests::isHosted(own.cluster))
    throw Error(fmt::format("{} needs control planes of layout hosted, and this cluster's are plain", name),
                "make a cluster with layout: hosted in KubestrapConfiguration", ExitCode::refused);
  config::Setup setup{.cluster = own.cluster, .node = {}, .request = {}};
  setup.node = ownNode(machine, setup.cluster);
  if (options.kubeconfig) setup.request.kubeconfig = std::filesystem::absolute(*options.kubeconfig);
  const auto access = phases::asAdmin(setup);
  const auto text = machine.host().read(access.kubeconfig);
  if (!text) throw Error(fmt::format("{} is absent", access.kubeconfig.string()), "name another one with --kubeconfig");
  kube::Client client(machine.http(), kube::parseKubeconfig(*text, access.kubeconfig.string()), access.server);
  const auto looked = [&] { return lookAtControlPlane(client, machine.clock().now()); };
  if (options.dryRun) return planSteps(goal, setup, looked());

  machine.useRuntime("unix:///var/run/containerd/containerd.sock");
  auto world = machine.world();
  const auto reporter = reporterFor(plan::Mode::apply);
  const auto lock = machine.host().lock(name);
  std::vector<std::string> steps;
  plan::perform({.name = name, .access = access, .holder = setup.node.name, .next = [&] {
                   auto next = phases::pivot::next(goal, setup, looked());
                   if (const auto* step = std::get_if<plan::Step>(&next)) steps.push_back(step->name);
                   return next;
                 }}, world, *reporter);
  if (const auto as = format(globals()); as != Format::text) printResult(asValue(steps, false), as);
  else fmt::print(stderr, "{}\n", goal == Goal::selfHosted ? "the control plane runs in its own cluster" : "the control plane runs from files on its nodes");
  return ExitCode::done;
}

Command command(Goal goal, std::string name, std::string summary, std::string description) {
  const auto options = std::make_shared<PivotOptions>();
  const auto flags = [options]() -> std::vector<Flag> {
    return {{.name = "kubeconfig", .into = &options->kubeconfig, .doc = "The kubeconfig to speak to the cluster with", .value = "FILE", .standard = "/etc/kubernetes/admin.conf"},
            {.name = "dry-run", .into = &options->dryRun, .doc = "Only say which steps there would be"}};
  };
  return {.name = name, .summary = std::move(summary), .description = std::move(description), .flags = flags,
          .run = [=](const auto&) { return run(goal, name, *options); }};
}

} // namespace

std::vector<Command> pivotCommands() {
  return {command(Goal::selfHosted, "pivot", "Let the control plane run in its own cluster",
                  "Makes DaemonSets of API server, controller-manager and scheduler, lets their pods come to one control plane node after the other, "
                  "beside the static pods that run there, and takes those away when the others serve. What stands by on each node brings the control "
                  "plane back after a power loss, without a hand. No request fails on the way. Interrupted anywhere, it goes on when it is run again; "
                  "kubestrap unpivot goes back."),
          command(Goal::staticPods, "unpivot", "Let the control plane run from files on its nodes again",
                  "Puts the static pods beside the pods of the DaemonSets, one node after the other, and takes the DaemonSets away when they serve. It "
                  "needs none of the DaemonSets' pods to be in order.")};
}

} // namespace kubestrap::cmd
