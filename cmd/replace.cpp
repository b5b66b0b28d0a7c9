// node replace: another machine takes a node's place (phases/replacement.hpp).
#include "cmd/commands.hpp"
#include "cmd/confirm.hpp"
#include "cmd/invitation.hpp"
#include "cmd/node_look.hpp"
#include "cmd/operation.hpp"
#include "cmd/workflow.hpp"
#include "config/token.hpp"
#include "kube/reading.hpp"
#include "manifests/cluster_objects.hpp"
#include "phases/replacement.hpp"
#include "phases/workflows.hpp"
#include "plan/run.hpp"
#include "support/time.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

namespace kubestrap::cmd {

namespace {

namespace replacement = phases::replacement;

struct ReplaceOptions {
  std::optional<std::string> by, kubeconfig, drainTimeout, timeout;
  bool dryRun = false, force = false, yes = false;
};

replacement::SuccessorSeen successorSeen(const Value& node, const phases::removal::Seen& old) {
  replacement::SuccessorSeen seen{.ready = kube::isReady(node), .votes = false, .labels = {}, .taints = {}};
  const auto peer = phases::removal::peerUrlOf(stringAt(node, "metadata.name"), addressOf(node), old.members);
  seen.votes = std::ranges::any_of(old.members, [&](const auto& each) { return !peer.empty() && each.peerUrl == peer && !each.learner && each.answers; });
  if (const auto* labels = find(node, "metadata.labels")) seen.labels = labels->get<std::map<std::string, std::string>>();
  if (const auto* taints = find(node, "spec.taints")) seen.taints.assign(taints->begin(), taints->end());
  return seen;
}

/// A successor of the same name is known by what is kept of the one before it.
replacement::Seen look(const std::string& name, const std::string& successor, ControlPlane& cluster, Machine& machine) {
  replacement::Seen seen{.old = lookForRemoval(name, cluster, machine), .node = cluster.client.get({"v1", "Node", "", name}), .kept = {}, .successor = {}, .hasEtcd = cluster.setup.cluster.etcd.isLocal()};
  if (const auto kept = cluster.client.get({"v1", "ConfigMap", "kube-system", replacement::keptName(name)})) seen.kept = replacement::readKept(*kept);
  const auto by = seen.kept ? seen.kept->successor : successor;
  const auto candidate = by == name ? seen.node : cluster.client.get({"v1", "Node", "", by});
  const bool isAnother = candidate && seen.kept && stringAt(*candidate, "metadata.uid") != seen.kept->uid;
  if (isAnother) seen.successor = successorSeen(*candidate, seen.old);
  if (by == name && isAnother) {
    seen.old.node.reset();
    seen.old.peerUrl.clear();
    seen.old.published = false;
  }
  return seen;
}

/// The command with which the successor joins; from then on it may.
std::string invitation(const replacement::Kept& kept, const std::string& old, ControlPlane& cluster, Machine& machine) {
  const auto text = machine.host().read(cluster.access.kubeconfig).value();
  auto join = newInvitation(machine, kube::parseKubeconfig(text, cluster.access.kubeconfig.string()), std::chrono::hours(24), fmt::format("for {}, which replaces {}", kept.successor, old));
  if (kept.controlPlane) {
    auto setup = cluster.setup;
    setup.request.uploadCerts = true;
    setup.request.certificateKey = config::generateCertificateKey(machine.random());
    setup.request.certsExpire = machine.clock().now() + manifests::certsLifetime;
    auto world = machine.world();
    const auto reporter = reporterFor(plan::Mode::apply);
    plan::run(phases::initWorkflow(), {.only = "upload-certs", .skip = {}}, setup, {}, world, plan::Mode::apply, *reporter, "node replace");
    join.controlPlane = true;
    join.certificateKey = setup.request.certificateKey;
  }
  return manifests::onOneLine(manifests::text(join)) + " --node-name " + kept.successor;
}

void tell(const std::string& command, const std::string& successor) {
  if (format(globals()) != Format::text) fmt::print(stderr, "{}\n", Value::object({{"event", "invitation"}, {"node", successor}, {"joinCommand", command}}).dump());
  else fmt::print(stderr, "\nNow on the machine that becomes {}, as root:\n\n  {}\n\n", successor, command);
}

void confirm(const std::string& name, const std::string& successor, const replacement::Seen& seen) {
  if (seen.old.node && seen.old.node->hears()) fmt::print(stderr, "{} takes the place of {}, which is drained and made a bare machine again once {} is well.\n", successor, name, successor);
  else fmt::print(stderr, "{} is not Ready: the cluster forgets it, and then another machine takes its place as {}.\n", name, successor);
  if (const auto said = phases::removal::arithmetic(seen.old); !said.empty() && !seen.successor) fmt::print(stderr, "{}\n", said);
  confirmOrEnd();
}

std::string successorOf(const std::string& name, const ReplaceOptions& options, ControlPlane& cluster) {
  const auto kept = cluster.client.get({"v1", "ConfigMap", "kube-system", replacement::keptName(name)});
  const auto before = kept ? replacement::readKept(*kept).successor : "";
  if (!before.empty() && options.by && *options.by != before)
    throw Error(fmt::format("{} is being replaced by {} already", name, before), fmt::format("go on with --by {}, or delete ConfigMap kube-system/{}", before, replacement::keptName(name)), ExitCode::refused);
  const auto by = !before.empty() ? before : options.by.value_or(name);
  const auto node = cluster.client.get({"v1", "Node", "", name});
  if (before.empty() && by == name && node && kube::isReady(*node))
    throw Error(fmt::format("{} runs: its successor needs another name, since both are nodes for a while", name), "name it with --by", ExitCode::usage);
  if (before.empty() && by != name && cluster.client.get({"v1", "Node", "", by}))
    throw Error(fmt::format("the cluster has a node {} already", by), fmt::format("nothing has to join in place of {}: kubestrap node remove {}", name, name), ExitCode::refused);
  return by;
}

ExitCode replaceNode(const ReplaceOptions& options, const std::vector<std::string>& arguments) {
  if (arguments.size() != 1) throw Error("name the node that is replaced", "kubestrap node replace NAME [--by NAME]", ExitCode::usage);
  const auto& name = arguments[0];
  Machine machine(globals().rootfs);
  auto cluster = ownControlPlane(options.kubeconfig, machine);
  lookAtFront(cluster.setup, machine.host()); // which image is kubestrap's own
  const auto successor = successorOf(name, options, cluster);
  replacement::Intent intent{.removal = {.setup = cluster.setup, .node = name, .nodes = {.access = cluster.access, .image = cluster.setup.request.ownImage}, .force = options.force,
                                         .drain = parseDuration(options.drainTimeout.value_or("5m"))},
                             .successor = successor,
                             .patience = parseDuration(options.timeout.value_or("1h"))};
  auto seen = look(name, successor, cluster, machine);
  if (options.dryRun)
    return planOperation([&] { return replacement::next(intent, seen); }, [&](const plan::Next& done) { seen = replacement::assumed(std::move(seen), intent, done); });
  const auto first = replacement::next(intent, seen);
  if (const auto* stuck = std::get_if<plan::Stuck>(&first)) throw Error(stuck->cause, stuck->remedy, ExitCode::refused);
  if (!options.yes && !options.force && !std::holds_alternative<plan::Done>(first)) confirm(name, successor, seen);
  bool invited = false;
  return performOperation({.name = "node replace " + name, .access = cluster.access, .holder = cluster.setup.node.name,
                           .next = [&] {
                             const bool was = seen.wasKept || seen.kept, resets = seen.old.resets || (seen.old.node && !seen.old.node->pod.empty());
                             seen = look(name, successor, cluster, machine);
                             seen.wasKept = was;
                             seen.old.resets = resets;
                             if (replacement::waitsForJoin(seen) && !invited) {
                               tell(invitation(*seen.kept, name, cluster, machine), successor);
                               invited = true;
                             }
                             return replacement::next(intent, seen);
                           }},
                          machine, fmt::format("{} has taken the place of {}", successor, name));
}

} // namespace

Command replaceCommand() {
  const auto options = std::make_shared<ReplaceOptions>();
  const auto flags = [options]() -> std::vector<Flag> {
    return {{.name = "by", .into = &options->by, .doc = "The name of the new node (default that of the old one, where that is gone)", .value = "NAME"},
            {.name = "drain-timeout", .into = &options->drainTimeout, .doc = "How long the pods of one that runs may take to move", .value = "DURATION", .standard = "5m"},
            {.name = "dry-run", .into = &options->dryRun, .doc = "Only say which steps there would be"},
            {.name = "force", .into = &options->force, .doc = "Do not ask, and go on where etcd loses its quorum by it", .letter = 'f'},
            kubeconfigFlag(options->kubeconfig),
            {.name = "timeout", .into = &options->timeout, .doc = "How long the new machine is waited for", .value = "DURATION", .standard = "1h"},
            {.name = "yes", .into = &options->yes, .doc = "Do not ask", .letter = 'y'}};
  };
  return {.name = "replace",
          .summary = "Let another machine take a node's place",
          .description = "A node that is gone is forgotten first, and the command is printed with which the new machine joins in its role. One that runs stays until the new "
                         "one is well, and then is drained and reset. The new node gets the labels and taints that somebody gave the old one. A run that was stopped is "
                         "gone on with by running it again.",
          .flags = flags,
          .arguments = "NAME",
          .run = [options](const auto& given) { return replaceNode(*options, given); }};
}

} // namespace kubestrap::cmd
