#include "cmd/commands.hpp"
#include "cmd/machine.hpp"
#include "cmd/output.hpp"
#include "cmd/own_cluster.hpp"

#include "certs/catalogue.hpp"
#include "certs/x509.hpp"
#include "config/load.hpp"
#include "config/store.hpp"
#include "kube/client.hpp"
#include "support/log.hpp"
#include "support/text.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <memory>

namespace kubestrap::cmd {

namespace {

struct CertsOptions {
  std::optional<std::string> certDir, kubeconfig;
  config::InitFlags flags;
};

/// What is left to a certificate of the PKI folder or a kubeconfig.
struct Expiry {
  std::string name;
  std::optional<TimePoint> ends; ///< nothing: it is not there
  std::string issuer;            ///< empty: an authority
  bool managedElsewhere = false; ///< its authority's key is not on this machine
};

struct Expiries {
  std::vector<Expiry> certificates, authorities;
};

std::optional<TimePoint> endOf(const std::optional<std::string>& pem, const std::string& source) {
  if (!pem || pem->empty()) return {};
  return certs::X509Certificate::parse(*pem, source).notAfter();
}

Expiries look(const CertsOptions& options, Machine& machine) {
  const auto cluster = ownCluster(options.flags, options.kubeconfig, machine).cluster;
  const auto folder = options.certDir ? std::filesystem::absolute(*options.certDir) : cluster.pki.folder;
  auto& host = machine.host();
  const auto file = [&](std::string_view name, const char* ending) { return folder / (std::string(name) + ending); };
  const auto keyIsElsewhere = [&](const certs::CertificateRow& authority) { return !host.status(file(authority.file, ".key")); };
  Expiries found;
  for (const auto& row : certs::catalogue()) {
    if (row.localEtcdOnly && !cluster.etcd.isLocal()) continue;
    const auto path = file(row.file, ".crt");
    Expiry expiry{.name = std::string(row.name), .ends = endOf(host.read(path), path.string())};
    const auto& authority = *certs::findRow(row.issuer);
    expiry.managedElsewhere = keyIsElsewhere(authority);
    if (!row.authority()) expiry.issuer = row.issuer;
    (row.authority() ? found.authorities : found.certificates).push_back(std::move(expiry));
  }
  std::vector<certs::KubeconfigRow> kubeconfigs(certs::kubeconfigs().begin(), certs::kubeconfigs().end());
  for (const auto& row : certs::hostedKubeconfigs())
    if (host.status(config::paths::kubernetes / row.file)) kubeconfigs.push_back(row);
  for (const auto& row : kubeconfigs) {
    if (row.name == "kubelet") continue; // the kubelet renews its own
    const auto path = config::paths::kubernetes / row.file;
    const auto text = host.read(path);
    const auto pem = text ? std::optional(kube::parseKubeconfig(*text, path.string()).clientCertificate) : std::nullopt;
    found.certificates.push_back({.name = std::string(row.file), .ends = endOf(pem, path.string()), .issuer = "ca",
                                  .managedElsewhere = keyIsElsewhere(*certs::findRow("ca"))});
  }
  for (auto* list : {&found.certificates, &found.authorities}) std::ranges::sort(*list, {}, &Expiry::name);
  return found;
}

Value asValue(const std::vector<Expiry>& list, TimePoint now) {
  Value items = Value::array();
  for (const auto& each : list) {
    Value item{{"name", each.name}};
    item["expirationDate"] = each.ends ? Value(formatRfc3339(*each.ends)) : Value();
    item["residualTime"] = each.ends ? std::chrono::duration_cast<std::chrono::seconds>(*each.ends - now).count() : 0;
    item["externallyManaged"] = each.managedElsewhere;
    if (!each.issuer.empty() && each.ends) item["caName"] = each.issuer;
    item["missing"] = !each.ends;
    items.push_back(std::move(item));
  }
  return items;
}

std::vector<std::string> row(const Expiry& each, TimePoint now) {
  if (!each.ends) return {"!MISSING! " + each.name};
  std::vector<std::string> cells{each.name, fmt::format("{:%b %d, %Y %H:%M} UTC", fmt::gmtime(std::chrono::system_clock::to_time_t(*each.ends))),
                                 *each.ends > now ? humanDuration(*each.ends - now) : "<invalid>"};
  if (!each.issuer.empty()) cells.push_back(each.issuer);
  cells.emplace_back(each.managedElsewhere ? "yes" : "no");
  return cells;
}

ExitCode checkExpiration(const CertsOptions& options) {
  Machine machine(globals().rootfs);
  const auto found = look(options, machine);
  const auto now = machine.clock().now();
  if (const auto as = format(globals()); as != Format::text) {
    auto document = kubeadmResult("CertificateExpirationInfo");
    document["certificates"] = asValue(found.certificates, now);
    document["certificateAuthorities"] = asValue(found.authorities, now);
    printResult(document, as);
    return ExitCode::done;
  }
  std::vector<std::vector<std::string>> rows{{"CERTIFICATE", "EXPIRES", "RESIDUAL TIME", "CERTIFICATE AUTHORITY", "EXTERNALLY MANAGED"}};
  for (const auto& each : found.certificates) rows.push_back(row(each, now));
  std::vector<std::vector<std::string>> authorities{{"CERTIFICATE AUTHORITY", "EXPIRES", "RESIDUAL TIME", "EXTERNALLY MANAGED"}};
  for (const auto& each : found.authorities) authorities.push_back(row(each, now));
  fmt::print("{}\n{}", table(rows), table(authorities));
  return ExitCode::done;
}

ExitCode certificateKey() {
  SystemEntropy entropy;
  const auto key = config::generateCertificateKey([&](std::size_t count) { return entropy.bytes(count); });
  printWord("CertificateKey", "certificateKey", key.reveal());
  return ExitCode::done;
}

std::vector<Flag> expirationFlags(CertsOptions& options) {
  std::vector<Flag> flags{
      {.name = "cert-dir", .into = &options.certDir, .doc = "The folder of the certificates", .value = "DIR", .standard = "/etc/kubernetes/pki"},
      {.name = "config", .into = &options.flags.configFile, .doc = "The cluster's configuration, in place of what the cluster keeps", .value = "FILE"},
      {.name = "kubeconfig", .into = &options.kubeconfig, .doc = "The kubeconfig to speak to the cluster with", .value = "FILE",
       .standard = "/etc/kubernetes/admin.conf"}};
  for (auto& flag : withoutEffect({"show-managed-fields", "allow-missing-template-keys"})) flags.push_back(std::move(flag));
  return flags;
}

} // namespace

Command certsCommand() {
  const auto options = std::make_shared<CertsOptions>();
  Command command{.name = "certs",
          .summary = "Look after the certificates of the cluster",
          .children = {{.name = "certificate-key", .summary = "Print a random key for --certificate-key, without making it known",
                        .run = [](const auto&) { return certificateKey(); }},
                       {.name = "check-expiration", .summary = "Say how long the certificates and authorities are valid",
                        .flags = [options] { return expirationFlags(*options); },
                        .run = [options](const auto&) { return checkExpiration(*options); }}},
          .aliases = {"certificates"}};
  command.children.push_back(renewCommand());
  for (auto* more : {&cfsslCommands, &certinfoCommands})
    for (auto& each : more()) command.children.push_back(std::move(each));
  return command;
}

} // namespace kubestrap::cmd
