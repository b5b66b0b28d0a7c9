#pragma once

#include "config/model.hpp"

#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace kubestrap::config {

/// That many random octets. From the operating system's generator in the program, fixed in tests.
using RandomBytes = std::function<std::string(std::size_t)>;

struct TokenParts {
  std::string id; ///< six of [a-z0-9], public
  Secret secret;  ///< sixteen of [a-z0-9]
};

inline constexpr std::string_view defaultTokenGroup = "system:bootstrappers:kubeadm:default-node-token";
inline constexpr std::string_view tokenFormat = R"(\A([a-z0-9]{6})\.([a-z0-9]{16})\z)";
inline constexpr std::string_view groupFormat = R"(\Asystem:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]\z)";

/// "abcdef.0123456789abcdef"; nothing when it is malformed.
std::optional<TokenParts> parseToken(std::string_view text);
bool isTokenId(std::string_view text);
/// A name that a bootstrap token may add to its groups.
bool isTokenGroup(std::string_view text);
/// A new token; each character is uniform over 0-9a-z (rejection, no modulo bias).
TokenParts generateToken(const RandomBytes& random);
/// A token with kubeadm's defaults: 24 hours, both usages, the default group.
BootstrapToken defaultBootstrapToken(TokenParts parts);
/// 32 random octets as 64 hex digits, the key of `--upload-certs`.
Secret generateCertificateKey(const RandomBytes& random);

} // namespace kubestrap::config
