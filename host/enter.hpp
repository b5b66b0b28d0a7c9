#pragma once

#include <string>
#include <vector>

namespace kubestrap::host {

/// Becomes a program of the machine, from within a privileged pod that shares the machine's process ids: in the namespaces and with the root
/// of process 1. Returns only by an Error. The calling process may have no other thread (setns(2)).
[[noreturn]] void becomeOnMachine(const std::vector<std::string>& command);

} // namespace kubestrap::host
