#pragma once

#include "kube/client.hpp"
#include "phases/pivot.hpp"
#include "support/time.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace kubestrap::cmd {

/// One look at a hosted control plane, as the API tells: its nodes, what their guards report, its DaemonSets, who leads.
phases::pivot::Seen lookAtControlPlane(kube::Client& client, TimePoint now);

/// The hosted components that are named, or all where none is. Throws Error (usage) for another, `what` being what those can.
std::vector<std::string> hostedComponentsNamed(const std::vector<std::string>& arguments, std::string_view what);

} // namespace kubestrap::cmd
