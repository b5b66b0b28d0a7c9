#include "cmd/commands.hpp"
#include "cmd/init_flags.hpp"
#include "cmd/look.hpp"
#include "cmd/output.hpp"
#include "cmd/own_cluster.hpp"
#include "cmd/wishes.hpp"
#include "cmd/workflow.hpp"

#include "config/layout.hpp"
#include "config/load.hpp"
#include "config/v1beta4.hpp"
#include "phases/preflight.hpp"
#include "plan/run.hpp"
#include "support/log.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

namespace kubestrap::cmd {

namespace {

using phases::Purpose;

struct PreflightOptions {
  InitOptions init;
  bool fix = false, controlPlane = false;
};

/// The machine as it is now, judged.
struct Look {
  config::Facts facts;
  plan::Findings findings;
};

struct Documents {
  std::vector<Document> cluster;
  std::optional<config::v1beta4::JoinConfiguration> join;
};

/// A JoinConfiguration says things of this node that the other documents say elsewhere.
Documents sorted(std::vector<Document> documents, std::vector<std::string>& warnings) {
  Documents result;
  for (auto& document : documents) {
    if (stringAt(document.value, "kind") != "JoinConfiguration") {
      result.cluster.push_back(std::move(document));
      continue;
    }
    if (auto problems = config::validateDocuments({document}, warnings); !problems.empty()) throw Problems(std::move(problems));
    result.join = config::v1beta4::decode<config::v1beta4::JoinConfiguration>(document.value);
  }
  return result;
}

void overlay(const config::v1beta4::JoinConfiguration& join, config::InitFlags& flags, PreflightOptions& options) {
  const auto& node = join.nodeRegistration;
  options.controlPlane = options.controlPlane || join.controlPlane.has_value();
  if (!flags.criSocket && !node.criSocket.empty()) flags.criSocket = node.criSocket;
  if (!flags.nodeName && !node.name.empty()) flags.nodeName = node.name;
  if (!flags.ignorePreflightErrors && !node.ignorePreflightErrors.empty())
    flags.ignorePreflightErrors = node.ignorePreflightErrors;
  if (const auto& token = join.discovery.bootstrapToken; token && !flags.controlPlaneEndpoint && !token->apiServerEndpoint.empty())
    flags.controlPlaneEndpoint = token->apiServerEndpoint;
}

config::Setup load(Machine& machine, PreflightOptions& options, const config::Facts& facts, bool joins) {
  std::vector<std::string> warnings;
  auto flags = options.init.flags;
  auto documents = sorted(withAuditPolicy(flags.configFile ? machine.readDocuments(*flags.configFile) : std::vector<Document>{}, machine.host()), warnings);
  if (documents.join) {
    // What it says comes in as flags; without further documents there is no file for these to stand beside.
    if (documents.cluster.empty()) flags.configFile.reset();
    overlay(*documents.join, flags, options);
  }
  if (!joins) config::chooseLayout(documents.cluster, flags, isPlainControlPlane(machine.host()));
  auto setup = config::loadInit(documents.cluster, flags, facts, machine.random(), warnings);
  for (const auto& warning : warnings) log::warn(warning);
  goOffline(options.init.bundle, setup);
  phases::checkFixNames(setup);
  return setup;
}

Look lookAndJudge(Machine& machine, Purpose purpose, const config::Setup& setup, host::Cri& runtime) {
  Look seen{.facts = look(machine, Judging::yes)};
  lookFurther(seen.facts, purpose, setup, machine, runtime);
  seen.findings = phases::judge(purpose, setup, seen.facts);
  return seen;
}

// ---- what is told

void printText(const plan::Findings& findings) {
  for (const auto& each : findings)
    fmt::print("{} {}: {}\n    try: {}\n{}", nameOf(each.severity), each.check, each.evidence, each.remedy,
               each.fixable ? "    or: kubestrap preflight --fix\n" : "");
  if (findings.empty()) fmt::print("nothing to object to\n");
}

Value findingsAsValue(const plan::Findings& findings) {
  Value list = Value::array();
  for (const auto& each : findings) {
    list.push_back(findingAsValue(each));
    list.back()["fixable"] = each.fixable;
  }
  return list;
}

ExitCode runPreflight(PreflightOptions options, bool joins) {
  Machine machine(globals().rootfs);
  const auto as = format(globals());
  auto setup = load(machine, options, look(machine, Judging::no), joins);
  const auto purpose = !joins ? Purpose::init : options.controlPlane ? Purpose::joinControlPlane : Purpose::joinWorker;
  setup.node.controlPlane = purpose != Purpose::joinWorker;
  auto& runtime = machine.useRuntime(setup.node.criSocket);
  auto seen = lookAndJudge(machine, purpose, setup, runtime);

  plan::Outcome fixes;
  if (options.fix) {
    auto world = machine.world();
    const auto mode = options.init.dryRun ? plan::Mode::plan : plan::Mode::apply;
    const auto lock = options.init.dryRun ? nullptr : machine.host().lock("preflight");
    fixes = plan::run(phases::repairWorkflow(purpose), {}, setup, seen.facts, world, mode, *reporterFor(mode),
                      joins ? "preflight join" : "preflight init");
    // What was put right is judged by another look, not by having been done.
    if (!options.init.dryRun && fixes.changed()) seen = lookAndJudge(machine, purpose, setup, runtime);
  }

  const bool refused = std::ranges::any_of(seen.findings, [](const auto& each) { return each.severity == plan::Severity::error; });
  if (as == Format::text) {
    printText(seen.findings);
  } else {
    auto document = result("Preflight");
    document["refused"] = refused;
    document["findings"] = findingsAsValue(seen.findings);
    document["changed"] = fixes.changed();
    document["changes"] = changesAsValue(fixes);
    printResult(document, as);
  }
  return refused ? ExitCode::refused : ExitCode::done;
}

/// Those of init's flags that say what is judged.
std::vector<Flag> preflightFlags(PreflightOptions& options, bool joins) {
  constexpr std::string_view shared[] = {"apiserver-advertise-address", "apiserver-bind-port", "cert-dir", "config",
                                         "control-plane-endpoint", "cri-socket", "dry-run", "ignore-preflight-errors",
                                         "image-repository", "kubernetes-version", "node-name", "offline", "pod-network-cidr",
                                         "service-cidr"};
  auto flags = initFlags(options.init);
  std::erase_if(flags, [&](const Flag& flag) { return std::ranges::find(shared, flag.name) == std::end(shared); });
  for (auto& flag : flags)
    if (flag.name == "dry-run") flag.doc = "With --fix: show what would be done, and touch nothing";
  if (joins) flags.push_back({.name = "control-plane", .into = &options.controlPlane, .doc = "Judge it as a further control plane node"});
  flags.push_back({.name = "fix", .into = &options.fix,
                   .doc = "Put right what is safe: settings and modules of the kernel, swap, containerd's sandbox image and "
                          "cgroup driver; preflight.fix in a KubestrapConfiguration says which"});
  std::ranges::sort(flags, {}, &Flag::name);
  return flags;
}

Command preflightOf(std::string name, std::string summary, bool joins, const std::shared_ptr<PreflightOptions>& options) {
  return {.name = std::move(name),
          .summary = std::move(summary),
          .flags = [options, joins] { return preflightFlags(*options, joins); },
          .run = [options, joins](const auto&) { return runPreflight(*options, joins); }};
}

} // namespace

Command preflightCommand() {
  const auto options = std::make_shared<PreflightOptions>();
  auto command = preflightOf("preflight", "Judge this machine: what stands in the way, why, and what to do", false, options);
  command.description = "Looks at this machine and says all that stands in the way of a node: by name, with what was seen and "
                        "what to do. Changes nothing unless --fix is given. Ends with 3 when init or join would refuse.";
  command.children.push_back(preflightOf("init", "As the first control plane node; the default", false, options));
  command.children.push_back(preflightOf("join", "As a further node", true, options));
  return command;
}

} // namespace kubestrap::cmd
