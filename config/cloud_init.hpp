#pragma once

#include "config/inventory.hpp"
#include "support/secret.hpp"

namespace kubestrap::config {

/// With what a machine joins by itself when it starts for the first time.
struct CloudInitWords {
  Secret token, certificateKey;         ///< empty: none is put in
  std::vector<std::string> caCertHashes;
};

/// cloud-init's user data for that machine: the configuration of the step by which it becomes a node, and the step. Without a token a machine that joins
/// goes by a kubeconfig that has to lie there, see `discoveryFile`.
std::string cloudInit(const ClusterFile& file, const InventoryHost& host, const CloudInitWords& words);

inline constexpr std::string_view discoveryFile = "/etc/kubestrap/discovery.conf";

} // namespace kubestrap::config
