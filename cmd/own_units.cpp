// Units of this machine: a timer that renews what ends soon, and a service that approves kubelets' serving certificates.
#include "cmd/commands.hpp"
#include "cmd/duration.hpp"
#include "cmd/machine.hpp"
#include "cmd/output.hpp"
#include "cmd/own_cluster.hpp"
#include "cmd/workflow.hpp"

#include "phases/own_units.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

namespace kubestrap::cmd {

namespace {

struct AutoRenewOptions {
  std::optional<std::string> within, schedule;
  bool exitCode = false;
};

ExitCode enact(Machine& machine, const plan::Resources& resources, const std::string& command, bool exitCode) {
  const auto lock = machine.host().lock(command);
  machine.useRuntime(foundSocket(machine.host().facts({.depth = host::Host::Questions::Depth::defaults})));
  auto world = machine.world();
  const auto outcome = plan::enactAll(resources, command, "certs " + command, world, *reporterFor(plan::Mode::apply));
  // The target is loaded already, and does not know yet what belongs to it now.
  if (outcome.changed()) (void)machine.host().run({.program = "systemctl", .arguments = {"daemon-reload"}, .input = {}});
  return exitCode && outcome.changed() ? ExitCode::differs : ExitCode::done;
}

void needControlPlane(host::Host& host, const char* otherwise) {
  if (!isControlPlane(host)) throw Error(fmt::format("this machine is no control plane: {}", otherwise), "run it on a control plane node", ExitCode::refused);
}

/// A program that goes with the next cleaning of /tmp would renew nothing.
config::Path ownProgram() {
  auto path = std::filesystem::read_symlink("/proc/self/exe");
  for (const auto* passing : {"/tmp/", "/var/tmp/", "/run/"})
    if (path.string().starts_with(passing)) throw Error(fmt::format("this kubestrap is {}, which will not be there for ever", path.string()), "install it first, as /usr/bin/kubestrap", ExitCode::refused);
  return path;
}

/// systemd's own word on a time: "daily", "Mon *-*-* 03:00".
void checkSchedule(const std::string& schedule, host::Host& host) {
  const auto answer = host.run({.program = "systemd-analyze", .arguments = {"calendar", schedule}, .input = {}});
  if (answer.exitCode != 0 || schedule.find('\n') != std::string::npos)
    throw Error(fmt::format("\"{}\" is no time for systemd's OnCalendar", schedule), "daily, weekly or like \"Mon *-*-* 03:00\"", ExitCode::usage);
}

ExitCode enable(const AutoRenewOptions& options) {
  Machine machine(globals().rootfs);
  auto& host = machine.host();
  needControlPlane(host, "there is nothing that certs renew could renew");
  phases::AutoRenewal wanted{.program = ownProgram()};
  if (options.within) (void)parseDays(*options.within);
  if (options.within) wanted.within = *options.within;
  if (options.schedule) checkSchedule(*options.schedule, host);
  if (options.schedule) wanted.schedule = *options.schedule;
  return enact(machine, phases::autoRenewal(wanted), "auto-renew enable", options.exitCode);
}

ExitCode disable(const AutoRenewOptions& options) {
  Machine machine(globals().rootfs);
  return enact(machine, phases::noAutoRenewal(), "auto-renew disable", options.exitCode);
}

std::string property(host::Host& host, const std::string& unit, const std::string& name) {
  return std::string(trim(host.run({.program = "systemctl", .arguments = {"show", unit, "--value", "--property=" + name}, .input = {}}).output));
}

ExitCode status() {
  Machine machine(globals().rootfs);
  auto& host = machine.host();
  const bool enabled = host.status(phases::renewalStartFile) && host.status(phases::renewalTimerFile) && host.service(phases::renewalTimer).active == "active";
  const auto service = config::Path(phases::renewalServiceFile).filename().string();
  auto answer = result("AutoRenewal");
  answer["enabled"] = enabled;
  if (enabled) {
    const auto text = host.read(phases::renewalServiceFile).value_or("");
    const auto at = text.find("--if-within ");
    answer["within"] = at == text.npos ? "" : std::string(trim(text.substr(at + 12)));
    answer["next"] = property(host, phases::renewalTimer, "NextElapseUSecRealtime");
    answer["last"] = property(host, phases::renewalTimer, "LastTriggerUSec");
    answer["result"] = answer["last"] == "" ? "" : property(host, service, "Result");
  }
  if (const auto as = format(globals()); as != Format::text) printResult(answer, as);
  else if (!enabled) fmt::print("disabled\n");
  else
    fmt::print("enabled, for what ends within {}\nnext look: {}\nlast look: {}\n", stringAt(answer, "within"), stringAt(answer, "next"),
               stringAt(answer, "last").empty() ? "none yet" : fmt::format("{} ({})", stringAt(answer, "last"), stringAt(answer, "result")));
  return ExitCode::done;
}

ExitCode enableApproval(bool exitCode) {
  Machine machine(globals().rootfs);
  needControlPlane(machine.host(), "only there are the credentials that may approve");
  return enact(machine, phases::autoApproval(ownProgram()), "auto-approve enable", exitCode);
}

ExitCode disableApproval(bool exitCode) {
  Machine machine(globals().rootfs);
  return enact(machine, phases::noAutoApproval(), "auto-approve disable", exitCode);
}

ExitCode approvalStatus() {
  Machine machine(globals().rootfs);
  auto& host = machine.host();
  auto answer = result("AutoApproval");
  answer["enabled"] = host.status(phases::approvalStartFile) && host.status(phases::approvalServiceFile);
  answer["state"] = host.service(phases::approvalService).active;
  if (const auto as = format(globals()); as != Format::text) printResult(answer, as);
  else if (answer["enabled"] == true) fmt::print("enabled, {}\n", stringAt(answer, "state"));
  else fmt::print("disabled\n");
  return ExitCode::done;
}

Flag exitCodeFlag(bool& into) { return {.name = "exit-code", .into = &into, .doc = "End with 4 when something was changed"}; }

std::vector<Flag> enableFlags(AutoRenewOptions& options) {
  return {{.name = "within", .into = &options.within, .doc = "Renew what ends within this time", .value = "DURATION", .standard = "30d"},
          {.name = "schedule", .into = &options.schedule, .doc = "When to look, as systemd's OnCalendar has it; up to four hours are added by chance", .value = "TIME", .standard = "daily"},
          exitCodeFlag(options.exitCode)};
}

} // namespace

Command autoRenewCommand() {
  const auto options = std::make_shared<AutoRenewOptions>();
  return {.name = "auto-renew",
          .summary = "Let a timer of this machine renew what ends soon",
          .children = {{.name = "enable",
                        .summary = "Look every day, and renew what ends within 30 days",
                        .flags = [options] { return enableFlags(*options); },
                        .run = [options](const auto&) { return enable(*options); }},
                       {.name = "disable",
                        .summary = "Take the timer away",
                        .flags = [options] { return std::vector<Flag>{exitCodeFlag(options->exitCode)}; },
                        .run = [options](const auto&) { return disable(*options); }},
                       {.name = "status", .summary = "Say whether there is a timer, and when it looks", .run = [](const auto&) { return status(); }}}};
}

Command autoApproveCommand() {
  const auto exitCode = std::make_shared<bool>(false);
  const auto flags = [exitCode] { return std::vector<Flag>{exitCodeFlag(*exitCode)}; };
  return {.name = "auto-approve",
          .summary = "Let a service of this machine approve kubelets' serving certificates, as `certs approve --watch` does",
          .children = {{.name = "enable", .summary = "Start it, now and with the machine", .flags = flags, .run = [exitCode](const auto&) { return enableApproval(*exitCode); }},
                       {.name = "disable", .summary = "Take the service away", .flags = flags, .run = [exitCode](const auto&) { return disableApproval(*exitCode); }},
                       {.name = "status", .summary = "Say whether there is a service, and whether it runs", .run = [](const auto&) { return approvalStatus(); }}}};
}

} // namespace kubestrap::cmd
