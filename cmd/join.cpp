#include "cmd/commands.hpp"
#include "cmd/join_cluster.hpp"
#include "cmd/join_flags.hpp"
#include "cmd/look.hpp"
#include "cmd/output.hpp"
#include "cmd/peer_reach.hpp"
#include "cmd/secret_file.hpp"
#include "cmd/workflow.hpp"

#include "manifests/messages.hpp"
#include "phases/preflight.hpp"
#include "phases/workflows.hpp"
#include "plan/journal.hpp"
#include "support/log.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

namespace kubestrap::cmd {

namespace {

void takeSecrets(JoinOptions& options, Machine& machine) {
  const auto take = [&](const std::optional<std::string>& file, std::optional<std::string>& into, std::string_view flag) {
    if (!file) return;
    if (into) throw Error(fmt::format("--{} and --{}-file exclude each other", flag, flag), {}, ExitCode::usage);
    into = secretFrom(*file, machine).reveal();
  };
  if (options.tokenFile == "-" && options.certificateKeyFile == "-")
    throw Error("standard input can give one secret only", "put the other one into a file", ExitCode::usage);
  take(options.tokenFile, options.flags.token, "token");
  take(options.certificateKeyFile, options.flags.certificateKey, "certificate-key");
}

/// A kubeconfig from a web server comes from outside.
void refuseOutside(const JoinOptions& options, const config::Discovery& discovery) {
  const auto* file = std::get_if<config::FileDiscovery>(&discovery.how);
  if (options.bundle.offline && file && file->isUrl())
    throw Error(fmt::format("join was to fetch the discovery file {}, and --offline forbids it", file->path), "copy it here, and name the copy", ExitCode::refused);
}

void tellResult(const config::Setup& setup, const plan::Outcome& outcome, const JoinOptions& options, bool whole) {
  if (const auto as = format(globals()); as != Format::text) {
    auto document = result(options.dryRun ? "JoinPlan" : "JoinResult");
    document["changed"] = outcome.changed();
    document["node"] = {{"name", setup.node.name}, {"role", setup.node.controlPlane ? "control-plane" : "worker"}};
    document["changes"] = changesAsValue(outcome);
    printResult(document, as);
  } else if (whole && !options.dryRun) {
    fmt::print("{}", manifests::joinDoneMessage(setup));
  }
}

/// The Secret kubeadm-certs as a file: what is in it stays sealed by the certificate key.
std::optional<Value> broughtCertificates(const JoinOptions& options, Machine& machine) {
  if (!options.certificatesFile) return std::nullopt;
  for (auto& document : machine.readDocuments(*options.certificatesFile))
    if (stringAt(document.value, "kind") == "Secret" && find(document.value, "data")) return std::move(document.value);
  throw Error(fmt::format("{} has no Secret with uploaded certificates", *options.certificatesFile),
              "on a control plane: kubestrap init phase upload-certs --upload-certs, and then: kubectl -n kube-system get secret kubeadm-certs -o yaml", ExitCode::usage);
}

/// Whether a control plane has failed after something was made and before its member of etcd had a vote.
bool failedBeforeVoting(const config::Setup& setup, const Error& error) {
  if (!setup.node.controlPlane || error.exitCode() == ExitCode::interrupted) return false;
  bool made = false;
  for (const auto& phase : phases::joinWorkflow().phases) {
    made = made || phase.name == "control-plane-prepare";
    const auto context = fmt::format("in phase {}", phase.name);
    if (std::ranges::any_of(error.contexts(), [&](const auto& each) { return each == context || each.starts_with(context + "/"); })) return made;
    if (phase.name == "etcd-join") break;
  }
  return false;
}

/// A machine that was no node is none again, and the cluster does not know it: another attempt, there or elsewhere, finds nothing in its way.
void takeBack(Machine& machine) {
  log::warn("what was made is taken back (kubestrap reset); --keep-on-failure leaves it to be looked at");
  std::vector<std::string> words{"reset", "--force"};
  if (globals().rootfs != "/") words.insert(words.end(), {"--rootfs", globals().rootfs});
  const auto done = machine.host().run({.program = "/proc/self/exe", .arguments = std::move(words), .input = {}, .timeout = std::chrono::minutes(5)});
  if (done.timedOut || done.exitCode != 0) log::warn(fmt::format("it was not taken back whole: {}; run kubestrap reset", done.timedOut ? "it takes too long" : trim(done.errors)));
}

ExitCode runJoin(JoinOptions options, const std::vector<std::string>& arguments, const std::optional<std::string>& onlyPhase) {
  if (arguments.size() > 1) throw Error("join takes one API server", "kubestrap join HOST:PORT --token ...", ExitCode::usage);
  if (!arguments.empty()) options.flags.endpoint = arguments.front();
  Machine machine(globals().rootfs);
  takeSecrets(options, machine);
  const auto documents = options.flags.configFile ? machine.readDocuments(*options.flags.configFile) : std::vector<Document>{};
  options.dryRun = options.dryRun || asksForDryRun(documents);
  takeBundle(documents, options.bundle);
  const auto mode = options.dryRun ? plan::Mode::plan : plan::Mode::apply;
  plan::Selection selection{.only = onlyPhase, .skip = {}};
  plan::Outcome loaded;
  std::optional<config::Bundled> pending;
  if (selection.runs("bundle")) {
    loaded = loadBundle(options.bundle,
                        {.workflow = phases::joinWorkflow(), .command = onlyPhase ? "join phase bundle" : "join", .socket = options.flags.criSocket.value_or(socketIn(documents)),
                         .mode = mode, .skip = options.flags.skipPhases.value_or(std::vector<std::string>{}), .pending = onlyPhase ? nullptr : &pending},
                        machine);
    if (onlyPhase == "bundle") return tellLoaded(loaded, mode, options.exitCode); // no cluster has to be known for it
  }
  const auto judging = !onlyPhase || *onlyPhase == "preflight" ? Judging::yes : Judging::no;
  auto facts = look(machine, judging);
  if (pending) withoutPreflight(selection, facts);

  std::vector<std::string> warnings;
  auto wanted = config::loadJoin(documents, options.flags, facts, warnings);
  refuseOutside(options, wanted.discovery);
  if (!wanted.request.patchesDirectory.empty())
    wanted.request.patches = readPatches(machine.host(), wanted.request.patchesDirectory, warnings);
  auto& runtime = machine.useRuntime(wanted.node.criSocket);
  const auto reporter = reporterFor(mode);
  auto lock = options.dryRun ? nullptr : machine.host().lock("join");
  const bool found = !plan::Journal::read(machine.host()).empty();
  auto world = machine.world();
  auto setup = learnAboutCluster(std::move(wanted), broughtCertificates(options, machine), facts, world, *reporter, warnings);
  for (const auto& warning : warnings) log::warn(warning);
  goOffline(options.bundle, setup);
  setup.request.bundled = pending;
  lookAtFront(setup, machine.host());
  if (judging == Judging::yes) {
    lookFurther(facts, phases::joinPurpose(setup), setup, machine, runtime);
    facts.reach = lookAtReach(setup, !options.dryRun, machine, *reporter);
  }

  for (const auto& name : setup.request.skipPhases) selection.skip.push_back(name);
  plan::Outcome joined;
  try {
    joined = plan::run(phases::joinWorkflow(), selection, setup, facts, world, mode, *reporter, onlyPhase ? "join phase " + *onlyPhase : "join");
  } catch (const Error& error) {
    lock.reset();
    if (!found && !onlyPhase && !options.dryRun && !options.keepOnFailure && failedBeforeVoting(setup, error)) takeBack(machine);
    throw;
  }
  const auto outcome = after(std::move(loaded), std::move(joined));
  tellResult(setup, outcome, options, !onlyPhase);
  return options.exitCode && outcome.changed() ? ExitCode::differs : ExitCode::done;
}

} // namespace

Command joinCommand() {
  const auto options = std::make_shared<JoinOptions>();
  const auto& workflow = phases::joinWorkflow();
  const Flags flags = [options] { return joinFlags(*options); };
  const auto phaseFlags = [options](const std::string&) { return joinFlags(*options); };
  const auto runPhase = [options](const auto& arguments, const std::string& phase) { return runJoin(*options, arguments, phase); };
  return {.name = "join",
          .summary = std::string(workflow.summary),
          .description = std::string(workflow.summary) +
                         ". The command to run is printed by init, and by: kubestrap token create --print-join-command. It is safe to run "
                         "again: a run that was stopped goes on.",
          .details = [] { return phaseTable(phases::joinWorkflow()); },
          .flags = flags,
          .arguments = "[HOST:PORT]",
          .run = [options](const auto& arguments) { return runJoin(*options, arguments, std::nullopt); },
          .children = {phaseCommands(workflow, {phaseFlags, runPhase, "[HOST:PORT]"})}};
}

} // namespace kubestrap::cmd
