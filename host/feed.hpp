#pragma once

#include "host/host.hpp"

#include <functional>
#include <stop_token>
#include <string_view>

namespace kubestrap::host {

/// What a program is given while it runs, and who hears its lines as they come.
struct Feed {
  int input = -1; ///< a descriptor in place of Command::input; it stays the caller's
  std::function<void(std::string_view line)> output = {}, errors = {};
};

/// As runProcess without a feed. May be called from several threads.
CommandResult runProcess(const Command& command, const Feed& feed, std::stop_token stop);

} // namespace kubestrap::host
