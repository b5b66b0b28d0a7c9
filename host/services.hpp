#pragma once

#include "host/host.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace kubestrap::host {

/// How a program is run: LocalHost::run, or canned answers.
using Runner = std::function<CommandResult(const Command&)>;

/// An init system. `name` is a unit's without ".service" ("kubelet").
class Services {
public:
  virtual ~Services() = default;
  virtual ServiceState state(const std::string& name) = 0;
  /// What preflight asks of several units, by one call where that is possible.
  virtual std::vector<config::UnitFacts> facts(const std::vector<std::string>& names) = 0;
  /// Returns when the init system has done it. Throws Error with its own words.
  virtual void act(const std::string& name, Host::ServiceAction action) = 0;
  virtual std::vector<std::string> log(const std::string& name, TimePoint since, std::size_t lines) = 0;
};

std::unique_ptr<Services> systemdServices(Runner run);
std::unique_ptr<Services> openrcServices(Runner run);
/// Neither: nothing exists, and acting throws Error.
std::unique_ptr<Services> noServices();

/// "systemd", "openrc" or "" by the programs in PATH (kubeadm: util/initsystem/initsystem_unix.go).
std::string initSystem();

/// Start of a process by /proc/PID/stat, to 10 ms; nothing when it is gone.
std::optional<TimePoint> processStart(int pid);

/// The last `lines` lines of a text, without empty ones.
std::vector<std::string> lastLines(std::string_view text, std::size_t lines);

} // namespace kubestrap::host
