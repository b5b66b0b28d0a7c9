#pragma once
// A node whose address has changed: what names the old one on its machine, and then in the cluster, names the new one.

#include "plan/phase.hpp"

#include <string>
#include <string_view>

namespace kubestrap::phases {

/// Of an address that changes, while it changes: {"from": "10.0.0.11", "to": "10.0.0.21"}. So a run that was stopped is gone on with.
inline const config::Path readdressing = config::paths::state / "readdress.json";

/// A text with an address in place of another one. What only contains it (10.0.0.11 of 10.0.0.110) stays.
std::string readdressed(std::string_view text, std::string_view from, std::string_view to);

/// On the machine: what `request.readdressing` has.
const plan::Workflow& readdressWorkflow();
/// In the cluster, once the node's API server answers again.
const plan::Workflow& readdressClusterWorkflow();

} // namespace kubestrap::phases
