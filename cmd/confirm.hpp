#pragma once

namespace kubestrap::cmd {

/// Asks whether to go on, as kubeadm does, and throws Error unless the answer is yes.
void confirmOrEnd();

} // namespace kubestrap::cmd
