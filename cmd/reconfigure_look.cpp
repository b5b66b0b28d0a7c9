#include "cmd/reconfigure_look.hpp"

#include "cmd/node_report.hpp"
#include "cmd/roll.hpp"
#include "config/audit.hpp"
#include "kube/reading.hpp"
#include "manifests/cluster_objects.hpp"
#include "manifests/security.hpp"
#include "phases/certificates.hpp"
#include "support/log.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

namespace kubestrap::cmd {

namespace reconfigure = phases::reconfigure;
namespace encryption = phases::encryption;

std::optional<encryption::Keys> keysHere(const config::Cluster& cluster, host::Host& host) {
  const auto file = manifests::encryptionFile(cluster);
  const auto text = host.read(file);
  if (!text || config::encryptsByArguments(cluster)) return std::nullopt;
  auto keys = encryption::parse(*text, file.string());
  return encryption::hasKey(keys) ? std::optional(std::move(keys)) : std::nullopt;
}

void refuseWhileEncryptionMoves(const config::Cluster& stored, host::Host& host, std::string_view what) {
  refuseLeftKeys(stored, host, what);
  const auto file = manifests::encryptionFile(stored);
  if (stored.kubestrap.encryption && !config::encryptsByArguments(stored) && !keysHere(stored, host))
    throw Error(fmt::format("{} has to wait: {} has no key, and the cluster's configuration says that API servers encrypt by it", what, file.string()),
                "run kubestrap reconfigure as it was run last, or bring the file from another control plane node", ExitCode::refused);
}

namespace {

/// What cannot be read may be keys that somebody has made by hand.
bool mayHaveKeys(const config::Cluster& stored, host::Host& host) {
  try {
    return keysHere(stored, host).has_value();
  } catch (const Interrupted&) {
    throw;
  } catch (const Error&) {
    return true;
  }
}

} // namespace

void refuseLeftKeys(const config::Cluster& stored, host::Host& host, std::string_view what) {
  const auto file = manifests::encryptionFile(stored);
  if (stored.kubestrap.encryption || !mayHaveKeys(stored, host)) return;
  throw Error(fmt::format("{} has to wait: {} has keys, and the cluster's configuration does not speak of it", what, file.string()),
              "run kubestrap reconfigure as it was run last; a file that was made by hand is named in apiServer.extraArgs (encryption-provider-config)", ExitCode::refused);
}

bool joinsWait(kube::Client& client) {
  const auto stored = client.get({"v1", "ConfigMap", "kube-system", "kubestrap-config"});
  return stored && kube::annotationOf(*stored, manifests::keysMoveAnnotation).has_value();
}

void refuseWhileJoinsWait(kube::Client& client) {
  try {
    if (!joinsWait(client)) return;
  } catch (const kube::ApiError& error) {
    if (error.status() != 403) throw;
    log::info(1, "whether keys of encryption at rest move may not be asked: {}", error.message());
    return;
  }
  throw Error("join has to wait: what API servers encrypt by changes, and the cluster's configuration, by which this control plane would go, does not speak of it yet",
              "run kubestrap reconfigure as it was run last, on a control plane node, to its end; then join again", ExitCode::refused);
}

FilesSeen lookAtFiles(const config::Setup& setup, const std::vector<std::string>& goingNames, plan::World& world, plan::Reporter& reporter) {
  auto& host = world.host;
  FilesSeen seen{.node = {.name = setup.node.name}, .changes = {}};
  seen.changes = plan::planAll(reconfigure::onNode(setup, goingNames), setup.node.name, world, reporter);
  std::erase_if(seen.changes.changes, [](const auto& each) { return !each.change.changes() || each.change.verb == plan::Verb::wait; });
  seen.node.settled = seen.changes.changes.empty();
  if (const auto keys = keysHere(setup.cluster, host)) {
    seen.node.keysDigest = encryption::digest(*keys);
    seen.node.writingKey = encryption::writingKey(*keys);
    seen.node.encryptsByIt = !plan::verdict(reconfigure::encryptsByItsFile(setup), world).changes();
  }
  seen.node.receiver = host.read(phases::certificateFile(setup.cluster, "apiserver")).value_or("");
  return seen;
}

std::string reportOf(const FilesSeen& seen) {
  return Value::object({{"changes", changesWithDiffs(seen.changes)},
                        {"keysDigest", seen.node.keysDigest},
                        {"writingKey", seen.node.writingKey},
                        {"encryptsByIt", seen.node.encryptsByIt},
                        {"receiver", seen.node.receiver}})
      .dump();
}

FilesSeen parseFilesReport(const std::string& node, const std::string& log) {
  const auto report = reportIn(log, "the report of " + node);
  if (!report.contains("changes")) throw Error(fmt::format("{} does not say how its files are", node), "kubestrap there may be of another version");
  FilesSeen seen{.node = {.name = node, .settled = report["changes"].empty(), .keysDigest = stringAt(report, "keysDigest"), .receiver = stringAt(report, "receiver")}, .changes = {}};
  seen.node.writingKey = stringAt(report, "writingKey");
  seen.node.encryptsByIt = report.value("encryptsByIt", false);
  for (const auto& change : report["changes"])
    seen.changes.changes.push_back({node, {.verb = stringAt(change, "verb") == "create" ? plan::Verb::create : plan::Verb::update, .subject = stringAt(change, "subject"),
                                           .reason = stringAt(change, "reason"), .preview = stringAt(change, "diff"), .seen = {}}});
  return seen;
}

} // namespace kubestrap::cmd
