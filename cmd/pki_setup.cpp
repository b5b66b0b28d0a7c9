#include "cmd/pki_setup.hpp"

#include "cmd/look.hpp"
#include "cmd/own_cluster.hpp"
#include "cmd/wishes.hpp"

#include "phases/certificates.hpp"
#include "support/log.hpp"

namespace kubestrap::cmd {

namespace {

config::Setup ofNewMachine(const PkiOptions& options, Machine& machine) {
  const auto documents = options.flags.configFile ? machine.readDocuments(*options.flags.configFile) : std::vector<Document>{};
  std::vector<std::string> warnings;
  auto setup = config::loadInit(documents, options.flags, look(machine, Judging::no), machine.random(), warnings);
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

std::vector<Leaf> leaves(const PkiSetup& pki) {
  const auto& setup = pki.setup;
  std::vector<Leaf> found;
  for (const auto& row : certs::catalogue())
    if (!row.authority() && phases::isNeeded(row, setup.cluster)) found.push_back({std::string(row.name), phases::resolve(row, setup), std::nullopt});
  for (const auto& row : certs::kubeconfigs()) {
    if (pki.running && row.name == "kubelet") continue;
    auto kubeconfig = phases::resolve(row, setup);
    auto spec = std::get<plan::EmbeddedCertificate>(kubeconfig.credential).spec;
    found.push_back({std::string(row.file), std::move(spec), std::move(kubeconfig)});
  }
  return found;
}

} // namespace kubestrap::cmd
