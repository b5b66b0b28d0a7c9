#include "config/token.hpp"

#include "support/encoding.hpp"

#include <algorithm>

namespace kubestrap::config {

namespace {

constexpr std::size_t idLength = 6, secretLength = 16, certificateKeyBytes = 32;
constexpr std::string_view alphabet = "0123456789abcdefghijklmnopqrstuvwxyz";
constexpr std::string_view groupPrefix = "system:bootstrappers:";

bool lowerOrDigit(char c) { return alphabet.find(c) != std::string_view::npos; }

/// Octets at or above the greatest multiple of 36 are thrown away, so that no character is likelier than another.
std::string randomText(const RandomBytes& random, std::size_t length) {
  constexpr unsigned limit = 256 - 256 % alphabet.size();
  std::string text;
  while (text.size() < length)
    for (char byte : random(length - text.size()))
      if (auto number = static_cast<unsigned char>(byte); number < limit && text.size() < length)
        text += alphabet[number % alphabet.size()];
  return text;
}

} // namespace

std::optional<TokenParts> parseToken(std::string_view text) {
  if (text.size() != idLength + 1 + secretLength || text[idLength] != '.') return {};
  auto id = text.substr(0, idLength), secret = text.substr(idLength + 1);
  if (!isTokenId(id) || !std::ranges::all_of(secret, lowerOrDigit)) return {};
  return TokenParts{std::string(id), Secret(std::string(secret))};
}

bool isTokenId(std::string_view text) { return text.size() == idLength && std::ranges::all_of(text, lowerOrDigit); }

bool isTokenGroup(std::string_view text) {
  if (!text.starts_with(groupPrefix)) return false;
  auto rest = text.substr(groupPrefix.size());
  return !rest.empty() && rest.size() <= 256 && lowerOrDigit(rest.back()) &&
         std::ranges::all_of(rest, [](char c) { return lowerOrDigit(c) || c == ':' || c == '-'; });
}

TokenParts generateToken(const RandomBytes& random) {
  std::string id = randomText(random, idLength);
  return {std::move(id), Secret(randomText(random, secretLength))};
}

BootstrapToken defaultBootstrapToken(TokenParts parts) {
  return {.id = std::move(parts.id),
          .secret = std::move(parts.secret),
          .ttl = std::chrono::hours(24),
          .usages = {"signing", "authentication"},
          .groups = {std::string(defaultTokenGroup)}};
}

Secret generateCertificateKey(const RandomBytes& random) { return Secret(hex(random(certificateKeyBytes))); }

} // namespace kubestrap::config
