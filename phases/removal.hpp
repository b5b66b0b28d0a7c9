#pragma once
// A node is taken out of a cluster that goes on: one that runs is told to reset itself, what a dead one has left behind is taken away by
// who is there. Pure: one look in, the next step out (plan/next.hpp).

#include "phases/node_reset.hpp"

#include "config/model.hpp"

#include <optional>
#include <string>
#include <vector>

namespace kubestrap::phases::removal {

struct MemberSeen {
  std::string name, peerUrl;
  bool answers = false, learner = false;
};

struct Intent {
  config::Setup setup; ///< of the machine that drives
  std::string node;    ///< that shall go
  NodeAccess nodes;
  bool force = false;         ///< also where etcd loses its quorum by it
  std::optional<Duration> drain; ///< pods that may move get so long to do it
};

struct Seen {
  std::optional<OtherNode> node;   ///< nothing: the cluster has none of that name
  std::vector<MemberSeen> members; ///< of etcd; empty where it is not the cluster's
  std::string peerUrl;             ///< of the node's member among them; empty: it has none
  bool published = false;          ///< balancers are told of its API server
  bool resets = false;             ///< it was seen at its reset by this run: it takes its own member out
  std::size_t otherControlPlanes = 0;
};

/// The peer URL of a node's member: the one that bears its name, or is at its address. Empty: it has none, or the address is empty.
std::string peerUrlOf(const std::string& node, const std::string& address, const std::vector<MemberSeen>& members);

plan::Next next(const Intent& intent, const Seen& seen);

/// "etcd has 3 members, and n1 and n2 answer: without n3 2 are left, and 2 of them have to". Empty: the node has no member.
std::string arithmetic(const Seen& seen);
/// Whether those that are left are fewer than have to answer, or none.
bool losesQuorum(const Seen& seen);

/// The look after a step that went well.
Seen assumed(Seen seen, const plan::Next& done);

} // namespace kubestrap::phases::removal
