#pragma once

#include "certs/cms.hpp"
#include "cmd/machine.hpp"
#include "support/secret.hpp"
#include "support/value.hpp"

#include <filesystem>
#include <map>
#include <string>

namespace kubestrap::cmd {

// What backup writes and recover reads: a tar archive, encrypted as a whole (certs/cms.hpp). Its first file is manifest.json, which says
// what is in it and where it came from.

inline constexpr std::string_view snapshotInArchive = "etcd/snapshot.db", configurationInArchive = "config/cluster.yaml", pkiInArchive = "pki/";

/// Writes the archive; files are taken from the machine as they are: name in the archive -> path.
void writeArchive(const std::filesystem::path& target, const certs::Recipients& recipients, const Value& manifest, const std::map<std::string, std::filesystem::path>& files,
                  const std::map<std::string, std::string>& texts, Machine& machine);

/// An archive that has been opened.
struct Archive {
  Value manifest;
  std::map<std::string, Secret> files;
};
/// Throws Error for what does not open, or is no backup of kubestrap's.
Archive openArchive(const std::filesystem::path& file, const certs::Opener& opener);

} // namespace kubestrap::cmd
