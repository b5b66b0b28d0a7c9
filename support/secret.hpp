#pragma once

#include <string>
#include <string_view>

namespace kubestrap {

/// Text that must never be printed: a private key, a token's secret. It is wiped when it goes, cannot be formatted, and
/// is read by reveal() only, so that a search for that word finds every use.
class Secret {
public:
  Secret() = default;
  explicit Secret(std::string text) : text_(std::move(text)) {}
  Secret(const Secret&) = default;
  Secret(Secret&&) noexcept = default;
  Secret& operator=(const Secret& other);
  Secret& operator=(Secret&& other) noexcept;
  ~Secret();

  const std::string& reveal() const { return text_; }
  bool empty() const { return text_.empty(); }
  /// First eight hex digits of its SHA-256: enough to see whether two are the same.
  std::string fingerprint() const;
  bool operator==(const Secret&) const = default;

private:
  std::string text_;
};

} // namespace kubestrap
