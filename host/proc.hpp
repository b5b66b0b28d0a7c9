#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace kubestrap::host {

/// The content of a small file of the kernel (/proc, /sys), whose size stat does not know; "" when it cannot be read.
std::string readProc(const std::string& path);

/// The words of a line, separated by any white space.
std::vector<std::string> words(std::string_view line);

} // namespace kubestrap::host
