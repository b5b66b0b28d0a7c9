#pragma once
// Taints that a cluster.yaml gives. As a label has, each has a name, which is its key and effect, and a value.

#include "phases/fleet.hpp"
#include "support/value.hpp"

namespace kubestrap::phases::fleet {

/// The annotation of a Node by which kubestrap knows which taints it has given it.
inline constexpr std::string_view givenTaintsNotice = "kubestrap.io/taints";

/// Of a list of core/v1 Taint: "example.org/gpu:NoSchedule" to its value.
Taints taintsByName(const Value& taints);

/// What has to change: a value, or nothing for one that goes. What the file says nothing of goes only where it came from the file, and a control plane
/// keeps its usual one; where the file says which ones there are, that is among those that go. Taints that are only there until a node is ready are left alone.
std::map<std::string, std::optional<std::string>> taintChanges(const std::optional<Taints>& wanted, bool controlPlane, const Labels& has);
/// "example.org/gpu=a:NoSchedule", and "example.org/gpu:NoSchedule-" for one that goes, as kubectl has it.
std::string taintWord(const std::string& name, const std::optional<std::string>& value);

/// A merge patch, refused by the API server where the Node has changed since; null where nothing has to change.
Value taintPatch(const Value& node, bool controlPlane, const std::optional<Taints>& wanted);

} // namespace kubestrap::phases::fleet
