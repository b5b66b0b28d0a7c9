#pragma once
// What comes next in an operation over several nodes, as plain data; phases say it, plan/operation.hpp does it.

#include "plan/resource.hpp"

#include <map>
#include <string>
#include <variant>

namespace kubestrap::plan {

/// Something to do, all of it through the cluster's API.
struct Step {
  std::string name; ///< "n1: labelled self-hosted": a step that comes again right after itself had no effect
  Resources work;
  /// What the plan in the cluster says from this step on, for those who read it while its driver is silent. An empty text takes one away.
  std::map<std::string, std::string> notes = {};
};
/// Something that is under way.
struct Waiting {
  std::string what;     ///< "n1: the pods of the DaemonSets are ready"
  std::string lacking;  ///< "kube-apiserver is not": what is missing yet
  Duration patience{};  ///< for this `what`
  std::string hint;     ///< where to look when it is over
};
struct Done {};
/// No step leads on, and waiting does not help.
struct Stuck {
  std::string cause, remedy;
};
using Next = std::variant<Step, Waiting, Done, Stuck>;

} // namespace kubestrap::plan
