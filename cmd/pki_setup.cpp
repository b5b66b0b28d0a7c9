#include "cmd/pki_setup.hpp"

#include "cmd/look.hpp"
#include "cmd/output.hpp"
#include "cmd/own_cluster.hpp"
#include "cmd/wishes.hpp"
#include "cmd/workflow.hpp"

#include "config/layout.hpp"
#include "phases/certificates.hpp"
#include "support/log.hpp"

#include <fmt/format.h>

namespace kubestrap::cmd {

namespace {

config::Setup ofNewMachine(const PkiOptions& options, Machine& machine) {
  const auto documents = options.flags.configFile ? machine.readDocuments(*options.flags.configFile) : std::vector<Document>{};
  std::vector<std::string> warnings;
  auto flags = options.flags;
  config::chooseLayout(documents, flags, isPlainControlPlane(machine.host()));
  auto setup = config::loadInit(documents, flags, look(machine, Judging::no), machine.random(), warnings);
  for (const auto& warning : warnings) log::warn(warning);
  return setup;
}

} // namespace

PkiSetup pkiSetup(const PkiOptions& options, Machine& machine) {
  auto& host = machine.host();
  PkiSetup made{.setup = {}, .running = isControlPlane(host)};
  if (made.running && !options.flags.configFile) {
    made.setup.cluster = ownCluster(options.flags, std::nullopt, machine).cluster;
    made.setup.node = ownNode(machine, made.setup.cluster);
  } else {
    made.setup = ofNewMachine(options, machine);
  }
  auto& [cluster, node, request] = made.setup;
  if (options.certDir) cluster.pki.folder = std::filesystem::absolute(*options.certDir);
  if (options.kubeconfigDir) request.kubeconfigDir = std::filesystem::absolute(*options.kubeconfigDir);
  takeWishes(cluster.pki, host);
  return made;
}

ExitCode runOnPki(const plan::Workflow& workflow, const config::Setup& setup, Machine& machine, const PkiRun& run) {
  const auto facts = machine.host().facts({.depth = host::Host::Questions::Depth::defaults});
  machine.useRuntime(foundSocket(facts));
  const auto mode = run.dryRun ? plan::Mode::plan : plan::Mode::apply;
  const auto reporter = reporterFor(mode);
  auto world = machine.world();
  const auto lock = run.dryRun ? nullptr : machine.host().lock(run.command);
  const auto outcome = plan::run(workflow, {}, setup, facts, world, mode, *reporter, run.command);
  if (const auto as = format(globals()); as != Format::text) {
    auto document = result(run.dryRun ? run.plan : run.result);
    document["changed"] = outcome.changed();
    document["changes"] = changesAsValue(outcome);
    printResult(document, as);
  } else if (!outcome.changed()) {
    fmt::print(stderr, "{}\n", run.nothing);
  }
  return run.exitCode && outcome.changed() ? ExitCode::differs : ExitCode::done;
}

std::vector<Leaf> leaves(const PkiSetup& pki) {
  const auto& setup = pki.setup;
  std::vector<Leaf> found;
  for (const auto& row : certs::catalogue())
    if (!row.authority() && phases::isNeeded(row, setup.cluster)) found.push_back({std::string(row.name), phases::resolve(row, setup), std::nullopt});
  for (const auto& row : phases::kubeconfigRows(setup.cluster)) {
    if (pki.running && row.name == "kubelet") continue;
    auto kubeconfig = phases::resolve(row, setup);
    auto spec = std::get<plan::EmbeddedCertificate>(kubeconfig.credential).spec;
    found.push_back({std::string(row.file), std::move(spec), std::move(kubeconfig)});
  }
  return found;
}

} // namespace kubestrap::cmd
