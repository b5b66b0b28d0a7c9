// What reset does to a machine that cannot be said as a state: pods, mounts, packet filter, links, units.
#include "plan/kinds.hpp"

#include "host/inventory.hpp"
#include "plan/netfilter.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <future>

#include <sys/mount.h>

namespace kubestrap::plan {

namespace {

Change kept(std::string subject, std::string reason = {}) { return {.verb = Verb::keep, .subject = std::move(subject), .reason = std::move(reason)}; }

std::string counted(std::size_t count, std::string_view what) { return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s"); }

// ---- pods

std::vector<host::PodSandbox> podsOfKubelet(World& world) {
  auto pods = world.cri.podSandboxes("");
  std::erase_if(pods, [](const auto& pod) { return !pod.ofKubelet; });
  return pods;
}

// ---- mounts

int umountFlags(const std::vector<std::string>& names) {
  constexpr std::pair<std::string_view, int> known[] = {
      {"MNT_FORCE", MNT_FORCE}, {"MNT_DETACH", MNT_DETACH}, {"MNT_EXPIRE", MNT_EXPIRE}, {"UMOUNT_NOFOLLOW", UMOUNT_NOFOLLOW}};
  int flags = 0;
  for (const auto& name : names)
    for (const auto& [known_, value] : known)
      if (name == known_) flags |= value;
  return flags;
}

/// The innermost first.
std::vector<Path> mountsBelow(const Unmount& wanted, host::Host& host) {
  std::vector<Path> found;
  const auto prefix = wanted.below.string() + "/";
  for (auto& path : host::mountPoints(host))
    if (path.string().starts_with(prefix) && !wanted.keep.contains(path)) found.push_back(std::move(path));
  std::ranges::reverse(found);
  return found;
}

// ---- packet filter

struct Removal {
  std::string program, script;
};

std::optional<std::string> answer(host::Host& host, std::string program, std::vector<std::string> arguments) {
  auto result = host.run({.program = std::move(program), .arguments = std::move(arguments), .input = {}});
  if (result.timedOut || result.exitCode != 0) return std::nullopt;
  return std::move(result.output);
}

std::vector<Removal> filterRemovals(const RemoveClusterRules& wanted, host::Host& host) {
  std::vector<Removal> removals;
  for (const auto& programs : host::filterPrograms(host))
    if (const auto saved = answer(host, programs.save, {}))
      if (auto script = removalOf(wanted, *saved); !script.empty()) removals.push_back({programs.restore, std::move(script)});
  return removals;
}

/// kube-proxy's own tables, where it works by nftables: "ip kube-proxy".
std::vector<std::string> nftTables(host::Host& host) {
  std::vector<std::string> tables;
  if (!host.status("/usr/sbin/nft") && !host.status("/sbin/nft")) return tables;
  for (const auto& line : split(answer(host, "nft", {"list", "tables"}).value_or(""), '\n'))
    if (line == "table ip kube-proxy" || line == "table ip6 kube-proxy") tables.push_back(line.substr(6));
  return tables;
}

} // namespace

Change needed(const TurnSwapOn& wanted, const Context& context) {
  const auto areas = activeSwaps(context.world.host);
  const auto name = subject(Task{wanted});
  if (std::ranges::find(areas, wanted.area) != areas.end()) return kept(name);
  return {.verb = Verb::run, .subject = name, .reason = "it was in use before"};
}

void perform(const TurnSwapOn& wanted, const Change&, const Context& context) {
  runOrThrow(context.world.host, "swapon", {wanted.area}, "it was in use before and is not any more: see swapon --show");
}

Change needed(const RestoreUnit& wanted, const Context& context) {
  const auto state = context.world.host.service(wanted.name);
  const auto name = subject(Task{wanted});
  // Until it comes to this, the unit has been stopped.
  const bool runs = context.applying && (state.active == "active" || state.active == "activating");
  if (!state.exists || (state.enabled == wanted.enabled && runs == wanted.active)) return kept(name);
  std::vector<std::string> lacking;
  if (state.enabled != wanted.enabled) lacking.emplace_back(wanted.enabled ? "was enabled" : "was not enabled");
  if (runs != wanted.active) lacking.emplace_back(wanted.active ? "ran" : "did not run");
  return {.verb = Verb::run, .subject = name, .reason = join(lacking, ", ")};
}

void perform(const RestoreUnit& wanted, const Change&, const Context& context) {
  using Action = host::Host::ServiceAction;
  auto& host = context.world.host;
  const auto state = host.service(wanted.name);
  if (state.enabled != wanted.enabled) host.service(wanted.name, wanted.enabled ? Action::enable : Action::disable);
  const bool runs = state.active == "active" || state.active == "activating";
  if (runs != wanted.active) host.service(wanted.name, wanted.active ? Action::start : Action::stop);
}

Change needed(const RemovePods& wanted, const Context& context) {
  const auto name = subject(Task{wanted});
  if (wanted.when == RemovePods::When::late && !context.applying) return kept(name);
  const auto pods = podsOfKubelet(context.world);
  if (pods.empty() && !(context.applying && context.world.cri.isMakingPods())) return kept(name);
  return {.verb = Verb::remove, .subject = counted(pods.size(), "pod"), .reason = "of this node's kubelet"};
}

namespace {

/// A container that does not end in time is ended with its pod.
void askToEnd(const std::vector<std::string>& pods, World& world) {
  constexpr auto grace = std::chrono::seconds(5);
  if (pods.empty()) return;
  for (const auto& container : world.cri.containers("kube-system"))
    if (container.state == host::Container::State::running && std::ranges::any_of(pods, [&](const auto& name) { return container.podName.starts_with(name); }))
      world.cri.stopContainer(container.id, grace);
}

/// Stops and removes all there are; what the runtime said of the last one that it could not.
std::optional<Error> tryToRemovePods(World& world) {
  // A runtime stops each at once; most of the time it waits for the network plugin, so they go side by side.
  constexpr std::size_t width = 4;
  std::optional<Error> failure;
  const auto pods = podsOfKubelet(world);
  for (std::size_t begin = 0; begin < pods.size(); begin += width) {
    std::vector<std::future<void>> going;
    for (std::size_t i = begin; i < std::min(begin + width, pods.size()); ++i)
      going.push_back(std::async(std::launch::async, [&world, id = pods[i].id] { world.cri.stopAndRemovePod(id); }));
    for (auto& each : going) each.wait();
    for (auto& each : going) {
      try {
        each.get();
      } catch (const Interrupted&) {
        throw;
      } catch (const Error& error) {
        failure = error;
      }
    }
  }
  return failure;
}

} // namespace

void perform(const RemovePods& wanted, const Change&, const Context& context) {
  askToEnd(wanted.gently, context.world);
  // A container that is just starting, or ends by itself while it is stopped (etcd's, once its member is gone), fails for the runtime, and
  // not the next time. And one that was being made when the kubelet was stopped is seen later.
  const auto deadline = context.world.clock.now() + std::chrono::minutes(1);
  // The runtime forgets a pod as one in the making a moment before it lists it: then three looks have to find nothing.
  int looks = 1;
  for (;;) {
    const bool making = context.world.cri.isMakingPods();
    const auto failure = tryToRemovePods(context.world);
    const bool late = context.world.clock.now() >= deadline;
    if (failure && late) throw *failure;
    context.world.clock.sleep(std::chrono::milliseconds(500));
    if (making) looks = 3;
    const bool nothing = !failure && !context.world.cri.isMakingPods() && podsOfKubelet(context.world).empty();
    if (late || (nothing && --looks <= 0)) return;
  }
}

Change needed(const Unmount& wanted, const Context& context) {
  const auto found = mountsBelow(wanted, context.world.host);
  if (found.empty()) return kept(subject(Task{wanted}));
  return {.verb = Verb::remove, .subject = subject(Task{wanted}), .reason = counted(found.size(), "mount")};
}

void perform(const Unmount& wanted, const Change&, const Context& context) {
  std::vector<std::string> failed;
  for (const auto& path : mountsBelow(wanted, context.world.host)) {
    try {
      context.world.host.unmount(path, umountFlags(wanted.flags));
    } catch (const Error& error) {
      failed.push_back(error.message());
    }
  }
  if (!failed.empty()) throw Error(join(failed, "; "), "see who uses it: fuser -vm PATH; or let unmountFlags of the ResetConfiguration say MNT_DETACH");
}

Change needed(const RemoveClusterRules& wanted, const Context& context) {
  auto& host = context.world.host;
  std::vector<std::string> where;
  for (const auto& removal : filterRemovals(wanted, host)) where.push_back(removal.program.substr(0, removal.program.rfind('-')));
  for (const auto& table : nftTables(host)) where.push_back("nft table " + table);
  if (where.empty()) return kept(subject(Task{wanted}));
  return {.verb = Verb::remove, .subject = subject(Task{wanted}), .reason = join(where, ", ")};
}

void perform(const RemoveClusterRules& wanted, const Change&, const Context& context) {
  auto& host = context.world.host;
  for (auto& removal : filterRemovals(wanted, host))
    runOrThrow(host, removal.program, {"--noflush"}, "somebody else may use a chain of the cluster: see " + removal.program, removal.script);
  for (const auto& table : nftTables(host)) {
    const auto words = split(table, ' ');
    runOrThrow(host, "nft", {"delete", "table", words[0], words[1]}, "see: nft list ruleset");
  }
}

Change needed(const RemoveLink& wanted, const Context& context) {
  if (!context.world.host.status("/sys/class/net/" + wanted.name)) return kept(subject(Task{wanted}));
  return {.verb = Verb::remove, .subject = subject(Task{wanted}), .reason = "made by the pod network"};
}

void perform(const RemoveLink& wanted, const Change&, const Context& context) {
  runOrThrow(context.world.host, "ip", {"link", "delete", wanted.name}, "see: ip link show " + wanted.name);
}

} // namespace kubestrap::plan
