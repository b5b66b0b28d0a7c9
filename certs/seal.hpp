#pragma once

#include "support/secret.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace kubestrap::certs {

/// AES-256-GCM as in the Secret kubeadm-certs: nonce (12 octets), ciphertext, tag (16 octets). `key` is 32 raw octets,
/// `nonce` 12 random ones.
std::string seal(std::string_view plain, const Secret& key, std::string_view nonce);
/// Nothing when the key is wrong or the bytes were changed.
std::optional<Secret> unseal(std::string_view sealed, const Secret& key);

/// HMAC-SHA256, 32 raw octets (the signature of cluster-info).
std::string hmacSha256(const Secret& key, std::string_view message);

} // namespace kubestrap::certs
