#pragma once

#include "config/model.hpp"
#include "host/host.hpp"
#include "support/yaml.hpp"

#include <vector>

namespace kubestrap::cmd {

/// Reads what KubestrapConfiguration.pki names into `pki.overrides`: whoever makes certificates has to know it. Throws Error for what is
/// not there, and Problems for what is wrong.
void takeWishes(config::PkiPolicy& pki, host::Host& host);

/// Documents of the operator's, with the audit log's policy of the file that KubestrapConfiguration's security.audit names, unless they have one. Throws
/// Error where it is not there, or is something else.
std::vector<Document> withAuditPolicy(std::vector<Document> documents, host::Host& host);

} // namespace kubestrap::cmd
