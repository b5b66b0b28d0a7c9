#pragma once
// What tries out a hosted component before, and after, others hang on it.

#include "manifests/hosted.hpp"

namespace kubestrap::manifests {

inline constexpr std::string_view rehearsalLabel = "kubestrap.io/rehearsal"; ///< on rehearsals: the component
inline constexpr std::string_view canaryLabel = "kubestrap.io/canary";       ///< on canaries: the component
/// On a DaemonSet: the revision whose leader has taken up a canary.
inline constexpr std::string_view provedAnnotation = "kubestrap.io/proved-revision";

/// A pod on `node` that runs the command line of a template with --version behind it, and ends: it succeeds when the image is there and
/// the program knows all of its flags (every component reads its flags before it prints its version). Its name says what it tries.
Value rehearsalPod(const Component& component, const Value& podTemplate, const std::string& node);

/// An object that only a controller-manager, or only a scheduler, that does its work takes up: a DaemonSet for no node, whose status says
/// that it was observed, or a pod that is put on a node. Throws Error for another component.
Value canary(const Component& component, const config::Setup& setup);

} // namespace kubestrap::manifests
