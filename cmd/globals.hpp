#pragma once

#include "cmd/command.hpp"

#include <initializer_list>
#include <string>
#include <string_view>

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

/// The flag with which most commands are told how to speak to the cluster.
Flag kubeconfigFlag(std::optional<std::string>& into, std::string doc = "The kubeconfig to speak to the cluster with");

/// Flags that scripts give to kubeadm and that change nothing here, as they change nothing there: no result has managed fields or is a
/// template, and some commands inherit --kubeconfig or --dry-run without a use for it. They are accepted and not shown.
std::vector<Flag> withoutEffect(std::initializer_list<std::string_view> names);

enum class Format { text, json, yaml };
/// Throws Error (usage) for anything else.
Format format(const Globals& globals);

} // namespace kubestrap::cmd
