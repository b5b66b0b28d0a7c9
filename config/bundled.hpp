#pragma once

#include "config/paths.hpp"

#include <optional>
#include <string>
#include <vector>

namespace kubestrap::config {

/// What a bundle that was found good has for this machine.
struct Bundled {
  Path file;
  std::optional<Path> base; ///< the older bundle that a delta goes by
  std::string lockDigest;   ///< of its lock file: what was verified is what is unpacked

  struct Program {
    std::string part; ///< "bin/kubelet"
    Path to;
    std::string sha256;
    unsigned mode = 0755;
  };
  std::vector<Program> programs; ///< and packages: what is large
  struct Text {
    Path to;
    std::string content;
  };
  std::vector<Text> texts;         ///< units and add-ons
  std::vector<std::string> images; ///< names
};

} // namespace kubestrap::config
