#pragma once

#include "certs/spec.hpp"

#include <map>
#include <span>
#include <string>
#include <string_view>

namespace kubestrap::certs {

/// Where a signing policy lies beside the requests that `certs requests` writes.
inline constexpr std::string_view policyFile = "policy.json";

/// What an operator wants of the cluster's certificates: by certificate ("apiserver", "admin.conf").
struct Wishes {
  std::map<std::string, std::string> requests; ///< CSR JSON by file name: "apiserver.json"; a request says only what is to differ
  std::string folder;                          ///< where they lie, for problems
  std::string policy;                          ///< the policy's JSON; empty: none
  std::string policySource;
};

/// How cfssl calls what a certificate of the cluster may be used for.
std::vector<std::string> usagesFor(std::span<const ExtendedUsage> usages);

/// Throws Problems with all that is wrong, unknown, or would make a certificate that its component cannot use.
std::map<std::string, Override> parseWishes(const Wishes& wishes);

} // namespace kubestrap::certs
