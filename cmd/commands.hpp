#pragma once

#include "cmd/command.hpp"

namespace kubestrap::cmd {

// One file per command; each gives its node of the command tree.
Command initCommand();
Command joinCommand();
Command configCommand();
Command preflightCommand();
Command tokenCommand();
Command versionCommand();
Command certsCommand();
Command completionCommand();

/// The whole tree below "kubestrap".
Command rootCommand();

} // namespace kubestrap::cmd
