#pragma once

#include "support/value.hpp"

#include <string>

namespace kubestrap::cmd {

/// What kubestrap on another node's machine has reported: the last line of its pod's log that is a JSON object; an empty object where there is none.
/// Throws Error, with the source in it, where that line is broken.
Value reportIn(const std::string& log, const std::string& source);

} // namespace kubestrap::cmd
