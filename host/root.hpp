#pragma once

#include "host/descriptor.hpp"

#include <filesystem>
#include <string>
#include <sys/types.h>

namespace kubestrap::host {

/// Opens absolute paths beneath a folder as if that folder were "/": neither ".." nor a symbolic link leads out of it.
class Root {
public:
  /// How a path beneath a root other than "/" is followed: by the kernel (openat2, Linux 5.6), or step by step here,
  /// which is also what happens where the kernel or a seccomp filter refuses openat2.
  enum class Resolve { kernel, steps };

  /// Throws Error when `root` is no folder.
  explicit Root(std::filesystem::path root, Resolve resolve = Resolve::kernel);

  /// As open(2), always with O_CLOEXEC. On failure the descriptor is empty and errno says why.
  Descriptor open(const std::filesystem::path& path, int flags, mode_t mode = 0) const;

  /// The folder and the path as the machine beneath sees it, for messages.
  std::string outside(const std::filesystem::path& path) const;

private:
  Descriptor openBySteps(const std::filesystem::path& path, int flags, mode_t mode) const;
  std::filesystem::path root_;
  Resolve resolve_;
  Descriptor folder_; ///< of the root; empty when it is "/"
};

} // namespace kubestrap::host
