#pragma once

#include "host/host.hpp"
#include "host/root.hpp"

namespace kubestrap::host {

/// Takes the lock of the machine beneath `root`: flock on `path`, in which stand command, process and start of the
/// holder, as JSON. The lock goes with the process, however that ends; a file that is left over means nothing. Throws
/// Error when it is held.
std::unique_ptr<Host::Lock> takeLock(const Root& root, const Path& path, const std::string& command);

} // namespace kubestrap::host
