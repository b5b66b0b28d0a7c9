#pragma once
// Rolls of a hosted control plane: a new version, or other settings, by its DaemonSets (phases/roll.hpp).

#include "cmd/operation.hpp"
#include "phases/roll.hpp"
#include "plan/run.hpp"
#include "support/error.hpp"
#include "support/time.hpp"
#include "support/version.hpp"

#include <cstdio>
#include <optional>
#include <string>
#include <vector>

namespace kubestrap::cmd {

class Watched;

struct RollOptions {
  std::optional<std::string> kubeconfig;
  std::optional<std::string> patches; ///< a folder
  Duration soak = std::chrono::minutes(5); ///< of a new minor version of the API server
  bool confirms = false; ///< somebody at the terminal says when that is over
  bool etcd = true; ///< its version changes, too, where it can
  bool dryRun = false;
};

struct RollPlan {
  std::vector<std::string> steps; ///< as far as they can be foreseen
  plan::Outcome outcome;          ///< what will be another after them
  bool hasBegun = false;          ///< a run that was stopped has done a part of it
};

/// What a roll to `wanted` goes by; `command` goes on from where one ends.
phases::roll::Intent rollIntent(std::string command, const ControlPlane& cluster, config::Cluster wanted, const RollOptions& options, Machine& machine);

/// Every verdict, with what would be written.
Value changesWithDiffs(const plan::Outcome& outcome);
/// Prints the steps, as a plan for people ends.
void tellSteps(const std::vector<std::string>& steps, std::FILE* out);

/// Prints changes and steps, for people.
void tellRoll(const RollPlan& plan, std::FILE* out);

/// The roll to a version as the machine that drives it sees it; to the one that the cluster says it has it goes back, as long as that can be.
class VersionRoll {
public:
  VersionRoll(const Version& version, const RollOptions& options, Machine& machine);

  /// What it would do; the changes are told to the reporter, too.
  RollPlan plan(plan::Reporter& reporter);
  /// Does it, and says by which steps.
  std::vector<std::string> perform();
  /// Throws Error (refused) where the API server may have stored already what one of that version cannot read.
  void refuseWithoutWayBack();
  /// From which version it goes back; empty: there is nothing to roll back.
  std::string toRollBack();
  const std::vector<std::string>& warnings() const { return warnings_; }

private:
  phases::roll::Seen look(Watched& watched);
  phases::roll::Seen lookOnce();
  std::vector<std::string> imagesOfEtcd();
  bool rollsEtcd();
  void warn(std::string text);

  Machine& machine_;
  ControlPlane cluster_;
  phases::roll::Intent intent_;
  std::vector<std::string> warnings_;
};

} // namespace kubestrap::cmd
