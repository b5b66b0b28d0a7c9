#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace kubestrap {

std::string base64(std::string_view bytes);
/// White space is skipped; nothing when it is malformed.
std::optional<std::string> fromBase64(std::string_view text);
std::string base64Url(std::string_view bytes); ///< without padding, RFC 4648 section 5
std::optional<std::string> fromBase64Url(std::string_view text);
std::string hex(std::string_view bytes); ///< lower case
std::optional<std::string> fromHex(std::string_view text);
std::string percentEncode(std::string_view text); ///< for one segment of a URL

/// SHA-256 of `bytes` as 32 raw octets; sha256Hex as 64 lower-case digits. (The one use of OpenSSL outside certs/ and
/// net/: a pure function that the core needs for the hashes that kubeadm writes into annotations.)
std::string sha256(std::string_view bytes);
std::string sha256Hex(std::string_view bytes);

} // namespace kubestrap
