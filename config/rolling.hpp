#pragma once
// By these names an operation over several nodes is told to the guards: its driver writes them (plan/operation.cpp, phases/roll.cpp), a guard goes by them
// when the driver is not heard of any more (phases/guard.hpp).

#include <string_view>

namespace kubestrap::config {

/// ConfigMap in kube-system: the operation that goes on, and in data.state how far it is.
inline constexpr std::string_view planName = "kubestrap-plan";
/// What it notes while a component gets another revision: the component, the revision that it gets, and the one before.
inline constexpr std::string_view rollingNote = "rolling", toNote = "to", fromNote = "from";
/// Of a DaemonSet's template, and of the standby made of it: which revision it is, "3".
inline constexpr std::string_view revisionAnnotation = "kubestrap.io/revision";

} // namespace kubestrap::config
