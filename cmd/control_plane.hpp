#pragma once

#include "kube/client.hpp"
#include "phases/pivot.hpp"
#include "support/time.hpp"

namespace kubestrap::cmd {

/// One look at a hosted control plane, as the API tells: its nodes, what their guards report, its DaemonSets, who leads.
phases::pivot::Seen lookAtControlPlane(kube::Client& client, TimePoint now);

} // namespace kubestrap::cmd
