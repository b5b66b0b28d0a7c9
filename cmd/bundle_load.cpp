// What a bundle has, put on this machine: bundle load, and the first phase of init, join and upgrade.
#include "cmd/bundle_use.hpp"
#include "cmd/commands.hpp"
#include "cmd/output.hpp"
#include "cmd/progress.hpp"
#include "cmd/workflow.hpp"

#include "config/v1alpha1.hpp"
#include "phases/bundle.hpp"
#include "plan/silent.hpp"
#include "support/log.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

namespace kubestrap::cmd {

namespace {

constexpr std::string_view usualSocket = "unix:///run/containerd/containerd.sock";

/// Keeps the parts that are small, and made true as files.
class Texts : public archive::Sink {
public:
  void begin(const archive::Member& member) override {
    keeping_ = member.kind == archive::Kind::unit || member.kind == archive::Kind::manifest;
    if (keeping_) small_.add(member);
    text_.clear();
  }
  void data(std::string_view bytes) override {
    if (keeping_) text_ += bytes;
  }
  void end(const archive::Member& member) override {
    if (keeping_) found.push_back({*archive::placeOf(member.path), std::move(text_)});
    text_.clear();
  }
  std::vector<config::Bundled::Text> found;

private:
  SmallParts small_;
  std::string text_;
  bool keeping_ = false;
};

bool isThere(const std::filesystem::path& file, const std::string& sha256, Machine& machine) {
  return machine.host().run({.program = "sha256sum", .arguments = {file.string()}, .input = {}, .timeout = std::chrono::minutes(1)}).output.starts_with(sha256);
}

struct LoadOptions {
  BundleOptions how;
  std::string socket{usualSocket};
  bool dryRun = false, exitCode = false;
};

ExitCode runLoad(const LoadOptions& options, const std::vector<std::string>& arguments) {
  if (arguments.size() != 1) throw Error("say which bundle", "kubestrap bundle load FILE", ExitCode::usage);
  Machine machine(globals().rootfs);
  const BundleUse use{.bundle = arguments.front(), .how = options.how, .offline = false};
  const auto mode = options.dryRun ? plan::Mode::plan : plan::Mode::apply;
  return tellLoaded(loadBundle(use, {phases::bundleWorkflow(), "bundle load", options.socket, mode}, machine), mode, options.exitCode);
}

} // namespace

std::vector<Flag> bundleUseFlags(BundleUse& use) {
  return {{.name = "bundle", .into = &use.bundle, .doc = "A bundle that is put on this machine first: kubestrap bundle load", .value = "FILE"},
          {.name = "bundle-base", .into = &use.how.base, .doc = "The older bundle that a delta goes by", .value = "OLD"},
          {.name = "bundle-key", .into = &use.how.keys, .doc = "A public key that the bundle has to be signed with", .value = "FILE", .standard = "/etc/kubestrap/trusted-keys.pem, if it is there"},
          {.name = "bundle-without", .into = &use.how.without, .doc = "Programs of the bundle that are left out, like kubestrap", .value = "NAME,..."},
          {.name = "offline", .into = &use.offline, .doc = "Fetch nothing from outside of the cluster; what would have to be fetched is an error"}};
}

void takeBundle(const std::vector<Document>& documents, BundleUse& use) {
  for (const auto& document : documents) {
    if (stringAt(document.value, "kind") != config::v1alpha1::kind) continue;
    if (auto bundle = stringAt(document.value, "bundle"); !use.bundle && !bundle.empty()) use.bundle = std::move(bundle);
    if (const auto* offline = find(document.value, "offline"); offline && offline->is_boolean()) use.offline = use.offline || offline->get<bool>();
  }
}

archive::Verified verifiedWhole(const archive::Source& source, const std::vector<certs::PublicKey>& trusted, archive::Sink& sink) {
  auto found = [&] {
    ProgressLine progress("verifying " + source.file.string());
    return archive::verify(source, trusted, sink, archive::Alone::no, [&](std::uint64_t done, std::uint64_t of) { progress(done, of); });
  }();
  if (found.signature.standing != archive::Signature::Standing::trusted) log::warn(fmt::format("{}: {}", source.file.string(), signedBy(found.signature)));
  return found;
}

config::Bundled verified(const archive::Source& source, const BundleOptions& options, Machine& machine, KubeletOf kubelet) {
  Texts texts;
  const auto found = verifiedWhole(source, trustedKeys(options.keys, machine), texts);
  if (found.lock.architecture != archive::ownArchitecture())
    throw Error(fmt::format("{} is for {}, and this machine is {}", source.file.string(), found.lock.architecture, archive::ownArchitecture()), "take the bundle for this architecture", ExitCode::refused);
  config::Bundled bundle{.file = std::filesystem::absolute(source.file), .base = {}, .lockDigest = found.lockDigest, .programs = {}, .texts = std::move(texts.found), .images = {}};
  if (source.base) bundle.base = std::filesystem::absolute(*source.base);
  using archive::Kind;
  for (const auto& member : found.lock.members)
    if (member.kind == Kind::program || member.kind == Kind::cni || member.kind == Kind::package) {
      auto to = *archive::placeOf(member.path);
      if (std::ranges::any_of(options.without, [&](const std::string& name) { return member.path == "bin/" + name; })) continue;
      if (member.path == "bin/kubelet" && kubelet.goes != KubeletOf::Goes::toItsPlace) {
        if (kubelet.goes == KubeletOf::Goes::nowhere || isThere(to, member.sha256, machine)) continue;
        to = KubeletOf::beside;
      }
      bundle.programs.push_back({.part = member.path, .to = std::move(to), .sha256 = member.sha256, .mode = archive::rowOf(member.kind).mode});
    }
  for (const auto& image : found.lock.images) bundle.images.push_back(image.name);
  return bundle;
}

plan::Outcome loadBundle(const BundleUse& use, const BundleRun& run, Machine& machine) {
  if (!use.bundle || std::ranges::find(run.skip, "bundle") != run.skip.end()) return {};
  config::Setup setup;
  setup.request.bundled = verified(sourceOf(*use.bundle, use.how), use.how, machine, run.kubelet);
  setup.node.criSocket = run.socket.empty() ? std::string(usualSocket) : run.socket;
  machine.useRuntime(setup.node.criSocket);
  auto world = machine.world();
  const auto lock = run.mode == plan::Mode::plan ? nullptr : machine.host().lock(run.command);
  const bool plannedLater = run.pending && run.mode == plan::Mode::plan;
  const auto reporter = plannedLater ? std::make_unique<plan::Silent>() : reporterFor(run.mode);
  auto outcome = plan::run(run.workflow, {.only = "bundle", .skip = {}}, setup, {}, world, run.mode, *reporter, run.command);
  if (!plannedLater) return outcome;
  if (outcome.changed()) *run.pending = std::move(setup.request.bundled);
  return {};
}

std::string socketIn(const std::vector<Document>& documents) {
  for (const auto& document : documents)
    if (auto socket = stringAt(document.value, "nodeRegistration.criSocket"); !socket.empty()) return socket;
  return {};
}

void goOffline(const BundleUse& use, config::Setup& setup) {
  if (!use.offline) return;
  setup.request.offline = true;
  setup.node.pullPolicy = config::PullPolicy::never;
}

bool asksForDryRun(const std::vector<Document>& documents) {
  for (const auto& document : documents)
    for (const auto* at : {"dryRun", "apply.dryRun", "node.dryRun"})
      if (const auto* asked = find(document.value, at); asked && asked->is_boolean() && asked->get<bool>()) return true;
  return false;
}

void withoutPreflight(plan::Selection& selection, config::Facts& facts) {
  log::info(0, "preflight is left out: it judges the machine once the bundle is on it");
  selection.skip.emplace_back("preflight");
  if (facts.runtimeSockets.empty()) facts.runtimeSockets.emplace_back(usualSocket);
}

ExitCode tellLoaded(const plan::Outcome& outcome, plan::Mode mode, bool exitCode) {
  if (const auto as = format(globals()); as != Format::text) {
    auto document = result(mode == plan::Mode::plan ? "BundleLoadPlan" : "BundleLoadResult");
    document["changed"] = outcome.changed();
    document["changes"] = changesAsValue(outcome);
    printResult(document, as);
  }
  return exitCode && outcome.changed() ? ExitCode::differs : ExitCode::done;
}

plan::Outcome after(plan::Outcome loaded, plan::Outcome outcome) {
  for (auto& change : outcome.changes) loaded.changes.push_back(std::move(change));
  for (auto& warning : outcome.warnings) loaded.warnings.push_back(std::move(warning));
  return loaded;
}

Command bundleLoadCommand() {
  const auto options = std::make_shared<LoadOptions>();
  return {.name = "load",
          .summary = "Put what a bundle has on this machine",
          .description = "All of the bundle is verified before anything is written. Then its programs, units and add-ons are put in their places, its packages installed, its images given to containerd. "
                         "What is there already is kept; it is safe to run again. All of it is recorded, and kubestrap reset takes it away again.",
          .flags = [options] {
            auto flags = bundleFlags(options->how);
            flags.push_back({.name = "cri-socket", .into = &options->socket, .doc = "The socket of containerd", .value = "URL", .standard = options->socket});
            flags.push_back({.name = "dry-run", .into = &options->dryRun, .doc = "Verify it, show what would be done, and touch nothing"});
            flags.push_back({.name = "exit-code", .into = &options->exitCode, .doc = "End with 4 when something was, or with --dry-run would be, changed"});
            flags.push_back({.name = "without", .into = &options->how.without, .doc = "Programs of the bundle that are left out, like kubelet", .value = "NAME,..."});
            return flags;
          },
          .arguments = "FILE",
          .run = [options](const auto& given) { return runLoad(*options, given); }};
}

} // namespace kubestrap::cmd
