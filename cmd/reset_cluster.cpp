#include "cmd/reset_cluster.hpp"

#include "cmd/confirm.hpp"
#include "cmd/etcd_access.hpp"
#include "cmd/node_look.hpp"
#include "cmd/operation.hpp"
#include "cmd/output.hpp"
#include "cmd/workflow.hpp"
#include "phases/destroy.hpp"
#include "phases/node.hpp"
#include "support/log.hpp"
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
  Seen seen{.nodes = otherNodes(cluster.client, machine.http())};
  if (!known.etcd.isLocal()) return seen;
  auto etcd = connectEtcd(machine, known, &cluster.client);
  for (const auto& member : etcd.members()) {
    ++seen.etcdMembers;
    const auto node = std::ranges::find(seen.nodes, member.name, &OtherNode::name);
    if (node != seen.nodes.end() && !member.peerUrls.empty()) node->etcdPeerUrl = member.peerUrls.front();
  }
  return seen;
}

void confirm(const std::vector<OtherNode>& nodes) {
  std::vector<std::string> names;
  for (const auto& each : nodes) names.push_back(each.name);
  fmt::print(stderr, "This ends the cluster: {} are made bare machines again, and all that is in etcd is gone.\n", join(names, ", "));
  confirmOrEnd();
}

} // namespace

std::vector<std::string> resetOtherNodes(const ClusterResetOptions& options, Machine& machine) {
  auto cluster = ownControlPlane(options.kubeconfig, machine);
  lookAtFront(cluster.setup, machine.host()); // which image is kubestrap's own
  const Intent intent{.self = cluster.setup.node.name, .force = options.force,
                      .nodes = {.access = cluster.access, .image = cluster.setup.request.ownImage},
                      .leaving = phases::etcdMemberOf(cluster.setup, cluster.access, {}, plan::Standing::absent)};
  auto seen = look(cluster, machine);
  if (const auto names = phases::destroy::absent(intent, seen); !names.empty() && options.force)
    log::warn(fmt::format("not Ready, and left as they are: {}; run kubestrap reset there when they are back", join(names, ", ")));
  if (options.dryRun)
    return stepsPlanned([&] { return phases::destroy::next(intent, seen); }, [&](const plan::Next& done) { seen = phases::destroy::assumed(std::move(seen), done); });
  const auto first = phases::destroy::next(intent, seen);
  if (const auto* stuck = std::get_if<plan::Stuck>(&first)) throw Error(stuck->cause, stuck->remedy);
  if (!options.yes && !options.force) confirm(seen.nodes);
  return stepsPerformed({.name = "reset", .access = cluster.access, .holder = intent.self, .next = [&] { return phases::destroy::next(intent, look(cluster, machine)); }, .endsAll = true},
                        machine);
}

} // namespace kubestrap::cmd
