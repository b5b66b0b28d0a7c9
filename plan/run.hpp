#pragma once

#include "config/model.hpp"
#include "plan/change.hpp"
#include "plan/phase.hpp"
#include "plan/report.hpp"
#include "plan/world.hpp"

#include <optional>
#include <string>
#include <vector>

namespace kubestrap::plan {

enum class Mode { plan, apply };

/// Which phases of a workflow run.
struct Selection {
  std::optional<std::string> only; ///< "certs", "certs/ca"
  std::vector<std::string> skip;   ///< as --skip-phases
  bool runs(std::string_view phase) const; ///< full name of a phase
};

/// Throws Error (usage) naming the nearest phase for a name that the workflow does not have.
void check(const Selection& selection, const Workflow& workflow);

struct PhaseChange {
  std::string phase;
  Change change;
};

struct Outcome {
  std::vector<PhaseChange> changes; ///< every verdict, the kept ones too
  std::vector<std::string> warnings; ///< what preflight found, and what failed where that ends nothing
  /// Whether anything was, or would be, made different. Waits do not count.
  bool changed() const;
};

/// The whole engine: for each selected phase, for each resource, compare, tell, and in apply mode enact. `command` names the run in
/// the journal. Preflight findings come first; errors among them throw Problems (exit code 3).
Outcome run(const Workflow& workflow, const Selection& selection, const config::Setup& setup, const config::Facts& facts,
            World& world, Mode mode, Reporter& reporter, const std::string& command);

/// Makes resources true outside of a workflow, as a step of an operation: journalled and reported as `step`.
Outcome enactAll(const Resources& resources, const std::string& step, const std::string& command, World& world, Reporter& reporter);

/// What is to be said of a resource, without doing anything. Throws Error where it cannot be judged.
Change verdict(const Resource& resource, World& world);

/// What it would do.
Outcome planAll(const Resources& resources, const std::string& step, World& world, Reporter& reporter);

} // namespace kubestrap::plan
