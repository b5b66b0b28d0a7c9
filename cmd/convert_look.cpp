#include "cmd/convert_look.hpp"

#include "cmd/look.hpp"
#include "cmd/node_report.hpp"
#include "cmd/own_cluster.hpp"
#include "cmd/reconfigure_look.hpp"
#include "cmd/rotation_look.hpp"
#include "cmd/wishes.hpp"
#include "cmd/workflow.hpp"
#include "config/assemble.hpp"
#include "config/store.hpp"
#include "host/facts.hpp"
#include "kube/reading.hpp"
#include "manifests/front.hpp"
#include "manifests/hosted.hpp"
#include "phases/upgrade.hpp"
#include "plan/run.hpp"
#include "support/log.hpp"
#include "support/text.hpp"
#include "support/yaml.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::cmd {

namespace conversion = phases::conversion;
namespace paths = config::paths;

config::Setup setupHere(const ConvertedHere& wanted, Machine& machine) {
  auto& host = machine.host();
  const auto facts = look(machine, Judging::no);
  config::Setup setup{.cluster = wanted.cluster, .node = {}, .request = {}};
  const bool controlPlane = isControlPlane(host);
  setup.node = controlPlane ? ownNode(machine, setup.cluster) : workerNode(machine, setup.cluster);
  completeNode(setup.node, facts, host, setup.cluster);
  if (!controlPlane && facts.defaultAddress) setup.node.advertiseAddress = *facts.defaultAddress;
  setup.request.apiServers = wanted.apiServers;
  setup.request.joining.server = wanted.endpoint;
  if (wanted.patches) {
    std::vector<std::string> warnings;
    setup.request.patches = readPatches(host, *wanted.patches, warnings);
    for (const auto& warning : warnings) log::warn(warning);
  }
  if (controlPlane) takeWishes(setup.cluster.pki, host);
  lookAtFront(setup, host);
  return setup;
}

std::optional<config::Cluster> stoppedHere(host::Host& host) {
  const auto record = host.read(conversion::underWay);
  if (!record) return std::nullopt;
  return config::clusterFromText(*record, conversion::underWay.string());
}

conversion::Here here(const config::Setup& setup, host::Host& host) {
  return {.superAdmin = host.status(paths::superAdminConf).has_value(), .record = setup.node.controlPlane ? config::storedText(setup.cluster) : ""};
}

namespace {

/// An API server may be away for a moment, which says nothing of what it keeps.
plan::Change seen(const plan::Resource& wanted, plan::World& world) {
  constexpr auto pause = std::chrono::seconds(1);
  constexpr int times = 20;
  auto change = plan::verdict(wanted, world);
  for (int i = 0; i < times && change.verb == plan::Verb::unknown; ++i) {
    world.clock.sleep(pause);
    change = plan::verdict(wanted, world);
  }
  return change;
}

} // namespace

bool isAsWanted(const plan::Resources& wanted, plan::World& world) {
  for (const auto& resource : wanted) {
    if (std::holds_alternative<plan::Condition>(resource)) continue;
    try {
      const auto change = seen(resource, world);
      if (!change.changes()) continue;
      log::info(1, "{}: {}", change.subject, change.reason);
      return false;
    } catch (const Interrupted&) {
      throw;
    } catch (const Error& error) {
      log::info(1, "{}: {}", plan::subject(resource), error.message());
      return false;
    }
  }
  return true;
}

namespace {

/// Ports that the next balancer wants, and somebody has who is none of the control plane.
void lookAtPorts(const config::Setup& setup, std::vector<std::string>& obstacles) {
  if (!manifests::hasFront(setup.cluster) || !setup.node.fronts.empty()) return;
  const int port = setup.node.controlPlane ? manifests::ownApiServers(setup).port : manifests::frontEndpoint(setup).port;
  if (setup.node.controlPlane && port == setup.node.bindPort) return;
  for (const auto& each : host::listeners({port}))
    if (each.port == port) return obstacles.push_back(fmt::format("port {} is taken by {}, and the balancer needs it", port, each.process.empty() ? "another program" : each.process));
}

std::vector<std::string> obstaclesHere(const config::Setup& setup, Force force, host::Host& host) {
  std::vector<std::string> obstacles;
  const auto& cluster = setup.cluster;
  lookAtPorts(setup, obstacles);
  if (!setup.node.controlPlane) {
    if (manifests::hasFront(cluster) && !host.status(setup.request.joining.authorityFile))
      obstacles.push_back(fmt::format("{} is absent, by which its balancer verifies API servers", setup.request.joining.authorityFile.string()));
    return obstacles;
  }
  if (host.status(phases::upgradeConfiguration)) obstacles.emplace_back("an upgrade, or other settings, were left half-way: kubestrap upgrade apply, or kubestrap reconfigure, goes on");
  try {
    refuseWhileRotating(host, "a conversion");
    refuseWhileEncryptionMoves(cluster, host, "a conversion");
  } catch (const Error& error) {
    obstacles.push_back(error.message());
  }
  if (setup.node.externalAuthority) obstacles.emplace_back("the authority's key is kept elsewhere, and certificates of the other layout cannot be signed here");
  if (!manifests::isHosted(cluster)) return obstacles;
  if (setup.node.advertiseAddress.isV6()) obstacles.emplace_back("its address is of IPv6, and layout hosted has slots on IPv4's loopback only");
  if (force == Force::yes) return obstacles;
  std::map<std::string, std::string> manifests;
  for (const auto name : manifests::hostedComponents)
    if (auto text = host.read(manifests::manifestPath(manifests::component(name)))) manifests[std::string(name)] = std::move(*text);
  for (auto& each : conversion::changedByHand(setup, manifests))
    obstacles.push_back(each + " (write it into ConfigMap kube-system/kubeadm-config, or name the patches with --patches; --force lets it be lost)");
  return obstacles;
}

} // namespace

conversion::NodeSeen lookHere(const config::Setup& setup, Force force, Machine& machine) {
  auto& host = machine.host();
  conversion::NodeSeen seen{.name = setup.node.name, .controlPlane = setup.node.controlPlane};
  auto world = machine.world();
  auto asItIs = here(setup, host);
  asItIs.record.clear();
  seen.converted = !host.status(conversion::underWay) && isAsWanted(conversion::onNode(setup, asItIs), world);
  if (!seen.converted && !host.status(conversion::underWay)) seen.obstacles = obstaclesHere(setup, force, host);
  return seen;
}

std::string reportOf(const conversion::NodeSeen& seen) {
  return Value::object({{"converted", seen.converted}, {"obstacles", Value(seen.obstacles)}}).dump();
}

void takeReport(conversion::NodeSeen& seen, const std::string& log) {
  const auto report = reportIn(log, "the report of " + seen.name);
  if (!report.contains("converted")) throw Error(fmt::format("{} does not say how far it is", seen.name), "kubestrap there may be of another version");
  seen.converted = report["converted"] == true;
  seen.obstacles = report.value("obstacles", std::vector<std::string>{});
}

std::map<std::string, config::Endpoint> apiServersOf(kube::Client& client, const std::vector<Value>& nodes, int port) {
  std::map<std::string, config::Endpoint> servers;
  const auto info = client.get({"v1", "ConfigMap", "kube-public", "cluster-info"});
  if (info && info->contains("data")) servers = config::apiServersIn(info->at("data").get<std::map<std::string, std::string>>());
  for (const auto& node : nodes) {
    const auto addresses = kube::internalAddresses(node);
    if (addresses.empty() || !kube::isControlPlane(node)) continue;
    servers.try_emplace(stringAt(node, "metadata.name"), config::Endpoint{addresses.front(), port});
  }
  return servers;
}

} // namespace kubestrap::cmd
