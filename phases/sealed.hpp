#pragma once

#include "plan/resource.hpp"

#include <string>

namespace kubestrap::phases {

/// A Secret of kube-system by which a file of this machine goes to another node: sealed for the certificate `receiver` (PEM; decision D24), as that
/// member of its data.
struct SealedFile {
  plan::Access access;
  std::string secret, member;
  plan::Path file;
  std::string receiver;
};
/// Put there, or (ApplyMode::absent) taken away.
plan::Object sealed(const SealedFile& sealed, plan::ApplyMode mode);

} // namespace kubestrap::phases
