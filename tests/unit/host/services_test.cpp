#include "host/local_host.hpp"
#include "host/services.hpp"
#include "support/text.hpp"
#include "tests/unit/host/fixture.hpp"

#include <csignal>
#include <ctime>
#include <map>

using namespace kubestrap;
using namespace kubestrap::host;
using Action = Host::ServiceAction;

namespace {

/// Answers commands by the first of their words that is known, and keeps what was asked.
struct Canned {
  std::map<std::string, CommandResult> answers; ///< the beginning of a command line -> its result
  std::vector<std::string> asked;

  Runner runner() {
    return [this](const Command& command) {
      auto line = command.program + " " + join(command.arguments, " ");
      asked.push_back(line);
      for (const auto& [beginning, result] : answers)
        if (line.starts_with(beginning)) return result;
      return CommandResult{};
    };
  }
};

constexpr auto runningKubelet =
    "LoadState=loaded\nUnitFileState=enabled\nActiveState=active\nSubState=running\nResult=success\n"
    "ExecMainStatus=0\nNRestarts=2\nMainPID=812\n"
    "ExecMainStartTimestamp=Sun 2026-11-22 22:26:01.123456 UTC\nExecMainStartTimestampMonotonic=5000000\n"
    "NeedDaemonReload=no\n";

} // namespace

TEST_CASE("a running unit of systemd is read with the exact start of its process") {
  Canned systemctl{.answers = {{"systemctl show", {.output = runningKubelet}}}, .asked = {}};
  auto state = systemdServices(systemctl.runner())->state("kubelet");
  CHECK(state.exists);
  CHECK(state.enabled);
  CHECK(state.active == "active");
  CHECK(state.sub == "running");
  CHECK(state.restarts == 2);
  CHECK(state.mainPid == 812);
  CHECK(state.startedAt == parseRfc3339("2026-11-22T22:26:01Z") + std::chrono::microseconds(123456));
  CHECK(systemctl.asked.size() == 1);
  CHECK(systemctl.asked[0].ends_with("--timestamp=us+utc kubelet.service"));
}

TEST_CASE("a kubelet that crashes again and again is seen as such") {
  Canned systemctl{.answers = {{"systemctl show",
                                {.output = "LoadState=loaded\nUnitFileState=enabled\nActiveState=activating\n"
                                           "SubState=auto-restart\nResult=exit-code\nExecMainStatus=1\n"
                                           "NRestarts=7\nMainPID=0\nExecMainStartTimestampMonotonic=5000000\n"}}},
                   .asked = {}};
  auto state = systemdServices(systemctl.runner())->state("kubelet");
  CHECK(state.active == "activating");
  CHECK(state.sub == "auto-restart");
  CHECK(state.result == "exit-code");
  CHECK(state.exitStatus == 1);
  CHECK(state.restarts == 7);
  CHECK_FALSE(state.startedAt);
}

TEST_CASE("a systemd that knows no exact timestamps is asked again without them") {
  Canned systemctl;
  std::string output =
      "LoadState=loaded\nActiveState=active\nMainPID=1\nExecMainStartTimestamp=Sun 2026-11-22 22:26:01 CET\n"
      "ExecMainStartTimestampMonotonic=1000000\n";
  auto services = systemdServices([&](const Command& command) {
    systemctl.asked.push_back(join(command.arguments, " "));
    if (systemctl.asked.back().find("--timestamp") != std::string::npos)
      return CommandResult{.exitCode = 1, .errors = "systemctl: unrecognized option '--timestamp=us+utc'\n"};
    return CommandResult{.output = output};
  });
  auto state = services->state("kubelet");
  CHECK(systemctl.asked.size() == 2);
  CHECK(state.active == "active");
  timespec uptime{};
  clock_gettime(CLOCK_MONOTONIC, &uptime);
  auto bootPlusOne = std::chrono::system_clock::now() - std::chrono::seconds(uptime.tv_sec) + std::chrono::seconds(1);
  REQUIRE(state.startedAt);
  CHECK(*state.startedAt > bootPlusOne - std::chrono::seconds(2));
  CHECK(*state.startedAt < bootPlusOne + std::chrono::seconds(2));
}

TEST_CASE("several units are asked for with one call, and absent ones do not exist") {
  Canned systemctl{
      .answers = {{"systemctl show",
                   {.output = std::string(runningKubelet) + "\nLoadState=not-found\nActiveState=inactive\n" +
                              "\nLoadState=loaded\nUnitFileState=disabled\nActiveState=inactive\n"}}},
      .asked = {}};
  auto units = systemdServices(systemctl.runner())->facts({"kubelet", "firewalld", "systemd-resolved"});
  REQUIRE(units.size() == 3);
  CHECK(units[0].exists);
  CHECK(units[0].active);
  CHECK_FALSE(units[1].exists);
  CHECK(units[2].exists);
  CHECK_FALSE(units[2].enabled);
  CHECK_FALSE(units[2].active);
  CHECK(systemctl.asked.size() == 1);
}

TEST_CASE("without a running systemd no unit exists") {
  Canned systemctl{.answers = {{"systemctl show",
                                {.exitCode = 1, .errors = "System has not been booted with systemd as init system"}}},
                   .asked = {}};
  auto units = systemdServices(systemctl.runner())->facts({"kubelet", "firewalld"});
  REQUIRE(units.size() == 2);
  CHECK_FALSE(units[0].exists);
  CHECK_FALSE(systemdServices(systemctl.runner())->state("kubelet").exists);
}

TEST_CASE("systemd reloads its unit files before a start only when they changed") {
  auto commandsOf = [](const std::string& shown, Action action) {
    Canned systemctl{.answers = {{"systemctl show", {.output = shown}}}, .asked = {}};
    systemdServices(systemctl.runner())->act("kubelet", action);
    std::vector<std::string> verbs;
    for (const auto& line : systemctl.asked)
      verbs.push_back(split(line, ' ')[1] == "--no-ask-password" ? split(line, ' ')[2] : split(line, ' ')[1]);
    return join(verbs, " ");
  };
  CHECK(commandsOf("LoadState=loaded\nNeedDaemonReload=no\n", Action::restart) == "show restart");
  CHECK(commandsOf("LoadState=loaded\nNeedDaemonReload=yes\n", Action::restart) == "show daemon-reload restart");
  CHECK(commandsOf("LoadState=not-found\nNeedDaemonReload=no\n", Action::start) == "show daemon-reload start");
  CHECK(commandsOf("", Action::stop) == "stop");
  CHECK(commandsOf("", Action::enable) == "enable");
}

TEST_CASE("a unit that cannot be started is an error in systemd's own words with a hint") {
  Canned systemctl{
      .answers = {{"systemctl --no-ask-password start",
                   {.exitCode = 5, .errors = "Failed to start kubelet.service: Unit kubelet.service not found.\n"}}},
      .asked = {}};
  auto services = systemdServices(systemctl.runner());
  try {
    services->act("kubelet", Action::start);
    FAIL("no Error was thrown");
  } catch (const Error& error) {
    CHECK(error.message() == "systemctl start kubelet.service ended with code 5: Failed to start kubelet.service: Unit "
                             "kubelet.service not found.");
    CHECK(error.hint() == "see `systemctl status kubelet` and `journalctl -u kubelet`");
  }
}

TEST_CASE("the journal is asked from a moment on, and its empty lines are left out") {
  Canned journal{.answers = {{"journalctl", {.output = "first\n\nsecond\nthird\n"}}}, .asked = {}};
  auto since = parseRfc3339("2026-11-22T22:26:01Z") + std::chrono::milliseconds(250);
  CHECK(systemdServices(journal.runner())->log("kubelet", since, 2) == std::vector<std::string>{"second", "third"});
  CHECK(journal.asked[0] == "journalctl --since @1795386361.250000 -o cat -n 2 --no-pager -q _SYSTEMD_UNIT=kubelet.service + "
                            "UNIT=kubelet.service _PID=1 + _TRANSPORT=stdout SYSLOG_IDENTIFIER=kubelet");
}

TEST_CASE("OpenRC's exit codes tell a service's state") {
  auto stateAt = [](int exitCode) {
    Canned openrc{
        .answers = {{"rc-service kubelet status", {.exitCode = exitCode, .output = " * status: whatever\n"}},
                    {"rc-update show default", {.output = "      containerd |      default\n  kubelet |  default\n"}}},
        .asked = {}};
    return openrcServices(openrc.runner())->state("kubelet");
  };
  CHECK(stateAt(0).active == "active");
  CHECK(stateAt(3).active == "inactive");
  CHECK(stateAt(32).active == "failed");
  CHECK(stateAt(32).result == "exit-code");
  CHECK(stateAt(8).active == "activating");
  CHECK(stateAt(0).enabled);
}

TEST_CASE("OpenRC: a service that does not exist, one that is not enabled, and the commands of each action") {
  Canned openrc{.answers = {{"rc-service none status",
                             {.exitCode = 1, .errors = " * rc-service: service `none' does not exist\n"}},
                            {"rc-update show default", {.output = "  kubelet-old |  default\n"}}},
                .asked = {}};
  auto services = openrcServices(openrc.runner());
  CHECK_FALSE(services->state("none").exists);
  CHECK(services->facts({"kubelet"})[0].exists);
  CHECK_FALSE(services->facts({"kubelet"})[0].enabled);
  openrc.asked.clear();
  services->act("kubelet", Action::restart);
  services->act("kubelet", Action::enable);
  CHECK(openrc.asked == std::vector<std::string>{"rc-service kubelet restart", "rc-update add kubelet default"});
  openrc.answers["rc-service kubelet stop"] = {.exitCode = 1, .output = " * kubelet failed to stop\n"};
  CHECK(messageOf([&] { services->act("kubelet", Action::stop); }) ==
        "rc-service kubelet stop ended with code 1: * kubelet failed to stop");
}

TEST_CASE("without an init system nothing exists and acting says what to do instead") {
  auto services = noServices();
  CHECK_FALSE(services->state("kubelet").exists);
  CHECK(services->facts({"a", "b"}).size() == 2);
  CHECK(messageOf([&] { services->act("kubelet", Action::start); }) ==
        "cannot act on service kubelet: this machine has neither systemd nor OpenRC");
}

TEST_CASE("the start of a process is known to the hundredth of a second") {
  LocalHost host;
  auto before = std::chrono::system_clock::now();
  auto text = host.run({"sh", {"-c", "sleep 5 >/dev/null 2>&1 & echo $!"}, "", std::chrono::seconds(10)}).output;
  auto after = std::chrono::system_clock::now();
  auto start = processStart(std::stoi(text));
  kill(std::stoi(text), SIGKILL);
  REQUIRE(start);
  CHECK(*start > before - std::chrono::milliseconds(30));
  CHECK(*start < after + std::chrono::milliseconds(30));
  CHECK_FALSE(processStart(1 << 30));
}
