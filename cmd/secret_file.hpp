#pragma once

#include "cmd/machine.hpp"
#include "support/secret.hpp"

#include <string>

namespace kubestrap::cmd {

/// A secret of one line, from a file or, for "-", from standard input: a command line can be read by everybody on the machine.
Secret secretFrom(const std::string& fileName, Machine& machine);

} // namespace kubestrap::cmd
