// repair: looks at the DaemonSets and at what stands by here for phases/repair.cpp, and drives what it says.
#include "cmd/commands.hpp"
#include "cmd/control_plane.hpp"
#include "cmd/operation.hpp"
#include "cmd/output.hpp"
#include "cmd/reconfigure_look.hpp"

#include "guard/disk.hpp"
#include "kube/client.hpp"
#include "phases/repair.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

namespace kubestrap::cmd {

namespace {

namespace repair = phases::repair;

struct RepairOptions {
  std::optional<std::string> kubeconfig;
  bool fromConfig = false, anyway = false, dryRun = false;
};

/// What stands by here, the one before it where the present one is not fit.
std::map<std::string, repair::Standby> standbys(host::Host& host) {
  guard::Disk disk(host);
  std::map<std::string, repair::Standby> found;
  for (guard::Component component = 0; component < phases::guard::count; ++component)
    for (const auto slot : {manifests::Slot::previous, manifests::Slot::rescue})
      if (auto pod = disk.standby(component, slot)) found[std::string(phases::guard::nameOf(component))] = {*std::move(pod), slot};
  return found;
}

repair::Seen look(kube::Client& client, TimePoint now) {
  repair::Seen seen{.controlPlane = lookAtControlPlane(client, now), .daemonSets = {}, .standbys = {}};
  for (const auto name : manifests::hostedComponents)
    if (auto set = client.get({"apps/v1", "DaemonSet", "kube-system", std::string(name)})) seen.daemonSets[std::string(name)] = *std::move(set);
  return seen;
}

/// The component whose DaemonSet a step makes; empty: none.
std::string madeBy(const plan::Step& step) {
  const auto* object = step.work.empty() ? nullptr : std::get_if<plan::Object>(&step.work.front());
  return object && object->mode == plan::ApplyMode::apply && stringAt(object->document, "kind") == "DaemonSet" ? stringAt(object->document, "metadata.name") : "";
}

/// Why what is to be made again has to be.
std::map<std::string, std::string> reasons(const repair::Wanted& wanted, const repair::Seen& seen) {
  std::map<std::string, std::string> found;
  for (const auto& component : wanted.components) {
    auto reason = repair::ruinOf(component, seen);
    if (!reason.empty() || wanted.anyway) found[component] = reason.empty() ? "it was asked for" : std::move(reason);
  }
  return found;
}

ExitCode tellPlan(const std::map<std::string, std::string>& ruined) {
  if (const auto as = format(globals()); as != Format::text) {
    auto document = result("RepairPlan");
    document["changed"] = !ruined.empty();
    document["ruined"] = ruined;
    printResult(document, as);
    return ExitCode::done;
  }
  if (ruined.empty()) fmt::print("nothing to repair\n");
  for (const auto& [component, reason] : ruined) fmt::print("{}: to be made again, since {}\n", component, reason);
  return ExitCode::done;
}

ExitCode runRepair(const RepairOptions& options, const std::vector<std::string>& arguments) {
  const auto named = hostedComponentsNamed(arguments, "runs as a DaemonSet");
  const repair::Wanted wanted{.components = {named.begin(), named.end()}, .anyway = options.anyway};
  Machine machine(globals().rootfs);
  auto cluster = hostedControlPlane("repair", options.kubeconfig, machine);
  if (options.fromConfig || !standbys(machine.host()).contains("kube-apiserver")) refuseWhileEncryptionMoves(cluster.setup.cluster, machine.host(), "a repair from the configuration");
  const auto looked = [&] {
    auto seen = look(cluster.client, machine.clock().now());
    if (!options.fromConfig) seen.standbys = standbys(machine.host());
    return seen;
  };
  if (options.dryRun) return tellPlan(reasons(wanted, looked()));
  std::set<std::string> remade;
  const auto next = [&] {
    auto found = repair::next(wanted, cluster.setup, looked(), remade);
    if (const auto* step = std::get_if<plan::Step>(&found))
      if (const auto made = madeBy(*step); !made.empty()) remade.insert(made);
    return found;
  };
  return performOperation({.name = "repair", .access = cluster.access, .holder = cluster.setup.node.name, .state = "commits", .next = next}, machine,
                          "the DaemonSets are as they have to be");
}

} // namespace

Command repairCommand() {
  const auto options = std::make_shared<RepairOptions>();
  return {.name = "repair",
          .summary = "Make DaemonSets of the control plane again that are gone or ruined",
          .description = "Makes the DaemonSets of API server, controller-manager and scheduler again, or those that are named, where they are gone, no static pod "
                         "can be made of them, or none of their pods serves though what stands by does. They are made of what stands by on this node, or with "
                         "--from-config of the cluster's configuration. Static pods serve meanwhile, and go when the DaemonSets' pods are ready.",
          .flags = [options] {
            return std::vector<Flag>{{.name = "anyway", .into = &options->anyway, .doc = "Make them again, whatever they look like"},
                                     {.name = "dry-run", .into = &options->dryRun, .doc = "Only say what would be made again, and why"},
                                     {.name = "from-config", .into = &options->fromConfig, .doc = "Make them of the cluster's configuration, not of what stands by"},
                                     kubeconfigFlag(options->kubeconfig)};
          },
          .arguments = "[COMPONENT...]",
          .run = [options](const auto& given) { return runRepair(*options, given); },
          .choices = {manifests::hostedComponents.begin(), manifests::hostedComponents.end()}};
}

} // namespace kubestrap::cmd
