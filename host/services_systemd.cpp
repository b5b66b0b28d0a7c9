#include "host/services.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <ctime>
#include <map>

namespace kubestrap::host {

namespace {

using Properties = std::map<std::string, std::string>;

constexpr auto shownProperties = "LoadState,UnitFileState,ActiveState,SubState,Result,ExecMainStatus,NRestarts,MainPID,"
                                 "ExecMainStartTimestamp,ExecMainStartTimestampMonotonic,ActiveEnterTimestamp,NeedDaemonReload";

/// What `systemctl is-enabled` answers with exit code 0 (systemctl(1)).
constexpr std::array<std::string_view, 6> enabledStates = {"enabled", "enabled-runtime", "static",
                                                           "alias",   "indirect",        "generated"};

template <typename Number> Number number(const Properties& properties, const std::string& name) {
  Number value{};
  if (auto found = properties.find(name); found != properties.end())
    std::from_chars(found->second.data(), found->second.data() + found->second.size(), value);
  return value;
}

std::string text(const Properties& properties, const std::string& name) {
  auto found = properties.find(name);
  return found == properties.end() ? "" : found->second;
}

/// One block "Name=value" a unit, blocks separated by an empty line.
std::vector<Properties> parseBlocks(std::string_view output) {
  std::vector<Properties> blocks(1);
  for (const auto& line : split(output, '\n')) {
    if (line.empty()) {
      if (!blocks.back().empty()) blocks.emplace_back();
    } else if (auto equals = line.find('='); equals != std::string::npos) {
      blocks.back()[line.substr(0, equals)] = line.substr(equals + 1);
    }
  }
  if (blocks.back().empty()) blocks.pop_back();
  return blocks;
}

/// "Sun 2026-11-22 22:26:01.123456 UTC", as --timestamp=us+utc writes it.
std::optional<TimePoint> parseUtc(const std::string& stamp) {
  std::tm parts{};
  long micros = 0;
  int read = std::sscanf(stamp.c_str(), "%*3s %4d-%2d-%2d %2d:%2d:%2d.%6ld UTC", &parts.tm_year, &parts.tm_mon,
                         &parts.tm_mday, &parts.tm_hour, &parts.tm_min, &parts.tm_sec, &micros);
  if (read != 7) return {};
  parts.tm_year -= 1900;
  parts.tm_mon -= 1;
  return TimePoint(std::chrono::seconds(timegm(&parts)) + std::chrono::microseconds(micros));
}

std::optional<TimePoint> fromMonotonic(std::uint64_t micros) {
  if (micros == 0) return {};
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  auto age =
      std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec) - std::chrono::microseconds(micros);
  return std::chrono::system_clock::now() - age;
}

/// The wall clock's stamp of the start where systemd writes it exactly: it was taken from the same clock, at the same
/// time, as the times of files written before, so that a clock that was set later does not matter. Else what the
/// monotonic clock says.
std::optional<TimePoint> startOf(const Properties& properties) {
  if (auto exact = parseUtc(text(properties, "ExecMainStartTimestamp"))) return exact;
  return fromMonotonic(number<std::uint64_t>(properties, "ExecMainStartTimestampMonotonic"));
}

bool exists(const Properties& properties) {
  auto load = text(properties, "LoadState");
  return !load.empty() && load != "not-found";
}

bool enabled(const Properties& properties) {
  return std::ranges::find(enabledStates, text(properties, "UnitFileState")) != enabledStates.end();
}

constexpr std::string_view timer = ".timer";

/// Names are those of services, but for timers.
std::string unitOf(const std::string& name) { return name.ends_with(timer) ? name : name + ".service"; }

std::string_view verb(Host::ServiceAction action) {
  switch (action) {
  case Host::ServiceAction::start: return "start";
  case Host::ServiceAction::stop: return "stop";
  case Host::ServiceAction::restart: return "restart";
  case Host::ServiceAction::enable: return "enable";
  case Host::ServiceAction::disable: return "disable";
  case Host::ServiceAction::reload: return "reload";
  }
  return "";
}

class Systemd : public Services {
public:
  explicit Systemd(Runner run) : run_(std::move(run)) {}

  ServiceState state(const std::string& name) override {
    auto blocks = show({name});
    if (blocks.empty()) return {};
    const auto& seen = blocks.front();
    ServiceState state{.exists = exists(seen),
                       .enabled = enabled(seen),
                       .active = text(seen, "ActiveState"),
                       .sub = text(seen, "SubState"),
                       .result = text(seen, "Result"),
                       .exitStatus = number<int>(seen, "ExecMainStatus"),
                       .restarts = number<unsigned>(seen, "NRestarts"),
                       .mainPid = number<int>(seen, "MainPID"),
                       .startedAt = {}};
    if (state.mainPid != 0) state.startedAt = startOf(seen);
    if (name.ends_with(timer) && state.active == "active") state.startedAt = parseUtc(text(seen, "ActiveEnterTimestamp")); // it has no process
    return state;
  }

  std::vector<config::UnitFacts> facts(const std::vector<std::string>& names) override {
    auto blocks = show(names);
    blocks.resize(names.size());
    std::vector<config::UnitFacts> result;
    for (const auto& seen : blocks) {
      auto active = text(seen, "ActiveState");
      // "activating" is what a kubelet without its configuration shows: it is tried again and again, as it should be.
      result.push_back({exists(seen), enabled(seen), active == "active" || active == "activating"});
    }
    return result;
  }

  void act(const std::string& name, Host::ServiceAction action) override {
    using enum Host::ServiceAction;
    if (action == start || action == restart) reloadUnits(name);
    auto unit = unitOf(name);
    auto result =
        run_({"systemctl", {"--no-ask-password", std::string(verb(action)), unit}, "", std::chrono::minutes(2)});
    if (result.timedOut)
      throw Error(fmt::format("systemctl {} {} did not end within 2 minutes", verb(action), unit),
                  fmt::format("see `systemctl status {0}` and `journalctl -u {0}`", name));
    if (result.exitCode != 0)
      throw Error(fmt::format("systemctl {} {} ended with code {}: {}", verb(action), unit, result.exitCode,
                              trim(result.errors)),
                  fmt::format("see `systemctl status {0}` and `journalctl -u {0}`", name));
  }

  std::vector<std::string> log(const std::string& name, TimePoint since, std::size_t lines) override {
    auto micros = std::chrono::duration_cast<std::chrono::microseconds>(since.time_since_epoch()).count();
    // As -u does, and what the unit's program wrote but ended too soon after for the journal to learn its unit: for
    // evidence the last words matter most.
    auto result = run_({"journalctl",
                        {"--since", fmt::format("@{}.{:06}", micros / 1'000'000, micros % 1'000'000), "-o", "cat", "-n",
                         std::to_string(lines), "--no-pager", "-q", fmt::format("_SYSTEMD_UNIT={}.service", name), "+",
                         fmt::format("UNIT={}.service", name), "_PID=1", "+", "_TRANSPORT=stdout",
                         "SYSLOG_IDENTIFIER=" + name},
                        "",
                        std::chrono::seconds(10)});
    return lastLines(result.output,
                     lines); // evidence for a message: without a journal there is none, which is no failure
  }

private:
  std::vector<Properties> show(const std::vector<std::string>& names) {
    std::vector<std::string> arguments{"show", std::string("--property=") + shownProperties, "--timestamp=us+utc"};
    for (const auto& name : names) arguments.push_back(unitOf(name));
    auto result = run_({"systemctl", arguments, "", std::chrono::seconds(10)});
    if (result.exitCode != 0 && result.errors.find("--timestamp") != std::string::npos) { // systemd before 247
      arguments.erase(arguments.begin() + 2);
      result = run_({"systemctl", arguments, "", std::chrono::seconds(10)});
    }
    return parseBlocks(result.output); // systemctl without a running systemd writes nothing: no unit exists
  }

  /// Unit files may have been laid by a package a moment ago. kubeadm reloads before each start; it takes 0.1 s and
  /// more, so we ask first.
  void reloadUnits(const std::string& name) {
    auto blocks = show({name});
    if (!blocks.empty() && exists(blocks.front()) && text(blocks.front(), "NeedDaemonReload") == "no") return;
    auto result = run_({"systemctl", {"daemon-reload"}, "", std::chrono::minutes(1)});
    if (result.exitCode != 0)
      throw Error(fmt::format("systemctl daemon-reload ended with code {}: {}", result.exitCode, trim(result.errors)));
  }

  Runner run_;
};

} // namespace

std::unique_ptr<Services> systemdServices(Runner run) { return std::make_unique<Systemd>(std::move(run)); }

} // namespace kubestrap::host
