#pragma once

#include "support/value.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kubestrap::kube {

// What objects of the API say, where a member's name has dots or a list has to be searched.

/// The text of a label or annotation, of an object or a pod template; nothing: it is not there.
std::optional<std::string> labelOf(const Value& object, std::string_view name);
std::optional<std::string> annotationOf(const Value& object, std::string_view name);

/// The number at a dotted path, 0 where there is none, as the API leaves out zeros.
long numberAt(const Value& object, std::string_view dottedPath);

/// The addresses of type InternalIP of a Node, in its order.
std::vector<std::string> internalAddresses(const Value& node);

/// What Nodes of control planes are labelled with.
inline constexpr std::string_view controlPlaneLabel = "node-role.kubernetes.io/control-plane";
bool isControlPlane(const Value& node);

/// Whether the condition of that type ("DiskPressure") is true.
bool hasCondition(const Value& object, std::string_view type);
/// Whether the condition Ready of a Node or a Pod is.
bool isReady(const Value& object);
/// Whether pods of the host's network can run on a Node: it is Ready, or lacks nothing but a pod network (the words are the kubelet's,
/// pkg/kubelet/runtime.go).
bool runsHostPods(const Value& node);

} // namespace kubestrap::kube
