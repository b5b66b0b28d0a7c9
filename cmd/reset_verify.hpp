#pragma once

#include "cmd/machine.hpp"
#include "support/error.hpp"

namespace kubestrap::cmd {

/// Prints how the machine differs from what it was before the first init or join, on standard output; `differs` when it does.
ExitCode verifyReset(Machine& machine);

} // namespace kubestrap::cmd
