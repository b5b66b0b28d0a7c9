#pragma once
// What a bundle brings, for the engine alone.

#include "host/host.hpp"
#include "plan/resource.hpp"

#include <string>
#include <vector>

namespace kubestrap::plan {

/// Where the program that a part replaced is kept, as long as the journal is open.
Path keptProgram(const Path& program);
/// Of packages those that are not installed in any version: what reset may take away again.
std::vector<std::string> newPackages(const InstallPackages& wanted, host::Host& host);
/// Writes the archive of an image of an unpacked bundle beside it.
Path imageArchive(const LoadImage& load);

} // namespace kubestrap::plan
