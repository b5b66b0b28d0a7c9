// What runs in the pod of a node's balancer: HAProxy itself, and who keeps its list of servers.
#include "cmd/commands.hpp"
#include "cmd/globals.hpp"
#include "cmd/machine.hpp"

#include "config/assemble.hpp"
#include "front/follow.hpp"
#include "kube/discovery.hpp"
#include "manifests/front.hpp"
#include "support/log.hpp"

#include <fmt/format.h>

#include <csignal>
#include <cstdlib>
#include <memory>
#include <unistd.h>

namespace kubestrap::cmd {

namespace {

namespace paths = config::paths;

struct FrontOptions {
  std::string slot, server, authority, own, slots;
};

void requireSlot(const FrontOptions& options) {
  if (options.slot != "a" && options.slot != "b") throw Error("--slot is a or b", {}, ExitCode::usage);
}

bool hasSlots(const FrontOptions& options) { return options.slots == "true"; }

/// Becomes HAProxy. Where one of the other slot runs, its listening sockets are taken over, so that nobody is refused.
ExitCode runFront(const FrontOptions& options) {
  requireSlot(options);
  const auto other = manifests::frontSocket(options.slot == "a" ? "b" : "a");
  const bool takesOver = front::RuntimeSocket(other).answers();
  const auto marker = manifests::frontMarker(options.slot);
  std::filesystem::remove(marker);
  setenv("FRONT_SOCKET", manifests::frontSocket(options.slot).c_str(), 1);
  setenv("FRONT_MARKER", marker.c_str(), 1);
  setenv("FRONT_STARTS", takesOver ? "open" : "closed", 1);
  std::vector<std::string> words{"haproxy", "-db", "-f", paths::front / "haproxy.cfg", "-f", manifests::frontServersFile()};
  if (takesOver) words.insert(words.end(), {"-x", other});
  become(std::move(words), "this command is for the balancer's pod");
}

/// Before the kubelet ends HAProxy at once: lets it stop as its connections end. The kubelet sets the limit (grace period).
ExitCode drainFront() {
  if (kill(1, SIGUSR1) != 0) throw Error("the first process of this container cannot be told to stop");
  for (;;) pause();
}

void writeServers(const std::map<std::string, config::Endpoint>& servers, const FrontOptions& options, host::Host& host) {
  const auto text = manifests::frontServers(servers, hasSlots(options) ? "" : options.own);
  const auto file = manifests::frontServersFile();
  if (host.read(file) == text) return;
  host.write(file, text, 0644);
  log::info(0, "{} names {} API servers", file.string(), servers.size());
}

void followOnce(const FrontOptions& options, Machine& machine) {
  const auto authorities = machine.host().read(options.authority);
  if (!authorities) throw Error(fmt::format("{} is absent", options.authority));
  const auto info = kube::readClusterInfo(machine.http(), options.server, *authorities);
  auto servers = config::apiServersIn(info.others);
  if (hasSlots(options)) servers.erase(options.own);
  if (servers.empty()) return;
  const front::RuntimeSocket socket(manifests::frontSocket(options.slot));
  for (const auto& command : front::commands(servers, front::parseServersState(socket.ask("show servers state apiservers")))) {
    log::info(0, "{}", command);
    socket.ask(command);
  }
  writeServers(servers, options, machine.host());
}

ExitCode followServers(const FrontOptions& options) {
  requireSlot(options);
  constexpr auto interval = std::chrono::seconds(5);
  Machine machine("/");
  std::string lastTrouble;
  for (;;) {
    try {
      followOnce(options, machine);
      lastTrouble.clear();
    } catch (const Interrupted&) {
      throw;
    } catch (const Error& error) {
      // The list stays as it is while there is nobody to ask.
      if (error.message() != lastTrouble) log::warn(error.message());
      lastTrouble = error.message();
    }
    machine.clock().sleep(interval);
  }
}

std::vector<Flag> slotFlag(FrontOptions& options) {
  return {{.name = "slot", .into = &options.slot, .doc = "Which of the two that may overlap: a or b", .value = "SLOT", .choices = {"a", "b"}}};
}

std::vector<Flag> followFlags(FrontOptions& options) {
  auto flags = slotFlag(options);
  flags.push_back({.name = "server", .into = &options.server, .doc = "Where the cluster is asked for its API servers", .value = "URL"});
  flags.push_back({.name = "authority", .into = &options.authority, .doc = "The file of the authority that it is verified with", .value = "FILE"});
  flags.push_back({.name = "own", .into = &options.own, .doc = "The node whose API server is preferred", .value = "NODE"});
  flags.push_back({.name = "slots", .into = &options.slots, .doc = "Whether the node's own API servers are in slots, and so not among these", .value = "true|false"});
  return flags;
}

} // namespace

Command frontCommand() {
  const auto options = std::make_shared<FrontOptions>();
  Command run{.name = "run", .summary = "Become HAProxy, taking over from the other slot", .flags = [options] { return slotFlag(*options); },
              .run = [options](const auto&) { return runFront(*options); }};
  Command drain{.name = "drain", .summary = "Let HAProxy stop as its connections end", .run = [](const auto&) { return drainFront(); }};
  Command follow{.name = "follow", .summary = "Tell HAProxy of API servers that come and go",
                 .flags = [options] { return followFlags(*options); },
                 .run = [options](const auto&) { return followServers(*options); }};
  return {.name = "front",
          .summary = "What runs in the pod of a node's balancer",
          .children = {std::move(run), std::move(drain), std::move(follow)},
          .shown = Command::Shown::hidden};
}

} // namespace kubestrap::cmd
