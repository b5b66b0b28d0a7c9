#pragma once

#include <string>

namespace kubestrap::host {

/// The content of a small file of the kernel (/proc, /sys), whose size stat does not know; "" when it cannot be read.
std::string readProc(const std::string& path);

} // namespace kubestrap::host
