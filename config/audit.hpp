#pragma once

#include "config/model.hpp"
#include "config/schema.hpp"

#include <string>
#include <string_view>

namespace kubestrap::config {

inline constexpr std::string_view auditApiVersion = "audit.k8s.io/v1", auditPolicyKind = "Policy";
/// The shape of what says which requests an API server's audit log holds.
extern const schema::Type auditPolicy;

/// The policy as it lies on a control plane: the same bytes for the same document. Throws Error where nobody has read it.
std::string auditPolicyText(const Audit& audit);

/// "audit-log-path": a flag among the operator's own arguments for the API server which security sets, too; empty: none.
std::string setTwice(const Cluster& cluster);
/// The operator's own arguments say by which file API servers encrypt: its keys are the operator's, too.
bool encryptsByArguments(const Cluster& cluster);

} // namespace kubestrap::config
