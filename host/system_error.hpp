#pragma once

#include "support/error.hpp"

#include <cerrno>
#include <string>
#include <string_view>

namespace kubestrap::host {

/// "cannot write /etc/kubernetes/admin.conf: No space left on device", with a hint where one is known. `number` is an
/// errno.
Error systemError(std::string_view what, const std::string& path, int number = errno);

/// errno's text.
std::string errorText(int number);

} // namespace kubestrap::host
