#pragma once
// Moving pods off a node, as kubectl drain does it: what may move, and asking for it.

#include "kube/client.hpp"

#include <string>

namespace kubestrap::plan {

std::string podName(const Value& pod); ///< "default/web-1"

/// Whether a pod on that node has to move before the machine is worked on: no pod of a DaemonSet or of a file, nor one that has ended.
bool mayMove(const Value& pod, const std::string& node);

/// Whether nobody makes a pod anew elsewhere.
bool isAlone(const Value& pod);

/// The annotation of a Node that Drain has closed and Uncordon will open: also when the command was killed in between.
inline constexpr std::string_view closedHere = "kubestrap.io/upgrade-node";

enum class Evicting { really, asksOnly };
/// Why a pod may not go yet, in the API server's words, which name the budget; nothing when it goes, or is gone. Throws Error where it never may.
std::string evict(kube::Client& client, const Value& pod, Evicting how = Evicting::really);

} // namespace kubestrap::plan
