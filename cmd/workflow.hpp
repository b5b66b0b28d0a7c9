#pragma once
// What the commands that run a workflow have in common: sub-commands from its table, patches, reports, results.

#include "cmd/command.hpp"
#include "cmd/machine.hpp"
#include "config/patches.hpp"
#include "plan/run.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace kubestrap::cmd {

/// The patches of a folder and the folders in it, in lexical order. What is wrong with a file, and no error, is a warning.
std::vector<config::Patch> readPatches(host::Host& host, const host::Path& folder, std::vector<std::string>& warnings);

/// What the balancer of a node is made from: what is on this machine of it, and kubestrap's own image.
void lookAtFront(config::Setup& setup, host::Host& host);

/// Plans go to standard output, since they are what was asked for; progress goes to standard error.
std::unique_ptr<plan::Reporter> reporterFor(plan::Mode mode);

/// What `COMMAND phase NAME` takes and does; both get the phase's full name.
struct PhaseRun {
  std::function<std::vector<Flag>(const std::string& phase)> flags;
  std::function<ExitCode(const std::vector<std::string>& arguments, const std::string& phase)> run;
  std::string arguments = {}; ///< for help; empty: takes none
};
/// `COMMAND phase ...`: a command for each row of the table, with "all" for those that have parts.
Command phaseCommands(const plan::Workflow& workflow, const PhaseRun& phaseRun);
/// The table as text, for the command's help.
std::string phaseTable(const plan::Workflow& workflow);

} // namespace kubestrap::cmd
