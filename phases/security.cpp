#include "phases/security.hpp"

#include "config/audit.hpp"
#include "manifests/security.hpp"

namespace kubestrap::phases {

plan::Resources auditLog(const config::Setup& setup) {
  const auto& audit = setup.cluster.kubestrap.audit;
  if (!audit) return {};
  return {plan::File{.path = manifests::auditPolicyFile(*audit), .content = config::auditPolicyText(*audit), .mode = 0600, .folderMode = 0700},
          plan::Folder{manifests::auditLogFolder(), 0700}};
}

} // namespace kubestrap::phases
