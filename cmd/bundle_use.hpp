#pragma once

#include "cmd/bundle.hpp"
#include "config/model.hpp"
#include "plan/run.hpp"

namespace kubestrap::cmd {

/// What init, join and upgrade are told of a bundle, and of the world outside.
struct BundleUse {
  std::optional<std::string> bundle;
  BundleOptions how;
  bool offline = false;
};
std::vector<Flag> bundleUseFlags(BundleUse& use);
/// What a KubestrapConfiguration says of both, where no flag does.
void takeBundle(const std::vector<Document>& documents, BundleUse& use);

/// What happens to a kubelet in the bundle: an upgrade has a phase of its own for it.
struct KubeletOf {
  enum class Goes { toItsPlace, nowhere, aside } goes = Goes::toItsPlace;
  /// Where it lies for that phase.
  static inline const config::Path beside = config::paths::state / "upgrade" / "kubelet";
};

/// What the bundle has for this machine, once all of it is found good.
config::Bundled verified(const archive::Source& source, const BundleOptions& options, Machine& machine, KubeletOf kubelet = {});

/// A run of a workflow, as far as its phase "bundle": that comes first of all, since what is looked at afterwards may be there by it only.
struct BundleRun {
  const plan::Workflow& workflow;
  std::string command;        ///< "init"
  std::string socket = {};    ///< of the runtime; empty: containerd's own
  plan::Mode mode = plan::Mode::apply;
  KubeletOf kubelet = {};
  std::vector<std::string> skip = {}; ///< as --skip-phases
  /// Of a plan: where the bundle is put that would bring something, so that it is planned with all that goes by it.
  std::optional<config::Bundled>* pending = nullptr;
};
plan::Outcome loadBundle(const BundleUse& use, const BundleRun& run, Machine& machine);

/// The socket that a file's documents name; empty: none.
std::string socketIn(const std::vector<Document>& documents);
/// Whether they ask for a dry run, which their own command does not know yet when its bundle is loaded.
bool asksForDryRun(const std::vector<Document>& documents);

/// Nothing is pulled from now on: preflight says all at once what is missing, and a pull that would happen all the same is refused.
void goOffline(const BundleUse& use, config::Setup& setup);

/// Where a bundle would bring something the machine is not what preflight would see: it is left out, and said to be. Its runtime is assumed.
void withoutPreflight(plan::Selection& selection, config::Facts& facts);

/// Tells what was done, where a bundle was all there was to do.
ExitCode tellLoaded(const plan::Outcome& outcome, plan::Mode mode, bool exitCode);

/// What was loaded comes first in what is told.
plan::Outcome after(plan::Outcome loaded, plan::Outcome outcome);

} // namespace kubestrap::cmd
