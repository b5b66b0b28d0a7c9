#include "support/encoding.hpp"

#include "support/error.hpp"

#include <openssl/evp.h>

#include <array>
#include <cstdint>

namespace kubestrap {

namespace {
constexpr std::string_view standardLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view urlLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::string_view hexDigits = "0123456789abcdef";

/// Without padding.
std::string encodeBase64(std::string_view bytes, std::string_view letters) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  std::uint32_t buffer = 0;
  int bits = 0;
  for (unsigned char byte : bytes) {
    buffer = buffer << 8 | byte;
    for (bits += 8; bits >= 6;) text += letters[buffer >> (bits -= 6) & 63];
  }
  if (bits > 0) text += letters[buffer << (6 - bits) & 63];
  return text;
}

/// Of text without padding and white space.
std::optional<std::string> decodeBase64(std::string_view text, std::string_view letters) {
  std::array<int, 256> values;
  values.fill(-1);
  for (std::size_t i = 0; i < letters.size(); ++i) values[static_cast<unsigned char>(letters[i])] = static_cast<int>(i);

  if (text.size() % 4 == 1) return {};
  std::string bytes;
  bytes.reserve(text.size() * 3 / 4);
  std::uint32_t buffer = 0;
  int bits = 0;
  for (unsigned char letter : text) {
    if (values[letter] < 0) return {};
    buffer = buffer << 6 | static_cast<std::uint32_t>(values[letter]);
    bits += 6;
    if (bits >= 8) bytes += static_cast<char>(buffer >> (bits -= 8) & 0xff);
  }
  return bytes;
}
} // namespace

std::string base64(std::string_view bytes) {
  auto text = encodeBase64(bytes, standardLetters);
  text.append((4 - text.size() % 4) % 4, '=');
  return text;
}

std::optional<std::string> fromBase64(std::string_view text) {
  std::string letters;
  letters.reserve(text.size());
  for (char c : text)
    if (c != ' ' && c != '\t' && c != '\r' && c != '\n') letters += c;
  if (letters.size() % 4 != 0) return {};
  for (int padding = 0; padding < 2 && letters.ends_with('='); ++padding) letters.pop_back();
  return decodeBase64(letters, standardLetters);
}

std::string base64Url(std::string_view bytes) { return encodeBase64(bytes, urlLetters); }
std::optional<std::string> fromBase64Url(std::string_view text) { return decodeBase64(text, urlLetters); }

std::string hex(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size() * 2);
  for (unsigned char byte : bytes) {
    text += hexDigits[byte >> 4];
    text += hexDigits[byte & 15];
  }
  return text;
}

std::optional<std::string> fromHex(std::string_view text) {
  auto valueOf = [](char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
  };
  if (text.size() % 2 != 0) return {};
  std::string bytes;
  for (std::size_t i = 0; i < text.size(); i += 2) {
    int high = valueOf(text[i]), low = valueOf(text[i + 1]);
    if (high < 0 || low < 0) return {};
    bytes += static_cast<char>(high << 4 | low);
  }
  return bytes;
}

std::string percentEncode(std::string_view text) {
  std::string result;
  for (unsigned char c : text) {
    bool isUnreserved = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
                        c == '.' || c == '_' || c == '~';
    if (isUnreserved) {
      result += static_cast<char>(c);
    } else {
      constexpr std::string_view digits = "0123456789ABCDEF";
      result += '%';
      result += digits[c >> 4];
      result += digits[c & 15];
    }
  }
  return result;
}

std::string sha256(std::string_view bytes) {
  std::string digest(32, '\0');
  unsigned int length = 0;
  auto* output = reinterpret_cast<unsigned char*>(digest.data());
  if (EVP_Digest(bytes.data(), bytes.size(), output, &length, EVP_sha256(), nullptr) != 1 || length != digest.size())
    throw Error("OpenSSL cannot compute SHA-256", "its configuration (openssl.cnf) may have switched the provider off");
  return digest;
}

std::string sha256Hex(std::string_view bytes) { return hex(sha256(bytes)); }

} // namespace kubestrap
