#include "cmd/reset_cluster.hpp"

#include "cmd/confirm.hpp"
#include "cmd/node_look.hpp"
#include "cmd/operation.hpp"
#include "cmd/output.hpp"
#include "cmd/roll_look.hpp"
#include "cmd/workflow.hpp"
#include "phases/destroy.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::cmd {

namespace {

using phases::destroy::Intent;
using phases::OtherNode;
using phases::destroy::Seen;

Seen look(ControlPlane& cluster, Machine& machine) {
  const auto& known = cluster.setup.cluster;
  return {.nodes = otherNodes(cluster.client, machine.http()), .etcdMembers = known.etcd.isLocal() ? lookAtEtcd(machine, known, cluster.client).size() : 0};
}

void confirm(const std::vector<OtherNode>& nodes, const std::vector<std::string>& absent) {
  std::vector<std::string> names;
  for (const auto& each : nodes) names.push_back(each.name);
  fmt::print(stderr, "This ends the cluster: {} are made bare machines again, and all that is in etcd is gone.\n", join(names, ", "));
  if (!absent.empty()) fmt::print(stderr, "Not Ready, and left as they are: {}\n", join(absent, ", "));
  confirmOrEnd();
}

} // namespace

void resetOtherNodes(const ClusterResetOptions& options, Machine& machine) {
  auto cluster = ownControlPlane(options.kubeconfig, machine);
  lookAtFront(cluster.setup, machine.host()); // which image is kubestrap's own
  const Intent intent{.self = cluster.setup.node.name, .force = options.force, 
                      .nodes = {.access = cluster.access, .image = cluster.setup.request.ownImage}};
  auto seen = look(cluster, machine);
  if (options.dryRun) {
    planOperation([&] { return phases::destroy::next(intent, seen); }, [&](const plan::Next& done) { seen = phases::destroy::assumed(std::move(seen), done); });
    return;
  }
  if (!options.yes && !options.force) confirm(seen.nodes, phases::destroy::absent(intent, seen));
  performOperation({.name = "reset", .access = cluster.access, .holder = intent.self,
                    .next = [&] { return phases::destroy::next(intent, look(cluster, machine)); }},
                   machine, "all other nodes have left");
}

} // namespace kubestrap::cmd
