// What runs in the pod of a node's guard.
#include "cmd/commands.hpp"
#include "cmd/machine.hpp"

#include "certs/catalogue.hpp"
#include "config/paths.hpp"
#include "guard/run.hpp"
#include "support/text.hpp"

#include <malloc.h>

#include <charconv>
#include <memory>

namespace kubestrap::cmd {

namespace {

struct GuardFlags {
  std::string node, address, server = "https://127.0.0.1:6443", etcd = "http://127.0.0.1:2381/readyz";
  std::string kubeconfig = (config::paths::guardCredentials / "kubeconfig").string();
  std::optional<int> slotPort;
  std::string commit, stable, putBack;
};

void setDuration(const std::string& text, Duration& duration) {
  if (!text.empty()) duration = parseDuration(text);
}

ExitCode runGuard(const GuardFlags& flags) {
  if (flags.node.empty() || flags.address.empty()) throw Error("--node and --address say whom to guard", {}, ExitCode::usage);
  // A dozen threads come and go each second; a heap for each would be most of the guard's memory.
  mallopt(M_ARENA_MAX, 1);
  guard::Options options{.node = flags.node,
                         .address = flags.address,
                         .targets = {.apiServerPort = flags.slotPort.value_or(6443), .etcd = split(flags.etcd, ','), .front = flags.server},
                         .kubeconfig = flags.kubeconfig,
                         .timings = {}};
  setDuration(flags.commit, options.timings.commit);
  setDuration(flags.stable, options.timings.stable);
  setDuration(flags.putBack, options.timings.putBack);
  SignalWatch signals;
  host::LocalHost host("/", signals.token());
  guard::run(options, host, signals.token());
  return ExitCode::done;
}

std::vector<Flag> guardFlags(GuardFlags& flags) {
  return {{.name = "node", .into = &flags.node, .doc = "The node that is guarded", .value = "NODE"},
          {.name = "address", .into = &flags.address, .doc = "The address by which its API servers are known to the cluster", .value = "ADDRESS"},
          {.name = "server", .into = &flags.server, .doc = "The node's balancer", .value = "URL"},
          {.name = "slot-port", .into = &flags.slotPort, .doc = "The port of API servers in their slots", .value = "PORT", .standard = "6443"},
          {.name = "etcd", .into = &flags.etcd, .doc = "Where etcd says whether it is ready, with commas between several", .value = "URL"},
          {.name = "kubeconfig", .into = &flags.kubeconfig, .doc = "Who the guard is to the cluster", .value = "FILE"},
          {.name = "commit", .into = &flags.commit, .doc = "How long a revision has to last until it becomes the standby", .value = "DURATION", .standard = "2m"},
          {.name = "put-back", .into = &flags.putBack, .doc = "How long a roll may not get on, without a sign of its driver, until the revision before is in force again",
           .value = "DURATION", .standard = "10m"},
          {.name = "stable", .into = &flags.stable, .doc = "How long a pod that came back has to last until its static pod goes", .value = "DURATION", .standard = "10s"}};
}

} // namespace

Command guardCommand() {
  const auto flags = std::make_shared<GuardFlags>();
  Command run{.name = "run", .summary = "Guard the control plane of this node until told to end", .flags = [flags] { return guardFlags(*flags); },
              .run = [flags](const auto&) { return runGuard(*flags); }};
  return {.name = "guard", .summary = "What runs in the pod of a node's guard", .children = {std::move(run)}, .shown = Command::Shown::hidden};
}

} // namespace kubestrap::cmd
