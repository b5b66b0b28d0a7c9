// The few verbs that cannot be said as a state. Each tells whether it is still needed.
#include "plan/bundle.hpp"
#include "plan/kinds.hpp"

#include "host/cri_grpc.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <future>
#include <set>

namespace kubestrap::plan {

namespace {

std::string replaced(std::string text, char from, char to) {
  std::ranges::replace(text, from, to);
  return text;
}

/// "registry.k8s.io/pause" of "registry.k8s.io/pause:3.10.2".
std::string repositoryOf(const std::string& image) {
  const auto name = image.substr(0, image.find('@'));
  const auto tag = name.find(':', name.rfind('/') == std::string::npos ? 0 : name.rfind('/'));
  return name.substr(0, tag);
}

/// Why a static pod does not run with its files as they are, or will not when the plan is carried out.
std::optional<std::string> whyOutdated(const RestartStaticPod& restart, const Context& context) {
  std::optional<TimePoint> made;
  for (const auto& container : context.world.cri.containers("kube-system"))
    if (container.name == restart.pod.component && container.state == host::Container::State::running)
      made = std::max(made.value_or(container.createdAt), container.createdAt);
  if (!made) return std::nullopt; // it does not run: what starts next reads the files as they are
  for (const auto& file : restart.files) {
    if (context.wouldWrite && context.wouldWrite->contains(file)) return fmt::format("{} will be newer than its process", file.string());
    if (const auto status = context.world.host.status(file); status && status->modified > *made)
      return fmt::format("{} is newer than its process", file.string());
  }
  return std::nullopt;
}

struct Needed {
  const Context& context;

  Change operator()(const PullImage& pull) const {
    Change change{.subject = "image " + pull.image};
    if (pull.when == PullImage::When::always || !context.world.cri.hasImage(pull.image)) {
      change.verb = Verb::run;
      change.reason = pull.when == PullImage::When::always ? "pulled every time, as imagePullPolicy says" : "not in the runtime";
    }
    return change;
  }

  Change operator()(const LoadImage& load) const {
    Change change{.subject = subject(Task{load})};
    try {
      if (context.world.cri.hasImage(load.image)) return change;
      change.reason = "not in the runtime";
    } catch (const Interrupted&) {
      throw;
    } catch (const Error&) {
      // A plan may come before the runtime, which the bundle brings.
      if (context.applying || load.layout.empty()) throw;
      change.reason = "no runtime answers yet";
    }
    change.verb = Verb::run;
    return change;
  }

  Change operator()(const SetSysctl& sysctl) const {
    Change change{.subject = subject(Task{sysctl})};
    const auto found = context.world.host.read(sysctlFile(sysctl.name));
    if (found && trim(*found) == sysctl.value) return change;
    change.verb = Verb::run;
    change.reason = found ? fmt::format("is {}", trim(*found)) : "not there yet";
    return change;
  }

  Change operator()(const LoadModule& module) const {
    Change change{.subject = subject(Task{module})};
    // One that is built in shows there as well if it has parameters. To load one that does not is harmless: modprobe knows it.
    if (context.world.host.status("/sys/module/" + replaced(module.name, '-', '_'))) return change;
    change.verb = Verb::run;
    change.reason = "not loaded";
    return change;
  }

  Change operator()(const TurnSwapOff& off) const {
    Change change{.subject = subject(Task{off})};
    const auto areas = activeSwaps(context.world.host);
    if (areas.empty()) return change;
    change.verb = Verb::stop;
    change.reason = fmt::format("{} {} in use", join(areas, ", "), areas.size() == 1 ? "is" : "are");
    return change;
  }

  Change operator()(const RestartStaticPod& restart) const {
    Change change{.subject = subject(Task{restart})};
    if (const auto why = whyOutdated(restart, context)) {
      change.verb = Verb::run;
      change.reason = *why;
    }
    return change;
  }
  template <class Undoing> Change operator()(const Undoing& wanted) const { return needed(wanted, context); }
};

struct Do {
  const Change& change;
  const Context& context;

  /// The runtime says nothing until it has the image or gives up, and decides itself when that is: meanwhile it is told that it is at work.
  void operator()(const PullImage& pull) const {
    const auto begin = std::chrono::steady_clock::now(); // real time, since it is a real thread that is waited for
    auto pulled = std::async(std::launch::async, [&] { context.world.cri.pullImage(pull.image); });
    while (pulled.wait_for(std::chrono::milliseconds(200)) != std::future_status::ready)
      if (context.reporter)
        context.reporter->waiting(context.phase, change, std::chrono::steady_clock::now() - begin, host::pullPatience, "the runtime pulls it");
    while_("pulling " + pull.image, [&] { pulled.get(); });
  }

  void operator()(const LoadImage& load) const {
    constexpr std::string_view elsewhere = "put it into a registry, and name it as images.front in a KubestrapConfiguration";
    if (load.archive.empty() && load.layout.empty())
      throw Error(fmt::format("the image {} is not in the runtime, and its archive is not on this machine", load.image),
                  fmt::format("put kubestrap-image.tar beside kubestrap, or into /usr/lib/kubestrap; or {}", elsewhere));
    if (load.socket.find("containerd") == std::string::npos)
      throw Error(fmt::format("the image {} is not in the runtime at {}, which has no loader that kubestrap knows", load.image, load.socket),
                  std::string(elsewhere));
    const auto archive = load.layout.empty() ? load.archive : imageArchive(load);
    runOrThrow(context.world.host, "ctr",
               {"--address", host::socketPath(load.socket), "--namespace", "k8s.io", "images", "import", "--local", "--base-name", repositoryOf(load.image),
                "--digests", "--label", "io.cri-containerd.pinned=pinned", archive.string()},
               fmt::format("see whether {} is whole, and containerd has room", archive.string()), {}, host::pullPatience);
    if (!load.layout.empty()) std::filesystem::remove(archive);
    if (!context.world.cri.hasImage(load.image))
      throw Error(fmt::format("{} was loaded, and the image {} is not in it", archive.string(), load.image),
                  load.layout.empty() ? "the archive is of another version of kubestrap: install both together" : "look at: journalctl -u containerd");
  }

  void operator()(const SetSysctl& sysctl) const {
    runOrThrow(context.world.host, "sysctl", {"-w", fmt::format("{}={}", sysctl.name, sysctl.value)},
               "see whether this machine may set it: a container often may not");
  }

  void operator()(const LoadModule& module) const {
    runOrThrow(context.world.host, "modprobe", {module.name}, "install the modules of the kernel that runs, or boot the one that is installed");
  }

  /// The kubelet makes a pod anew that has gone.
  void operator()(const RestartStaticPod& restart) const {
    std::set<std::string> pods;
    for (const auto& container : context.world.cri.containers("kube-system"))
      if (container.name == restart.pod.component) pods.insert(container.podName);
    for (const auto& sandbox : context.world.cri.podSandboxes("kube-system"))
      if (sandbox.ready && pods.contains(sandbox.name)) context.world.cri.stopAndRemovePod(sandbox.id);
  }

  void operator()(const TurnSwapOff&) const {
    runOrThrow(context.world.host, "swapoff", {"-a"}, "free memory first: what is swapped out has to fit into it");
  }

  template <class Undoing> void operator()(const Undoing& wanted) const { perform(wanted, change, context); }
};

} // namespace

void runOrThrow(host::Host& host, const std::string& program, std::vector<std::string> arguments, const std::string& hint,
                const std::string& input, Duration timeout) {
  const auto result = host.run({.program = program, .arguments = std::move(arguments), .input = input, .timeout = timeout});
  if (result.timedOut) throw Error(fmt::format("{} did not end in time", program), hint);
  if (result.exitCode != 0)
    throw Error(fmt::format("{} ended with code {}: {}", program, result.exitCode, trim(result.errors)), hint);
}

Path sysctlFile(std::string_view name) { return "/proc/sys/" + replaced(std::string(name), '.', '/'); }

std::vector<std::string> activeSwaps(host::Host& host) {
  std::vector<std::string> names;
  for (const auto& line : split(host.read("/proc/swaps").value_or(""), '\n'))
    if (const auto name = line.substr(0, line.find_first_of(" \t")); !name.empty() && name != "Filename") names.push_back(name);
  return names;
}

Change diff(const Task& wanted, const Context& context) { return std::visit(Needed{context}, wanted); }

void enact(const Task& wanted, const Change& change, const Context& context) { std::visit(Do{change, context}, wanted); }

} // namespace kubestrap::plan
