#include "host/proc.hpp"
#include "host/services.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace kubestrap::host {

namespace {

/// Exit codes of `rc-service NAME status` (openrc: sh/openrc-run.sh.in), as systemd would call these states.
struct StatusRow {
  int exitCode;
  const char *active, *sub;
};
constexpr StatusRow statuses[] = {
    {0, "active", "running"},   {3, "inactive", "dead"},  {4, "deactivating", "stop"},
    {8, "activating", "start"}, {32, "failed", "failed"},
};

class OpenRc : public Services {
public:
  explicit OpenRc(Runner run) : run_(std::move(run)) {}

  ServiceState state(const std::string& name) override {
    ServiceState state;
    auto status = run_({"rc-service", {name, "status"}});
    if (std::string all = status.output + status.errors; all.find("does not exist") != std::string::npos) return state;
    state.exists = true;
    state.enabled = isEnabled(name);
    state.active = "inactive";
    state.sub = "dead";
    for (const auto& row : statuses)
      if (row.exitCode == status.exitCode) {
        state.active = row.active;
        state.sub = row.sub;
      }
    state.result = state.active == "failed" ? "exit-code" : "success";
    if (state.active == "active") state.mainPid = pidOf(name);
    if (state.mainPid != 0) state.startedAt = processStart(state.mainPid);
    return state;
  }

  std::vector<config::UnitFacts> facts(const std::vector<std::string>& names) override {
    std::vector<config::UnitFacts> result;
    for (const auto& name : names) {
      auto seen = state(name);
      result.push_back({seen.exists, seen.enabled, seen.active == "active" || seen.active == "activating"});
    }
    return result;
  }

  void act(const std::string& name, Host::ServiceAction action) override {
    using enum Host::ServiceAction;
    std::vector<std::string> arguments;
    switch (action) {
    case start: arguments = {name, "start"}; break;
    case stop: arguments = {name, "stop"}; break;
    case restart: arguments = {name, "restart"}; break;
    case reload: arguments = {name, "reload"}; break;
    case enable: arguments = {"add", name, "default"}; break;
    case disable: arguments = {"del", name, "default"}; break;
    }
    std::string program = action == enable || action == disable ? "rc-update" : "rc-service";
    auto result = run_({program, arguments, "", std::chrono::minutes(2)});
    if (result.timedOut || result.exitCode != 0)
      throw Error(fmt::format("{} {} {}: {}", program, join(arguments, " "),
                              result.timedOut ? "did not end within 2 minutes"
                                              : fmt::format("ended with code {}", result.exitCode),
                              trim(result.errors.empty() ? result.output : result.errors)),
                  fmt::format("see `rc-service {} status`", name));
  }

  /// OpenRC has no journal: the end of the file that the service script writes to. Such a file has no times to go by,
  /// so `since` cannot be honoured.
  std::vector<std::string> log(const std::string& name, TimePoint, std::size_t lines) override {
    for (const auto& path : {fmt::format("/var/log/{0}/{0}.log", name), fmt::format("/var/log/{}.log", name)}) {
      auto result = run_({"tail", {"-n", std::to_string(lines), path}});
      if (result.exitCode == 0) return lastLines(result.output, lines);
    }
    return {};
  }

private:
  bool isEnabled(const std::string& name) {
    for (const auto& line : split(run_({"rc-update", {"show", "default"}}).output, '\n'))
      if (auto parts = words(line); !parts.empty() && parts.front() == name) return true;
    return false;
  }

  static int pidOf(const std::string& name) {
    for (const auto& path : {fmt::format("/run/{}.pid", name), fmt::format("/run/{0}/{0}.pid", name)}) {
      int pid = 0;
      auto content = readProc(path);
      if (std::from_chars(content.data(), content.data() + content.size(), pid).ec == std::errc() && pid > 0)
        return pid;
    }
    return 0;
  }

  Runner run_;
};

} // namespace

std::unique_ptr<Services> openrcServices(Runner run) { return std::make_unique<OpenRc>(std::move(run)); }

} // namespace kubestrap::host
