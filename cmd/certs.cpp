#include "cmd/commands.hpp"
#include "cmd/duration.hpp"
#include "cmd/expiries.hpp"
#include "cmd/machine.hpp"
#include "cmd/output.hpp"
#include "cmd/own_cluster.hpp"

#include "config/load.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

namespace kubestrap::cmd {

namespace {

struct CertsOptions {
  std::optional<std::string> certDir, kubeconfig, failWithin;
  config::InitFlags flags;
};

ExitCode checkExpiration(const CertsOptions& options) {
  const auto limit = options.failWithin ? parseDays(*options.failWithin) : Duration::zero();
  Machine machine(globals().rootfs);
  const auto cluster = ownCluster(options.flags, options.kubeconfig, machine).cluster;
  const auto found = lookAtCertificates(machine.host(), cluster, options.certDir ? std::filesystem::absolute(*options.certDir) : cluster.pki.folder);
  const auto now = machine.clock().now();
  printExpiries(found, now);
  const auto fails = [&](const Expiry& each) { return each.ends && *each.ends - now <= limit; };
  return options.failWithin && (std::ranges::any_of(found.certificates, fails) || std::ranges::any_of(found.authorities, fails)) ? ExitCode::differs : ExitCode::done;
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
      {.name = "fail-within", .into = &options.failWithin, .doc = "End with 4 when something ends within this time: 30d, 12h", .value = "DURATION"},
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
  command.children.push_back(certsStatusCommand());
  command.children.push_back(renewCommand());
  command.children.push_back(rotateCommand());
  command.children.push_back(importCommand());
  command.children.push_back(autoRenewCommand());
  command.children.push_back(autoApproveCommand());
  command.children.push_back(approveCommand());
  for (auto* more : {&requestCommands, &cfsslCommands, &certinfoCommands})
    for (auto& each : more()) command.children.push_back(std::move(each));
  return command;
}

} // namespace kubestrap::cmd
