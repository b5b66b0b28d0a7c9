// Every input that the fuzzer learned from, or once found something with, without the fuzzer.
#include "targets.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace kubestrap::fuzz {

TEST_CASE("everything in the fuzzer's corpus is answered") {
  for (const auto& target : targets()) {
    int files = 0;
    for (const auto& entry : std::filesystem::directory_iterator(std::string(KUBESTRAP_SOURCE_DIR "/tests/fuzz/corpus/") + std::string(target.name))) {
      std::stringstream text;
      text << std::ifstream(entry.path()).rdbuf();
      CHECK_NOTHROW_MESSAGE(target.run(text.str()), entry.path().string());
      ++files;
    }
    CHECK_MESSAGE(files > 0, target.name);
  }
}

} // namespace kubestrap::fuzz
