#pragma once

#include "host/descriptor.hpp"

#include <filesystem>
#include <string_view>

namespace kubestrap::host {

/// A large file, written piece by piece beside its place, and there as a whole or not at all.
class FileWriter {
public:
  /// Nobody but root may read it. Throws Error where it cannot be made.
  explicit FileWriter(std::filesystem::path path);
  FileWriter(const FileWriter&) = delete;
  ~FileWriter(); ///< takes away what was not committed
  void write(std::string_view bytes);
  void commit(); ///< synced, and in its place

private:
  std::filesystem::path path_, beside_;
  Descriptor file_;
};

} // namespace kubestrap::host
