#include "host/facts.hpp"

#include <sys/stat.h>
#include <sys/statvfs.h>

namespace kubestrap::host {

namespace {

/// The folder itself, or the nearest one above it that is there.
Path existing(Path path) {
  struct stat found {};
  while (path.has_relative_path() && stat(path.c_str(), &found) != 0) path = path.parent_path();
  return path;
}

/// The topmost folder on the same file system.
std::string mountPointOf(Path path) {
  struct stat here {}, above {};
  if (stat(path.c_str(), &here) != 0) return path.string();
  while (path.has_relative_path() && stat(path.parent_path().c_str(), &above) == 0 && above.st_dev == here.st_dev)
    path = path.parent_path();
  return path.string();
}

} // namespace

std::optional<config::DiskFacts> diskOf(const Path& folder) {
  const auto path = existing(folder);
  struct statvfs found {};
  if (statvfs(path.c_str(), &found) != 0) return {};
  return config::DiskFacts{.mountPoint = mountPointOf(path),
                           .bytes = std::uint64_t{found.f_blocks} * found.f_frsize,
                           .freeBytes = std::uint64_t{found.f_bavail} * found.f_frsize,
                           .inodes = found.f_files,
                           .freeInodes = found.f_favail,
                           .readOnly = (found.f_flag & ST_RDONLY) != 0};
}

} // namespace kubestrap::host
