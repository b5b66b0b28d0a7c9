#include "plan/fatal_signs.hpp"

#include "plan/static_pods.hpp"
#include "support/log.hpp"
#include "support/text.hpp"
#include "support/value.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <string_view>

namespace kubestrap::plan {

namespace {

/// What a component says when it will never start, and what the operator can do about it.
struct Omen {
  std::string_view text; ///< part of a log line
  std::string_view cause, remedy;
  /// Where it counts: some words stand in lines of no consequence as well.
  enum class In { anyLine, tellingLine } in = In::anyLine;
};

constexpr std::array kComponentOmens = {
    Omen{"unknown flag", "was given a flag that it does not know", "correct extraArgs in the configuration and run the command again"},
    Omen{"flag provided but not defined", "was given a flag that it does not know",
         "correct extraArgs in the configuration and run the command again"},
    Omen{"unknown shorthand flag", "was given a flag that it does not know",
         "correct extraArgs in the configuration and run the command again"},
    Omen{"unrecognized feature gate", "was given a feature gate that it does not know",
         "correct extraArgs in the configuration and run the command again"},
    Omen{"invalid argument", "was given a flag with a value that it does not accept",
         "correct extraArgs in the configuration and run the command again"},
    Omen{"address already in use", "cannot listen: its port is taken", "find the owner with: ss -ltnp; end it, or choose another port"},
    Omen{"no such file or directory", "misses a file", "see which in the line above; extraVolumes may be needed for it",
         Omen::In::tellingLine},
    Omen{"permission denied", "may not read or write a file", "see which in the line above", Omen::In::tellingLine},
    Omen{"member has already been bootstrapped", "finds the data of an earlier cluster in its folder",
         "if nothing in etcd's data folder (dataDir, else /var/lib/etcd) is needed, empty it and run the command again"},
};

constexpr std::array kUnitOmens = {
    Omen{"failed to load kubelet config file", "cannot read its configuration", "look at /var/lib/kubelet/config.yaml"},
    Omen{"failed to load Kubelet config file", "cannot read its configuration", "look at /var/lib/kubelet/config.yaml"},
    Omen{"failed to parse kubelet flag", "was given a flag that it does not know",
         "correct kubeletExtraArgs in the configuration and run the command again"},
    Omen{"unknown flag", "was given a flag that it does not know",
         "correct kubeletExtraArgs in the configuration and run the command again"},
    Omen{"address already in use", "cannot listen: its port is taken", "find the owner with: ss -ltnp"},
    Omen{"configured to not run on a host using cgroup v1", "refuses cgroup v1, which this machine uses",
         "boot with cgroup v2, or set failCgroupV1: false in KubeletConfiguration"},
    Omen{"running with swap on is not supported", "refuses to run while swap is on",
         "swapoff -a, or set failSwapOn: false in KubeletConfiguration"},
    Omen{"validate service connection", "cannot talk to the container runtime", "is it running? systemctl status containerd"},
};

template <std::size_t count>
const Omen* findOmen(const std::array<Omen, count>& omens, const std::vector<std::string>& log, std::string& line) {
  const auto telling = tellingLine(log);
  for (auto each = log.rbegin(); each != log.rend(); ++each)
    for (const auto& omen : omens)
      if (each->find(omen.text) != std::string::npos && (omen.in == Omen::In::anyLine || *each == telling)) {
        line = *each;
        return &omen;
      }
  return nullptr;
}

/// The message of a line of the CRI's log format ("2026-01-01T00:00:00Z stderr F text").
std::string withoutCriPrefix(const std::string& line) {
  const auto mark = std::min(line.find(" F "), line.find(" P "));
  return mark != std::string::npos && mark < 48 ? line.substr(mark + 3) : line;
}

std::vector<std::string> lastLines(std::string_view text, std::size_t count) {
  auto lines = split(text, '\n');
  while (!lines.empty() && lines.back().empty()) lines.pop_back();
  if (lines.size() > count) lines.erase(lines.begin(), lines.end() - static_cast<std::ptrdiff_t>(count));
  for (auto& line : lines) line = withoutCriPrefix(line);
  return lines;
}

/// Without what the service manager says about the unit, which every end has in common.
std::vector<std::string> linesOfItsOwn(const UnitEvidence& evidence) {
  const auto managers = [&](const std::string& line) {
    return line.starts_with(evidence.unit + ".service: ") || line.find(evidence.unit + ".service - ") != std::string::npos;
  };
  std::vector<std::string> lines;
  std::copy_if(evidence.log.begin(), evidence.log.end(), std::back_inserter(lines),
               [&](const auto& line) { return !managers(line); });
  return lines;
}

} // namespace

std::string tellingLine(const std::vector<std::string>& log) {
  // klog's fatal lines, panics, and what cobra, the components and etcd say last.
  constexpr std::array<std::string_view, 4> ends = {"panic:", "Error:", "\"command failed\"", "\"fatal\""};
  constexpr std::array<std::string_view, 4> troubles = {"error:", "err=", "Err:", "failed"};
  const auto lastWith = [&](const auto& words) {
    return std::find_if(log.rbegin(), log.rend(), [&](const std::string& line) {
      return std::any_of(words.begin(), words.end(), [&](auto word) { return line.find(word) != std::string::npos; });
    });
  };
  const auto isFatal = [](const std::string& line) { return line.size() > 1 && line[0] == 'F' && line[1] >= '0' && line[1] <= '9'; };
  for (const auto& found : {std::find_if(log.rbegin(), log.rend(), isFatal), lastWith(ends), lastWith(troubles)})
    if (found != log.rend()) return *found;
  return log.empty() ? std::string{} : log.back();
}

std::optional<Failure> judge(const UnitEvidence& evidence) {
  const auto& state = evidence.state;
  if (state.active == "inactive" && evidence.watched > std::chrono::seconds(5))
    return Failure{fmt::format("the {} is stopped", evidence.unit), tellingLine(evidence.log),
                   fmt::format("start it: systemctl start {}", evidence.unit)};
  const bool runs = state.active == "active" && state.sub == "running"; // whatever became of its earlier processes
  const bool ended = state.active == "failed" || state.sub == "auto-restart" || state.restarts > 0;
  if (!ended || runs) return std::nullopt;
  std::string line;
  if (const auto* omen = findOmen(kUnitOmens, evidence.log, line))
    return Failure{fmt::format("the {} {}", evidence.unit, omen->cause), line, std::string(omen->remedy)};
  // One that ended before it was looked at has said nothing yet; the official unit starts it again after 10 s.
  const auto own = linesOfItsOwn(evidence);
  const auto enough = own.empty() ? std::chrono::seconds(15) : std::chrono::seconds(5);
  const bool gone =
      state.active == "failed" || state.restarts >= 2 || (state.sub == "auto-restart" && evidence.watched > enough);
  if (!gone) return std::nullopt;
  return Failure{fmt::format("the {} ends again and again ({}, exit status {})", evidence.unit, state.result, state.exitStatus),
                 tellingLine(own.empty() ? evidence.log : own), fmt::format("look at: journalctl -u {}", evidence.unit)};
}

namespace {

bool hasOneOf(const std::string& line, std::initializer_list<std::string_view> words) {
  return std::any_of(words.begin(), words.end(), [&](auto word) { return line.find(word) != std::string::npos; });
}

/// What the kubelet says of a pod that has no container. A container or sandbox that cannot be made is tried again at once and may be a
/// matter of a moment (the runtime still has the name of the last one), so it has to be said twice.
std::optional<Failure> judgeKubeletLog(const PodEvidence& evidence) {
  unsigned unmade = 0;
  for (auto line = evidence.kubeletLog.rbegin(); line != evidence.kubeletLog.rend(); ++line) {
    if (!hasOneOf(*line, {evidence.component, evidence.image})) continue;
    if (!evidence.imagePresent && hasOneOf(*line, {"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName"}))
      return Failure{fmt::format("the image {} of {} cannot be had", evidence.image, evidence.component), *line,
                     "check imageRepository and the tag, import the image, or see that the registry can be reached"};
    unmade += hasOneOf(*line, {"CreateContainerError", "CreatePodSandboxError"}) && hasOneOf(*line, {"Error syncing pod"}) ? 1 : 0;
    if (unmade >= 2 || hasOneOf(*line, {"CreateContainerConfigError", "could not process manifest file"}))
      return Failure{fmt::format("the container of {} cannot be made", evidence.component), *line, "look at: journalctl -u kubelet"};
  }
  return std::nullopt;
}

} // namespace

std::optional<Failure> judge(const PodEvidence& evidence) {
  if (evidence.containers.empty()) return judgeKubeletLog(evidence);
  const auto newest = std::max_element(evidence.containers.begin(), evidence.containers.end(),
                                       [](const auto& a, const auto& b) { return a.attempt < b.attempt; });
  const auto ended = std::count_if(evidence.containers.begin(), evidence.containers.end(),
                                   [](const auto& each) { return each.state == host::Container::State::exited; });
  if (ended == 0) return std::nullopt;
  std::string line;
  const bool exited = newest->state == host::Container::State::exited;
  // By SIGKILL, before anybody watched: it was stopped, as by a run that was killed before the pod was gone. The kubelet begins it again.
  if (exited && newest->exitCode == 137 && newest->reason != "OOMKilled" && newest->finishedAt < evidence.watchedSince) return std::nullopt;
  if (const auto* omen = findOmen(kComponentOmens, evidence.log, line); omen && exited)
    return Failure{fmt::format("{} {}", evidence.component, omen->cause), line, std::string(omen->remedy)};
  if (exited && newest->attempt + 1 >= evidence.startedBefore + 3)
    return Failure{fmt::format("{} ends again and again (exit code {}{}{})", evidence.component, newest->exitCode,
                               newest->reason.empty() ? "" : ", ", newest->reason),
                   tellingLine(evidence.log), fmt::format("its log: {}", newest->logPath)};
  return std::nullopt;
}

namespace {

struct Look {
  World& world;
  Watch& watch;

  std::optional<Failure> operator()(const UnitFails& sign) const {
    auto state = world.host.service(sign.unit);
    if (state.active == "active" && state.restarts == 0) return std::nullopt;
    return judge(UnitEvidence{sign.unit, state, world.host.unitLog(sign.unit, watch.since, 60), world.clock.now() - watch.since});
  }

  std::optional<Failure> operator()(const StaticPodFails& sign) const {
    const auto& pod = sign.pod;
    PodEvidence evidence{.component = pod.component, .image = pod.image, .watchedSince = watch.since};
    // What the kubelet found when it was started for this attempt says nothing; nor does what another manifest has made.
    const auto from = std::max(manifestWritten(pod, world).value_or(TimePoint{}),
                               world.host.service("kubelet").startedAt.value_or(TimePoint{}));
    auto seen = lookAtStaticPod(pod, world, from);
    evidence.containers = std::move(seen.containers);
    auto& before = watch.startedBefore[pod.component];
    evidence.startedBefore = before = std::max(before, seen.startedBefore);
    if (evidence.containers.empty()) {
      evidence.kubeletLog = world.host.unitLog("kubelet", from, 200);
      evidence.imagePresent = world.cri.hasImage(pod.image);
      return judge(evidence);
    }
    const auto& last = *std::ranges::max_element(evidence.containers, {}, &host::Container::finishedAt);
    if (last.state == host::Container::State::exited && !last.logPath.empty())
      if (const auto log = world.host.read(last.logPath)) evidence.log = lastLines(*log, 60);
    auto failure = judge(evidence);
    if (failure && last.finishedAt + std::chrono::seconds(5) < watch.since)
      failure->remedy += fmt::format("; it ended {} ago: if the cause is gone, systemctl restart kubelet lets it try again at once",
                                     humanDuration(std::chrono::floor<std::chrono::seconds>(world.clock.now() - last.finishedAt)));
    return failure;
  }
};

} // namespace

std::optional<Failure> look(const FatalSign& sign, World& world, Watch& watch) {
  try {
    return std::visit(Look{world, watch}, sign);
  } catch (const Interrupted&) {
    throw;
  } catch (const Error& error) {
    // A runtime that is being restarted, a journal that cannot be read: no evidence is no sign.
    log::info(2, "cannot look for signs of failure: {}", error.message());
    return std::nullopt;
  }
}

} // namespace kubestrap::plan
