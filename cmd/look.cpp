#include "cmd/look.hpp"

#include "host/facts.hpp"
#include "host/facts_remote.hpp"
#include "kube/discovery.hpp"
#include "kube/reading.hpp"
#include "plan/journal.hpp"
#include "support/log.hpp"

#include <algorithm>
#include <set>

namespace kubestrap::cmd {

namespace {

void lookAtFiles(config::Facts& facts, const phases::PreflightQuestions& asked, host::Host& host) {
  for (const auto& path : asked.files) facts.files[path.string()] = host.status(path).has_value();
  for (const auto& path : asked.folders)
    if (host.status(path)) facts.nonEmptyFolders[path.string()] = !host.list(path).empty();
  for (const auto& path : asked.texts) {
    const auto status = host.status(path);
    // What is a link belongs to something that keeps it, and is not ours to write.
    if (!status || status->type != host::FileStatus::Type::file) continue;
    if (auto text = host.read(path)) facts.texts[path.string()] = {std::move(*text), status->mode};
  }
  for (const auto& record : plan::Journal::read(host))
    if (const auto path = stringAt(record, "target.path"); !path.empty()) facts.recorded.push_back(path);
}

void lookAtContainerd(config::RuntimeFacts& runtime, host::Host& host) {
  const auto started = host.service("containerd").startedAt;
  const auto file = host.status("/etc/containerd/config.toml");
  runtime.outdated = started && file && file->modified > *started;
  // From 2.0 on its answers leave this out, but its program says what its files come to.
  if (!runtime.sandboxImage.empty()) return;
  const auto dump = host.run({.program = "containerd", .arguments = {"config", "dump"}, .input = {}});
  if (dump.exitCode == 0 && !dump.timedOut) runtime.sandboxImage = host::parseContainerdDump(dump.output);
}

void lookAtRuntime(config::Facts& facts, const phases::PreflightQuestions& asked, host::Cri& runtime, host::Host& host) {
  facts.runtime = runtime.facts();
  if (!facts.runtime.reachable) return;
  try {
    if (facts.runtime.name == "containerd") lookAtContainerd(facts.runtime, host);
    for (const auto& image : asked.images) facts.images[image] = runtime.hasImage(image);
  } catch (const Interrupted&) {
    throw;
  } catch (const Error& error) {
    log::info(1, "the runtime is not known in full: {}", error.message());
  }
}

void lookAtDisks(config::Facts& facts, std::vector<std::filesystem::path> folders) {
  if (!facts.runtime.rootFolder.empty()) folders.emplace_back(facts.runtime.rootFolder);
  for (const auto& folder : folders)
    if (auto disk = host::diskOf(folder)) facts.disks[folder.string()] = std::move(*disk);
}

/// The clock of the cluster's endpoint, unless who found the cluster has compared it already. Nobody is verified for it: a
/// clock that is wrong enough would not let it.
void lookAtClusterClock(config::ClockFacts& clock, const config::Cluster& cluster, net::Transport& transport) {
  if (clock.ahead || !cluster.controlPlaneEndpoint) return;
  const auto server = cluster.controlPlaneEndpoint->url();
  try {
    const auto asked = std::chrono::system_clock::now();
    const auto info = kube::readClusterInfo(transport, server, {});
    if (info.serverTime)
      host::compareClock(clock, *info.serverTime, asked, std::chrono::system_clock::now(), "the API server at " + server);
  } catch (const Interrupted&) {
    throw;
  } catch (const Error& error) {
    log::info(1, "the cluster's clock is not known: {}", error.message());
  }
}

config::PeerFacts peer(const Value& node) {
  config::PeerFacts peer{.name = stringAt(node, "metadata.name"), .machineId = stringAt(node, "status.nodeInfo.machineID"), .addresses = {}};
  for (const auto& text : kube::internalAddresses(node))
    if (const auto address = IpAddress::parse(text)) peer.addresses.push_back(*address);
  return peer;
}

net::TlsIdentity etcdIdentity(const config::ExternalEtcd& etcd, host::Host& host) {
  const auto content = [&](const std::string& path) {
    return path.empty() ? std::string() : host.read(path).value_or("");
  };
  return {.authorities = content(etcd.caFile), .certificate = content(etcd.certFile), .key = Secret(content(etcd.keyFile))};
}

} // namespace

config::Facts look(Machine& machine, Judging judging) {
  auto asked = phases::questionsForInit();
  host::Host::Questions all{.files = std::move(asked.files),
                            .folders = std::move(asked.folders),
                            .programs = std::move(asked.programs),
                            .sysctls = std::move(asked.sysctls)};
  all.depth = judging == Judging::yes ? host::Host::Questions::Depth::everything : host::Host::Questions::Depth::defaults;
  auto facts = machine.host().facts(all);
  facts.kubeletUnit = host::lookAtKubeletUnit(machine.host());
  return facts;
}

void lookFurther(config::Facts& facts, phases::Purpose purpose, const config::Setup& setup, Machine& machine,
                 host::Cri& runtime) {
  const auto asked = phases::questionsFor(purpose, setup);
  lookAtFiles(facts, asked, machine.host());
  lookAtRuntime(facts, asked, runtime, machine.host());
  lookAtDisks(facts, asked.disks);
  facts.listening = host::listeners(asked.ports);
  if (const auto& etcd = setup.cluster.etcd.external; etcd && purpose == phases::Purpose::init)
    facts.etcd = host::askEtcd(machine.http(), etcd->httpEndpoints, etcdIdentity(*etcd, machine.host()));
  if (purpose != phases::Purpose::init) lookAtClusterClock(facts.clock, setup.cluster, machine.http());
  std::set<std::string> registries;
  for (const auto& [image, present] : facts.images)
    if (!present && setup.node.pullPolicy != config::PullPolicy::never) registries.insert(phases::registryOf(image));
  facts.registries = host::askRegistries(machine.http(), {registries.begin(), registries.end()});
}

void lookAtPeers(config::Facts& facts, kube::Client& client) {
  try {
    for (const auto& node : client.list("v1", "Node", "")) facts.peers.push_back(peer(node));
  } catch (const kube::ApiError& error) {
    log::info(1, "the cluster's nodes are not known: {}", error.message());
  }
}

} // namespace kubestrap::cmd
