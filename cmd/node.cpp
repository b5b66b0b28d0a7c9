// Nodes over time, as a control plane sees them; and what pods do on the machine of their node (manifests/node_op.hpp).
#include "cmd/commands.hpp"
#include "cmd/confirm.hpp"
#include "cmd/node_look.hpp"
#include "cmd/operation.hpp"
#include "cmd/workflow.hpp"
#include "host/enter.hpp"
#include "kube/reading.hpp"
#include "manifests/front.hpp"
#include "phases/removal.hpp"
#include "support/log.hpp"
#include "support/text.hpp"
#include "support/time.hpp"
#include "support/yaml.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

namespace kubestrap::cmd {

namespace {

namespace removal = phases::removal;

struct RemoveOptions {
  std::optional<std::string> kubeconfig, drainTimeout;
  bool drain = false, dryRun = false, force = false, yes = false;
};

void confirm(const std::string& name, const removal::Seen& seen) {
  if (!seen.node) fmt::print(stderr, "The cluster has no Node {}; what else it knows of it is taken away.\n", name);
  else if (seen.node->hears()) fmt::print(stderr, "{} is made a bare machine again, and taken out of the cluster.\n", name);
  else fmt::print(stderr, "{} is not Ready: the cluster forgets it. Its machine stays as it is; should it come back, run kubestrap reset there.\n", name);
  if (const auto said = removal::arithmetic(seen); !said.empty()) fmt::print(stderr, "{}\n", said);
  confirmOrEnd();
}

/// An even number of members bears no more losses than one less.
void warnOfEven(const removal::Seen& seen) {
  const auto voters = std::ranges::count_if(seen.members, [](const auto& each) { return !each.learner; });
  if (voters > 0 && voters % 2 == 0)
    log::warn(fmt::format("etcd has {} members now: it stops when {} of them are lost, as with {}, and has one more to lose; let another control plane join", voters,
                          voters / 2, voters - 1));
}

ExitCode removeNode(const RemoveOptions& options, const std::vector<std::string>& arguments) {
  if (arguments.size() != 1) throw Error("name the node that shall go", "kubestrap node remove NAME", ExitCode::usage);
  const auto& name = arguments[0];
  Machine machine(globals().rootfs);
  auto cluster = ownControlPlane(options.kubeconfig, machine);
  lookAtFront(cluster.setup, machine.host()); // which image is kubestrap's own
  removal::Intent intent{.setup = cluster.setup, .node = name, .nodes = {.access = cluster.access, .image = cluster.setup.request.ownImage}, .force = options.force, .drain = {}};
  if (options.drain || options.drainTimeout) intent.drain = parseDuration(options.drainTimeout.value_or("5m"));
  auto seen = lookForRemoval(name, cluster, machine);
  if (options.dryRun)
    return planOperation([&] { return removal::next(intent, seen); }, [&](const plan::Next& done) { seen = removal::assumed(std::move(seen), done); });
  const auto first = removal::next(intent, seen);
  if (const auto* stuck = std::get_if<plan::Stuck>(&first)) throw Error(stuck->cause, stuck->remedy, ExitCode::refused);
  if (!options.yes && !options.force && !std::holds_alternative<plan::Done>(first)) confirm(name, seen);
  const auto code = performOperation({.name = "node remove " + name, .access = cluster.access, .holder = cluster.setup.node.name,
                                      .next = [&] {
                                        const bool resets = seen.resets || (seen.node && !seen.node->pod.empty());
                                        seen = lookForRemoval(name, cluster, machine);
                                        seen.resets = resets;
                                        return removal::next(intent, seen);
                                      }},
                                     machine, fmt::format("the cluster goes on without {}", name));
  if (!std::holds_alternative<plan::Done>(first)) warnOfEven(seen);
  return code;
}

Command removeCommand() {
  const auto options = std::make_shared<RemoveOptions>();
  const auto flags = [options]() -> std::vector<Flag> {
    return {{.name = "drain", .into = &options->drain, .doc = "First move the pods that may move to other nodes"},
            {.name = "drain-timeout", .into = &options->drainTimeout, .doc = "How long that may take", .value = "DURATION", .standard = "5m"},
            {.name = "dry-run", .into = &options->dryRun, .doc = "Only say which steps there would be"},
            {.name = "force", .into = &options->force, .doc = "Do not ask, and go on where etcd loses its quorum by it", .letter = 'f'},
            kubeconfigFlag(options->kubeconfig),
            {.name = "yes", .into = &options->yes, .doc = "Do not ask", .letter = 'y'}};
  };
  return {.name = "remove",
          .summary = "Take a node out of the cluster, whether it runs or is gone",
          .description = "A node that is Ready is told to reset itself. Of one that is not the cluster forgets all that it knows: its member of etcd, its API server in "
                         "the balancers' lists, its Node and Leases. It is refused where too few members of etcd would answer afterwards.",
          .flags = flags,
          .arguments = "NAME",
          .run = [options](const auto& given) { return removeNode(*options, given); }};
}

Command enterCommand() {
  return {.name = "enter",
          .summary = "Run a program of the machine from within a pod",
          .arguments = "WORDS", // a list as JSON: flags in it are not ours
          .run = [](const std::vector<std::string>& arguments) -> ExitCode {
            if (arguments.size() != 1) throw Error("a program's words are wanted as one list in JSON", {}, ExitCode::usage);
            host::becomeOnMachine(parseJson(arguments[0], "the list of words").get<std::vector<std::string>>());
          },
          .shown = Command::Shown::hidden};
}

} // namespace

Command nodeCommand() {
  return {.name = "node", .summary = "Nodes that come and go", .children = {readdressCommand(), removeCommand(), replaceCommand(), enterCommand(), labelNodeCommand(), taintNodeCommand(), rotateOnNodeCommand(), convertOnNodeCommand(), rollEtcdOnNodeCommand(), reconfigureOnNodeCommand(), upgradeWorkerOnNodeCommand()}};
}

} // namespace kubestrap::cmd
