#pragma once

#include "support/time.hpp"

#include <stop_token>

namespace kubestrap {

/// Sleeps for so long, or until it is told to stop; whether it was not.
bool sleepFor(Duration duration, const std::stop_token& stop);

} // namespace kubestrap
