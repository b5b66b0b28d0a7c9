#pragma once
// The revision of a DaemonSet before the present one is put in force again (phases/guard.hpp, PutBack).

#include "kube/client.hpp"
#include "phases/guard.hpp"
#include "support/value.hpp"

#include <optional>
#include <vector>

namespace kubestrap::guard {

/// The DaemonSet with the template that the DaemonSet's own controller has kept of that revision, and a precondition that it is as it was seen;
/// nothing where no such revision was kept.
std::optional<Value> withRevision(const Value& daemonSet, const std::vector<Value>& kept, const std::string& revision);

/// Does so by `client`; whether it was done. Not where another revision than `to` is in force meanwhile.
bool putBack(kube::Client& client, const phases::guard::Rolling& rolling);

} // namespace kubestrap::guard
