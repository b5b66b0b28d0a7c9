#pragma once

#include <optional>

namespace kubestrap::cmd {

/// Asks whether to go on, as kubeadm does, and throws Error unless the answer is yes.
void confirmOrEnd();

/// Whether somebody sits at a terminal, and can be asked while something goes on.
bool canBeAsked();
/// What has been answered at standard input meanwhile; nothing yet: no line has come. Does not wait. Throws Error where none comes any more.
std::optional<bool> answered();

} // namespace kubestrap::cmd
