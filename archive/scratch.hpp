#pragma once

#include "host/host.hpp"
#include "support/error.hpp"

#include <fmt/format.h>

#include <filesystem>

namespace kubestrap::archive {

/// A folder beside a file that is being made, and gone with its owner. What a killed run has left of it goes first.
class Scratch {
public:
  Scratch(const std::filesystem::path& beside, std::string_view name)
      : folder_(std::filesystem::absolute(beside).parent_path() / fmt::format("{}{}", host::leftoverPrefix(beside.filename().string()), name)) {
    std::error_code failed;
    std::filesystem::remove_all(folder_, failed);
    if (!std::filesystem::create_directory(folder_, failed))
      throw Error(fmt::format("cannot make the folder {}: {}", folder_.string(), failed.message()), "is there such a folder, and may you write there?");
  }
  Scratch(const Scratch&) = delete;
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  const std::filesystem::path& folder() const { return folder_; }

private:
  std::filesystem::path folder_;
};

} // namespace kubestrap::archive
