#pragma once

#include "host/host.hpp"

#include <optional>
#include <stop_token>
#include <string>

namespace kubestrap::host {

/// Runs a program to its end and collects what it writes. It gets no descriptor of ours but the three standard ones, a
/// process group of its own, and messages in English (LC_ALL=C.UTF-8). At the time limit, and when asked to stop, the
/// whole group is killed. A child that it leaves behind in the background is not waited for, even when that keeps the
/// pipes open. Throws Error when the program cannot be started, Interrupted when asked to stop.
CommandResult runProcess(const Command& command, std::stop_token stop = {});

/// Where a program of that name lies in PATH, as execvp finds it; a name with a slash is taken as it is.
std::optional<Path> findProgram(const std::string& name);

} // namespace kubestrap::host
