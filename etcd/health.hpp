#pragma once

#include "etcd/client.hpp"

#include <optional>
#include <string>
#include <vector>

namespace kubestrap::etcd {

/// A member as the others know it, and how it does in its own words.
struct MemberHealth {
  Member member;
  std::optional<Status> status;    ///< nothing: it does not answer
  std::string silent;              ///< why not
  std::vector<std::string> alarms; ///< "NOSPACE"
  bool leads() const { return status && status->leaderId == member.id; }
  bool well() const { return status && status->leaderId != 0 && alarms.empty(); }
};

/// Asks whoever of the client's members answers for all members, which needs no quorum, and then each of them. Throws as Client does when
/// none answers.
std::vector<MemberHealth> look(Client& client);

} // namespace kubestrap::etcd
