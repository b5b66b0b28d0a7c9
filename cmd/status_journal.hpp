#pragma once

#include "cmd/machine.hpp"

namespace kubestrap::cmd {

/// Prints what kubestrap has recorded on this machine: what was not undone since, or everything.
enum class JournalPart { standing, everything };
ExitCode showJournal(Machine& machine, JournalPart part);

} // namespace kubestrap::cmd
