#pragma once
// What is seen of a conversion between layouts: on this machine, and for what other nodes report.

#include "cmd/machine.hpp"
#include "config/model.hpp"
#include "kube/client.hpp"
#include "phases/conversion.hpp"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace kubestrap::cmd {

/// What a conversion goes by on the machine where it is asked for.
struct ConvertedHere {
  config::Cluster cluster;                           ///< as it shall be
  std::map<std::string, config::Endpoint> apiServers; ///< by node, as they are now
  std::string endpoint;                              ///< where a kubelet without a balancer finds the API: a URL
  std::optional<std::string> patches;                ///< a folder
};

/// This node, with its cluster as it shall be.
config::Setup setupHere(const ConvertedHere& wanted, Machine& machine);
phases::conversion::Here here(const config::Setup& setup, host::Host& host);

/// What the cluster of a conversion that was stopped on this machine was to be; nothing: none was.
std::optional<config::Cluster> stoppedHere(host::Host& host);

enum class Force { no, yes };
/// How far this machine is, and what stands in the way.
phases::conversion::NodeSeen lookHere(const config::Setup& setup, Force force, Machine& machine);

/// For the log of a pod, and back.
std::string reportOf(const phases::conversion::NodeSeen& seen);
void takeReport(phases::conversion::NodeSeen& seen, const std::string& log);

/// Whether the engine would change nothing of it.
bool isAsWanted(const plan::Resources& wanted, plan::World& world);

/// Where the API servers are: as the cluster tells everybody, else at their nodes' own addresses.
std::map<std::string, config::Endpoint> apiServersOf(kube::Client& client, const std::vector<Value>& nodes, int port);

} // namespace kubestrap::cmd
