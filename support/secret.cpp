#include "support/secret.hpp"

#include "support/encoding.hpp"

#include <openssl/crypto.h>

namespace kubestrap {

namespace {
/// The whole buffer, not the text only: a string that was moved from or shortened has left something there.
void wipe(std::string& text) {
  text.resize(text.capacity());
  OPENSSL_cleanse(text.data(), text.size());
  text.clear();
}
} // namespace

Secret& Secret::operator=(const Secret& other) {
  if (this == &other) return *this;
  wipe(text_);
  text_ = other.text_;
  return *this;
}

Secret& Secret::operator=(Secret&& other) noexcept {
  if (this == &other) return *this;
  wipe(text_);
  text_ = std::move(other.text_);
  wipe(other.text_);
  return *this;
}

Secret::~Secret() { wipe(text_); }

std::string Secret::fingerprint() const { return sha256Hex(text_).substr(0, 8); }

} // namespace kubestrap
