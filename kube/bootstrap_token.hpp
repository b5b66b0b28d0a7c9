#pragma once

#include "kube/client.hpp"
#include "support/secret.hpp"
#include "support/time.hpp"

#include <optional>
#include <string>
#include <vector>

namespace kubestrap::kube {

/// A bootstrap token as a cluster keeps it: Secret kube-system/bootstrap-token-<id>.
struct StoredToken {
  std::string id;
  Secret secret;
  std::string description;
  std::optional<TimePoint> expires; ///< nothing: never
  std::vector<std::string> usages;  ///< "authentication", "signing"; sorted
  std::vector<std::string> groups;

  bool expired(TimePoint now) const { return expires && *expires <= now; }
  Secret token() const { return Secret(id + "." + secret.reveal()); }
};

/// All well-formed bootstrap tokens, by id.
std::vector<StoredToken> listTokens(Client& client);
/// Nothing when the Secret is malformed (kubeadm: bootstraptoken/v1/utils.go).
std::optional<StoredToken> parseTokenSecret(const Value& secret);
/// Fine when absent: returns whether there was one.
bool deleteToken(Client& client, const std::string& id);

} // namespace kubestrap::kube
