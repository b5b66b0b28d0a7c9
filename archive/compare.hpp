#pragma once

#include "archive/lock.hpp"

namespace kubestrap::archive {

/// How a part, or an image, of a newer bundle differs from the older one's.
struct Difference {
  enum class What { added, removed, changed } what = What::changed;
  std::string name;         ///< "bin/kubelet", "registry.k8s.io/pause:3.10.2"
  std::string before, after; ///< versions, or the beginnings of digests where they do not differ
  std::int64_t octets = 0;  ///< by which it grew
};
/// What images are made of shows as images.
std::vector<Difference> compare(const Lock& older, const Lock& newer);

} // namespace kubestrap::archive
