#pragma once
// What KubestrapConfiguration's security asks of API servers, beside their flags: files and folders of a control plane.

#include "config/model.hpp"

namespace kubestrap::manifests {

/// The policy of the audit log. Its name hangs on what it says, so that an API server that goes back finds the former one.
config::Path auditPolicyFile(const config::Audit& audit);
config::Path auditLogFolder();

/// Which keys API servers encrypt with; never in the cluster, since whoever can read etcd is not to have it.
config::Path encryptionFile(const config::Cluster& cluster);

} // namespace kubestrap::manifests
