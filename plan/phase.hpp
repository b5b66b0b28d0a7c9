#pragma once

#include "config/facts.hpp"
#include "config/model.hpp"
#include "plan/resource.hpp"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kubestrap::plan {

enum class Severity { warning, error };

/// One thing preflight has to say about a machine.
struct Finding {
  std::string check;    ///< kubeadm's name: "Port-6443"
  Severity severity = Severity::error;
  std::string evidence; ///< what was seen
  std::string remedy;   ///< what to do about it
  bool fixable = false; ///< whether `preflight --fix` can do it
};
using Findings = std::vector<Finding>;

/// What a failure of a resource does to its phase.
enum class OnFailure {
  stop,
  restoreFiles, ///< the files that the phase changed are put back
  warn,         ///< it is told, and the next resource's turn: what could not be had, or need not be
  goOn,         ///< the same, but the phase has failed in the end
  unlessForced  ///< the end, or with --force as `warn`
};

/// A row of a workflow: a pure function from a Setup to what should be true.
struct Phase {
  std::string_view name, summary;
  Resources (*desired)(const config::Setup&, const Phase&) = nullptr; ///< gets its own row: several may share a function
  Findings (*judge)(const config::Setup&, const config::Facts&) = nullptr; ///< preflight only
  Resources (*repair)(const config::Setup&, const config::Facts&) = nullptr; ///< of what preflight finds
  std::span<const Phase> children = {};
  OnFailure onFailure = OnFailure::stop;
  /// Other control planes are looked for anew before it, with this access: they may have got through since the beginning.
  Access (*looksForOthers)(const config::Setup&) = nullptr;
  /// What is enacted when this phase fails (it is not when it is interrupted or killed: the next run goes on): what must not stay.
  Resources (*undo)(const config::Setup&, const Phase&) = nullptr;
};

/// A command's phases in the order they run, with the sentence that its help begins with.
struct Workflow {
  std::string_view command, summary;
  std::span<const Phase> phases;
  /// The phase that undoes what the journal has: then nothing is recorded, since a record would only be undone again, and after this
  /// phase the journal's records are closed.
  std::string_view undoing = {};
};

/// "certs", "certs/ca": every phase and sub-phase in order.
std::vector<std::string> phaseNames(const Workflow& workflow);

} // namespace kubestrap::plan
