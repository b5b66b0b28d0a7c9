#pragma once

#include "archive/inputs.hpp"
#include "archive/reader.hpp"
#include "archive/references.hpp"
#include "certs/key.hpp"

namespace kubestrap::archive {

/// What a bundle is made of, and how it is vouched for.
struct Making {
  fs::path target;
  Inputs inputs;
  std::optional<certs::PrivateKey> key; ///< nothing: it is not signed
  std::string created, tool;            ///< of the list of contents
};

struct Made {
  Lock lock;
  std::string lockDigest;
  Missing missing;
};

/// Makes a bundle. The same inputs give the same bytes, whatever their order, dates, owners and modes. Throws Error where a part is for
/// another architecture.
Made create(const Making& making, const Progress& progress = {});

/// Writes what `newer` has and `older` lacks, under the newer one's lock file and signature. Both are verified whole.
struct DeltaMade {
  std::uint64_t octets = 0; ///< of the parts in it
  std::size_t parts = 0;
};
DeltaMade makeDelta(const fs::path& older, const fs::path& newer, const fs::path& target, const std::vector<certs::PublicKey>& trusted, const Progress& progress = {});

} // namespace kubestrap::archive
