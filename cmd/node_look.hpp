#pragma once

#include "cmd/operation.hpp"
#include "kube/client.hpp"
#include "net/http.hpp"
#include "phases/node_reset.hpp"
#include "phases/removal.hpp"

#include <string>
#include <vector>

namespace kubestrap::cmd {

/// The node's InternalIP; empty: it has told none.
std::string addressOf(const Value& node);

/// A Node, with what is seen of its reset.
phases::OtherNode otherNode(const Value& node, kube::Client& client, net::Transport& http);
/// All of them, by name.
std::vector<phases::OtherNode> otherNodes(kube::Client& client, net::Transport& http);

/// What the cluster knows of a node that shall go.
phases::removal::Seen lookForRemoval(const std::string& name, ControlPlane& cluster, Machine& machine);

} // namespace kubestrap::cmd
