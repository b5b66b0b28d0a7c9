#pragma once

#include "support/time.hpp"

#include <string>

namespace kubestrap::cmd {

/// "30d", or a duration as everywhere.
Duration parseDays(const std::string& text);

} // namespace kubestrap::cmd
