#include "kube/bootstrap_token.hpp"

#include "support/encoding.hpp"
#include "support/text.hpp"

#include <algorithm>

namespace kubestrap::kube {

namespace {

constexpr std::string_view kUsage = "usage-bootstrap-";

std::string decoded(const Value& secret, const std::string& key) {
  const auto* data = find(secret, "data");
  if (!data || !data->is_object() || !data->contains(key) || !(*data)[key].is_string()) return {};
  return fromBase64((*data)[key].get<std::string>()).value_or("");
}

} // namespace

std::optional<StoredToken> parseTokenSecret(const Value& secret) {
  StoredToken token{.id = decoded(secret, "token-id"), .secret = Secret(decoded(secret, "token-secret")),
                    .description = decoded(secret, "description")};
  if (token.id.empty() || token.secret.empty() || stringAt(secret, "metadata.name") != "bootstrap-token-" + token.id) return std::nullopt;
  if (const auto date = decoded(secret, "expiration"); !date.empty()) {
    try {
      token.expires = parseRfc3339(date);
    } catch (const Error&) {
      return std::nullopt;
    }
  }
  for (const auto& [key, value] : find(secret, "data")->items())
    if (key.starts_with(kUsage) && decoded(secret, key) == "true") token.usages.push_back(key.substr(kUsage.size()));
  std::sort(token.usages.begin(), token.usages.end());
  if (const auto groups = decoded(secret, "auth-extra-groups"); !groups.empty()) token.groups = split(groups, ',');
  return token;
}

std::vector<StoredToken> listTokens(Client& client) {
  std::vector<StoredToken> tokens;
  for (const auto& secret : client.list("v1", "Secret", "kube-system"))
    if (stringAt(secret, "type") == "bootstrap.kubernetes.io/token")
      if (auto token = parseTokenSecret(secret)) tokens.push_back(std::move(*token));
  std::sort(tokens.begin(), tokens.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  return tokens;
}

bool deleteToken(Client& client, const std::string& id) {
  const ObjectKey key{"v1", "Secret", "kube-system", "bootstrap-token-" + id};
  const bool there = client.get(key).has_value();
  client.remove(key);
  return there;
}

} // namespace kubestrap::kube
