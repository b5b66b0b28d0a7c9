#include "cmd/commands.hpp"
#include "cmd/expiries.hpp"
#include "cmd/machine.hpp"
#include "cmd/output.hpp"
#include "cmd/own_cluster.hpp"

#include "config/load.hpp"
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
  const auto cluster = ownCluster(options.flags, options.kubeconfig, machine).cluster;
  const auto found = lookAtCertificates(machine.host(), cluster, options.certDir ? std::filesystem::absolute(*options.certDir) : cluster.pki.folder);
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
      kubeconfigFlag(options.kubeconfig)};
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
  command.children.push_back(importCommand());
  command.children.push_back(autoRenewCommand());
  command.children.push_back(approveCommand());
  for (auto* more : {&requestCommands, &cfsslCommands, &certinfoCommands})
    for (auto& each : more()) command.children.push_back(std::move(each));
  return command;
}

} // namespace kubestrap::cmd
