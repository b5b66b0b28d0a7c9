#pragma once

#include "config/facts.hpp"
#include "config/model.hpp"
#include "support/yaml.hpp"

#include <optional>
#include <string>
#include <vector>

namespace kubestrap::config {

/// The flags of `join` that say what is wanted, as given; an absent one is empty.
struct JoinFlags {
  std::optional<std::string> configFile;
  std::optional<std::string> endpoint; ///< the argument HOST:PORT
  std::optional<std::string> apiserverAdvertiseAddress, certificateKey, criSocket, discoveryFile, discoveryToken, nodeName,
      patches, tlsBootstrapToken, token;
  std::optional<int> apiserverBindPort;
  std::optional<std::vector<std::string>> discoveryTokenCaCertHash, ignorePreflightErrors, skipPhases;
  std::optional<bool> discoveryTokenUnsafeSkipCaVerification, controlPlane;
};

/// What is asked of `join` before the cluster was asked: its `node` lacks what only the cluster says.
struct JoinRequest {
  Node node;
  Request request;
  Discovery discovery;
};

/// Everything for `join` from a configuration file, the flags, and what the machine is like, as loadInit. Throws Problems with everything
/// that is wrong.
JoinRequest loadJoin(const std::vector<Document>& documents, const JoinFlags& flags, const Facts& facts,
                     std::vector<std::string>& warnings);

} // namespace kubestrap::config
