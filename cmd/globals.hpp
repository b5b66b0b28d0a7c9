#pragma once

#include "cmd/command.hpp"

#include <string>

namespace kubestrap::cmd {

/// Flags that every command has.
struct Globals {
  bool help = false;
  std::string rootfs = "/";
  std::optional<int> verbosity;
  std::string output = "text"; ///< text, json or yaml (decision D15)
};

/// The one instance, filled by dispatch; passed on by the commands, never read below cmd/.
Globals& globals();
std::vector<Flag> globalFlags(Globals& into);

enum class Format { text, json, yaml };
/// Throws Error (usage) for anything else.
Format format(const Globals& globals);

} // namespace kubestrap::cmd
