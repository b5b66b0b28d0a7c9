#pragma once
// ssh's part is played by a script that comes first in the PATH.

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace kubestrap::nodes {

/// A folder with a program `ssh` of this text, first in the PATH for as long as it lives. The text knows the folder as $here.
class PlayedSsh {
public:
  explicit PlayedSsh(const std::string& script) : before_(std::getenv("PATH")) {
    auto name = (std::filesystem::temp_directory_path() / "played-ssh-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()));
    folder = name;
    std::ofstream(folder / "ssh") << "#!/bin/sh\nhere=" << name << "\n" << script << "\n";
    std::filesystem::permissions(folder / "ssh", std::filesystem::perms::owner_all);
    setenv("PATH", (name + ":" + before_).c_str(), 1);
  }
  ~PlayedSsh() {
    setenv("PATH", before_.c_str(), 1);
    std::filesystem::remove_all(folder);
  }
  PlayedSsh(const PlayedSsh&) = delete;
  std::filesystem::path folder;

private:
  std::string before_;
};

} // namespace kubestrap::nodes
