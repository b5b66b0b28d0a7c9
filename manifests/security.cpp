#include "manifests/security.hpp"

#include "config/audit.hpp"
#include "support/encoding.hpp"

#include <fmt/format.h>

namespace kubestrap::manifests {

config::Path auditPolicyFile(const config::Audit& audit) {
  return config::paths::kubernetes / "audit" / fmt::format("policy-{}.yaml", sha256Hex(config::auditPolicyText(audit)).substr(0, 12));
}

config::Path auditLogFolder() { return "/var/log/kubernetes/audit"; }

config::Path encryptionFile(const config::Cluster& cluster) { return cluster.pki.folder / "encryption.yaml"; }

} // namespace kubestrap::manifests
