#pragma once

#include "net/http.hpp"
#include "support/time.hpp"

#include <map>
#include <optional>
#include <string>

namespace kubestrap::kube {

/// ConfigMap kube-public/cluster-info, by which a machine that knows a bootstrap token finds out where the cluster is and whom to trust.
struct ClusterInfo {
  std::string kubeconfig;                        ///< as stored: signatures are over these very bytes
  std::map<std::string, std::string> signatures; ///< token id -> detached JWS
  std::map<std::string, std::string> others;     ///< whatever else is in it; not signed
  std::optional<TimePoint> serverTime;           ///< as the server's clock has it, to the second
};

/// Asks without credentials. Without `authorities` the server is not verified, so nothing of the answer may be believed before its
/// signature was checked. Throws ApiError and TransportError; one call, one attempt.
ClusterInfo readClusterInfo(net::Transport& transport, const std::string& server, const std::string& authorities);

} // namespace kubestrap::kube
