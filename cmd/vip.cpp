// What runs in the pod of the virtual address: keepalived itself, and what it asks before this node may have the address.
#include "cmd/commands.hpp"
#include "cmd/machine.hpp"

#include "guard/asking.hpp"
#include "host/facts.hpp"
#include "manifests/vip.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>

namespace kubestrap::cmd {

namespace {

struct VipOptions {
  std::string node, address, interface, own, server, authority;
  std::optional<int> router, priority;
};

std::string interfaceOf(const VipOptions& options) {
  if (!options.interface.empty()) return options.interface;
  const auto addresses = host::interfaceAddresses();
  const auto found = std::ranges::find_if(addresses, [&](const auto& each) { return each.address.string() == options.own; });
  if (found == addresses.end()) throw Error(fmt::format("no interface of this machine has {}", options.own), "endpoint.vip.interface names the one that is to get the address");
  return found->interface;
}

/// Becomes keepalived.
ExitCode runVip(const VipOptions& options) {
  const config::Path file = "/run/keepalived.conf";
  const manifests::KeepalivedSettings settings{.node = options.node,
                                               .interface = interfaceOf(options),
                                               .address = options.address,
                                               .router = options.router.value_or(0),
                                               .priority = options.priority.value_or(0),
                                               .check = fmt::format("/usr/bin/kubestrap vip check --server={} --authority={}", options.server, options.authority)};
  host::LocalHost().write(file, manifests::keepalivedConfiguration(settings), 0600);
  become({"keepalived", "--dont-fork", "--log-console", "--vrrp", "--use-file", file, "--pid", "/run/keepalived.pid", "--vrrp_pid", "/run/vrrp.pid"},
         "this command is for the pod of the virtual address");
}

/// Whether this node's API server is ready.
ExitCode checkVip(const VipOptions& options) {
  Machine machine("/");
  const auto authorities = machine.host().read(options.authority);
  if (!authorities) throw Error(fmt::format("{} is absent", options.authority));
  const auto answer = machine.http().perform({.url = options.server + "/readyz", .tls = {.authorities = *authorities}, .timeout = std::chrono::seconds(2)});
  return guard::stateOf(answer.status, answer.body) == phases::guard::SlotState::ready ? ExitCode::done : ExitCode::failed;
}

std::vector<Flag> checkFlags(VipOptions& options) {
  return {{.name = "server", .into = &options.server, .doc = "This node's API server", .value = "URL"},
          {.name = "authority", .into = &options.authority, .doc = "The file of the authority that it is verified with", .value = "FILE"}};
}

std::vector<Flag> runFlags(VipOptions& options) {
  auto flags = checkFlags(options);
  flags.push_back({.name = "node", .into = &options.node, .doc = "The name of this node", .value = "NODE"});
  flags.push_back({.name = "address", .into = &options.address, .doc = "The virtual address", .value = "ADDRESS"});
  flags.push_back({.name = "interface", .into = &options.interface, .doc = "The interface that gets it; empty: the one with --own", .value = "NAME"});
  flags.push_back({.name = "own", .into = &options.own, .doc = "This node's own address", .value = "ADDRESS"});
  flags.push_back({.name = "router", .into = &options.router, .doc = "VRRP's virtual router id", .value = "NUMBER"});
  flags.push_back({.name = "priority", .into = &options.priority, .doc = "VRRP's priority", .value = "NUMBER"});
  return flags;
}

} // namespace

Command vipCommand() {
  const auto options = std::make_shared<VipOptions>();
  Command run{.name = "run", .summary = "Become keepalived", .flags = [options] { return runFlags(*options); }, .run = [options](const auto&) { return runVip(*options); }};
  Command check{.name = "check", .summary = "See whether this node may have the address", .flags = [options] { return checkFlags(*options); },
                .run = [options](const auto&) { return checkVip(*options); }};
  return {.name = "vip", .summary = "What runs in the pod of the virtual address", .children = {std::move(run), std::move(check)}, .shown = Command::Shown::hidden};
}

} // namespace kubestrap::cmd
