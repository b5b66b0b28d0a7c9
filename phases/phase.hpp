#pragma once
// phases/ says what should be true, and nothing else: a workflow is a table of phases, a phase is a pure function from a Setup
// to resources. Nothing here can reach a disk, a network or a clock.

#include "config/facts.hpp"
#include "config/model.hpp"
#include "plan/resource.hpp"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kubestrap::phases {

enum class Severity { warning, error };

/// One thing preflight has to say about a machine.
struct Finding {
  std::string check;    ///< kubeadm's name: "Port-6443"
  Severity severity = Severity::error;
  std::string evidence; ///< what was seen
  std::string remedy;   ///< what to do about it
};
using Findings = std::vector<Finding>;

/// What a failure of a later resource does to the files that this phase changed.
enum class OnFailure { stop, restoreFiles };

struct Phase {
  std::string_view name, summary;
  plan::Resources (*desired)(const config::Setup&) = nullptr;
  Findings (*judge)(const config::Setup&, const config::Facts&) = nullptr; ///< preflight only
  std::span<const Phase> children = {};
  OnFailure onFailure = OnFailure::stop;
};

/// A command's phases in the order they run, with the sentence that its help begins with.
struct Workflow {
  std::string_view command, summary;
  std::span<const Phase> phases;
};

extern const Workflow initWorkflow;

/// "certs", "certs/ca": every phase and sub-phase in order.
std::vector<std::string> phaseNames(const Workflow& workflow);

} // namespace kubestrap::phases
