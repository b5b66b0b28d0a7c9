#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace kubestrap::archive {

/// What a package of Debian's says of itself; empty where it does not, or cannot be read so.
struct PackageDescription {
  std::string name, version, architecture;
  std::string licence; ///< in SPDX's words: of its copyright file, as far as that is for machines
};
PackageDescription describePackage(const std::filesystem::path& file);

/// The licence of all files that no other paragraph is about, by a copyright file in Debian's machine-readable form, in SPDX's words; empty: it
/// has none, or one that SPDX has no words for.
std::string licenceIn(std::string_view copyright);

} // namespace kubestrap::archive
