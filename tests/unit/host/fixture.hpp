#pragma once

#include "support/error.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace kubestrap::host {

using std::filesystem::path;

/// A folder of its own for a test, gone afterwards.
struct TempFolder {
  TempFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "kubestrap-host-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    folder = name;
  }
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  void put(const std::string& name, const std::string& content) const {
    std::filesystem::create_directories((folder / name).parent_path());
    std::ofstream(folder / name) << content;
  }
  std::string text(const std::string& name) const {
    std::ifstream file(folder / name);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  path folder;
};

/// The message of the Error that `body` must throw.
template <typename Body> std::string messageOf(Body body) {
  try {
    body();
  } catch (const Error& error) {
    return error.message();
  }
  FAIL("no Error was thrown");
  return {};
}

} // namespace kubestrap::host
