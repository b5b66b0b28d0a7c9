#pragma once

#include "support/error.hpp"
#include "support/yaml.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace kubestrap::config {

/// The older format that `migrate` converts.
inline constexpr std::string_view v1beta3 = "kubeadm.k8s.io/v1beta3";

/// Whether documents of `kubeadm.k8s.io/v1`, which kubeadm does not take for a cluster yet, are converted too.
enum class Experimental { refuse, accept };

/// The documents of a file in the versions that are read today. kubeadm's v1beta3 becomes v1beta4: maps of arguments become lists, and
/// what has moved to another field or document is put there. Nothing else is added, changed or lost: what the file left to defaults it
/// leaves to them, and component configurations, KubestrapConfiguration and documents of other makers stay as they are. Converted members
/// know the place of what they were made of. Adds to `problems` what has no counterpart, and to `warnings` what the operator should know.
std::vector<Document> migrate(const std::vector<Document>& documents, Experimental experimental, std::vector<Problem>& problems,
                              std::vector<std::string>& warnings);

} // namespace kubestrap::config
