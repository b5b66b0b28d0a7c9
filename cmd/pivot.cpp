// pivot and unpivot: looks at the cluster for phases/pivot.cpp, and drives what it says.
#include "cmd/commands.hpp"
#include "cmd/control_plane.hpp"
#include "cmd/operation.hpp"
#include "cmd/pivot.hpp"
#include "cmd/reconfigure_look.hpp"
#include "cmd/rotation_look.hpp"

#include <memory>

namespace kubestrap::cmd {

namespace {

using phases::pivot::Goal;
using phases::pivot::Seen;

struct PivotOptions {
  std::optional<std::string> kubeconfig;
  bool dryRun = false;
};

plan::Operation operation(Goal goal, const std::string& name, ControlPlane& cluster, Machine& machine) {
  return {.name = name, .access = cluster.access, .holder = cluster.setup.node.name, .state = "commits",
          .next = [goal, &cluster, &machine] { return phases::pivot::next(goal, cluster.setup, lookAtControlPlane(cluster.client, machine.clock().now())); }};
}

ExitCode run(Goal goal, const std::string& name, const PivotOptions& options) {
  Machine machine(globals().rootfs);
  refuseWhileRotating(machine.host(), name);
  auto cluster = hostedControlPlane(name, options.kubeconfig, machine);
  refuseWhileEncryptionMoves(cluster.setup.cluster, machine.host(), name);
  if (options.dryRun) {
    auto seen = lookAtControlPlane(cluster.client, machine.clock().now());
    return planOperation([&] { return phases::pivot::next(goal, cluster.setup, seen); },
                         [&](const plan::Next& done) { seen = phases::pivot::assumed(goal, std::move(seen), done); });
  }
  return performOperation(operation(goal, name, cluster, machine), machine,
                          goal == Goal::selfHosted ? "the control plane runs in its own cluster" : "the control plane runs from files on its nodes");
}

Command command(Goal goal, std::string name, std::string summary, std::string description) {
  const auto options = std::make_shared<PivotOptions>();
  const auto flags = [options]() -> std::vector<Flag> {
    return {kubeconfigFlag(options->kubeconfig),
            {.name = "dry-run", .into = &options->dryRun, .doc = "Only say which steps there would be"}};
  };
  return {.name = name, .summary = std::move(summary), .description = std::move(description), .flags = flags,
          .run = [=](const auto&) { return run(goal, name, *options); }};
}

} // namespace

std::vector<std::string> selfHost(Machine& machine) {
  auto cluster = hostedControlPlane("pivot", std::nullopt, machine);
  return stepsPerformed(operation(Goal::selfHosted, "pivot", cluster, machine), machine);
}

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
