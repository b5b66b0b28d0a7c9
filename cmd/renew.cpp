// certs renew: new keys and certificates on the engine, as init makes them, but for what is there already.
#include "cmd/commands.hpp"
#include "cmd/duration.hpp"
#include "cmd/globals.hpp"
#include "cmd/own_cluster.hpp"
#include "cmd/pki_setup.hpp"
#include "cmd/renewal.hpp"
#include "cmd/wishes.hpp"

#include "certs/catalogue.hpp"
#include "certs/x509.hpp"
#include "phases/certificates.hpp"
#include "phases/workflows.hpp"
#include "support/log.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

namespace kubestrap::cmd {

namespace {

using config::Renewal;

struct RenewOptions {
  config::InitFlags flags; ///< --config
  std::optional<std::string> kubeconfig, within, certDir;
  bool dryRun = false, exitCode = false;
};

/// Everything that can be renewed: certificates of the catalogue but authorities, kubeconfigs but the kubelet's, which renews its own.
std::vector<std::string> renewable(const config::Cluster& cluster) {
  std::vector<std::string> names;
  for (const auto& row : certs::catalogue())
    if (!row.authority()) names.emplace_back(row.name);
  for (const auto& row : phases::kubeconfigRows(cluster))
    if (row.name != "kubelet") names.emplace_back(row.file);
  return names;
}

/// In whatever cluster.
std::vector<std::string> renewableAnywhere() { return renewable({.kubestrap = {.layout = config::Layout::hosted}}); }

/// What is there under one of these names, and why it cannot be renewed here.
class Present {
public:
  Present(host::Host& host, const OwnCluster& own) : host_(host), own_(own) {}

  /// What it says and keeps; an Error says why nothing can be done.
  Renewal::Kept look(const std::string& name) const {
    const auto* row = certs::findRow(name);
    return row ? lookAtCertificate(*row) : lookAtKubeconfig(name);
  }

private:
  void needKey(std::string_view authority, const std::string& name) const {
    const auto key = own_.cluster.pki.folder / fmt::format("{}.key", certs::findRow(authority)->file);
    if (!host_.status(key))
      throw Error(fmt::format("{} cannot be renewed here: the key of its authority is kept elsewhere ({} is absent)", name, key.string()),
                  "make a request with kubestrap certs genkey, and have it signed there");
  }

  Renewal::Kept lookAtCertificate(const certs::CertificateRow& row) const {
    if (row.localEtcdOnly && !own_.cluster.etcd.isLocal())
      throw Error(fmt::format("{} is not of this machine: etcd is elsewhere", row.name));
    const auto path = own_.cluster.pki.folder / fmt::format("{}.crt", row.file);
    const auto pem = host_.read(path);
    if (!pem)
      throw Error(fmt::format("{} is not there ({})", row.name, path.string()), fmt::format("make it with: kubestrap init phase certs {}", row.name));
    needKey(row.issuer, std::string(row.name));
    const auto certificate = certs::X509Certificate::parse(*pem, path.string());
    Renewal::Kept kept{.subject = certificate.subject(), .names = {}};
    if (!own_.known) kept.names = certificate.names();
    return kept;
  }

  Renewal::Kept lookAtKubeconfig(const std::string& file) const {
    const auto rows = phases::kubeconfigRows(own_.cluster);
    const auto row = std::ranges::find(rows, file, &certs::KubeconfigRow::file);
    if (row == rows.end()) throw Error(fmt::format("{} is not of this cluster", file), "control planes of layout hosted have it");
    const auto path = phases::kubeconfigFile(*row, own_.cluster);
    if (!host_.status(path)) throw Error(fmt::format("{} is not there", path.string()), "where it is wanted: kubestrap init phase kubeconfig");
    needKey("ca", file);
    const auto kubeconfig = readKubeconfig(host_, path).value();
    if (kubeconfig.clientCertificate.empty()) throw Error(fmt::format("{} has no client certificate in it", path.string()));
    return {.subject = certs::X509Certificate::parse(kubeconfig.clientCertificate, path.string()).subject(),
            .names = {},
            .server = kubeconfig.server,
            .tlsServerName = kubeconfig.tlsServerName,
            .clusterName = kubeconfig.clusterName,
            .user = kubeconfig.user};
  }

  host::Host& host_;
  const OwnCluster& own_;
};

} // namespace

std::map<std::string, Renewal::Kept> renewableHere(host::Host& host, const OwnCluster& own) {
  const Present present(host, own);
  std::map<std::string, Renewal::Kept> found;
  for (const auto& name : renewable(own.cluster)) {
    try {
      found[name] = present.look(name);
    } catch (const Error& error) {
      log::warn(error.message());
    }
  }
  return found;
}

namespace {

/// What is asked for by name must be possible; of all, what cannot be renewed here is told and left.
std::map<std::string, Renewal::Kept> wanted(const std::vector<std::string>& arguments, host::Host& host, const OwnCluster& own) {
  if (arguments.size() == 1 && arguments[0] == "all") return renewableHere(host, own);
  const auto names = renewableAnywhere();
  const Present present(host, own);
  std::map<std::string, Renewal::Kept> found;
  for (const auto& name : arguments) {
    if (std::ranges::find(names, name) == names.end()) {
      const auto near = nearest(name, names);
      throw Error(fmt::format("there is no certificate {} that can be renewed", name),
                  near.empty() ? "all, " + join(names, ", ") : fmt::format("did you mean {}?", near), ExitCode::usage);
    }
    found[name] = present.look(name);
  }
  return found;
}

ExitCode renew(const RenewOptions& options, const std::vector<std::string>& arguments) {
  if (arguments.empty()) throw Error("no certificate was named", "all, or one of " + join(renewableAnywhere(), ", "), ExitCode::usage);
  Machine machine(globals().rootfs);
  const auto own = ownCluster(options.flags, options.kubeconfig, machine);
  if (!own.known) log::warn("certificates keep the names that they have");
  config::Setup setup{.cluster = own.cluster};
  if (options.certDir) setup.cluster.pki.folder = std::filesystem::absolute(*options.certDir);
  setup.node = ownNode(machine, setup.cluster);
  takeWishes(setup.cluster.pki, machine.host());
  setup.request.renewal = {.wanted = wanted(arguments, machine.host(), {setup.cluster, own.known}), .within = options.within ? parseDays(*options.within) : Duration::max()};

  return runOnPki(phases::renewWorkflow(), setup, machine,
                  {.command = "certs renew", .dryRun = options.dryRun, .exitCode = options.exitCode, .plan = "RenewalPlan", .result = "RenewalResult", .nothing = "nothing to renew"});
}

std::vector<Flag> renewFlags(RenewOptions& options) {
  return {{.name = "config", .into = &options.flags.configFile, .doc = "The cluster's configuration, in place of what the cluster keeps", .value = "FILE"},
          {.name = "cert-dir", .into = &options.certDir, .doc = "The folder of the certificates", .value = "DIR", .standard = "/etc/kubernetes/pki"},
          kubeconfigFlag(options.kubeconfig),
          {.name = "if-within", .into = &options.within, .doc = "Only what ends within this time: 30d, 12h", .value = "DURATION"},
          {.name = "dry-run", .into = &options.dryRun, .doc = "Only say what would be done"},
          {.name = "exit-code", .into = &options.exitCode, .doc = "End with 4 when something was, or would be, renewed"}};
}

} // namespace

Command renewCommand() {
  const auto options = std::make_shared<RenewOptions>();
  auto choices = renewableAnywhere();
  choices.insert(choices.begin(), "all");
  return {.name = "renew",
          .summary = "Give certificates of this control plane new keys and a new life",
          .description = "Gives certificates of this control plane new keys and a new life. Names come from the cluster's configuration. What was "
                         "there is kept below /var/lib/kubestrap/before. A component that cannot take its certificate up by itself is made anew, one "
                         "at a time, and is waited for; if it does not become well, what was there is put back.",
          .flags = [options] { return renewFlags(*options); },
          .arguments = "all|NAME...",
          .run = [options](const auto& given) { return renew(*options, given); },
          .choices = std::move(choices)};
}

} // namespace kubestrap::cmd
