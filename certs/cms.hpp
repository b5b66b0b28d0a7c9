#pragma once

#include "support/secret.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kubestrap::certs {

// Messages of CMS (RFC 5652, 5083): AES-256-GCM, in DER, as `openssl cms -decrypt -inform DER -binary` opens them.

/// Who can open a message: whoever has one of the keys, or the passphrase.
struct Recipients {
  std::vector<std::string> certificates; ///< PEM
  std::optional<Secret> passphrase;
};

/// A message that is written piece by piece.
class CmsWriter {
public:
  /// `out` gets the message as it comes about. Throws Error where there is no recipient, or a certificate that cannot be encrypted for.
  CmsWriter(const Recipients& recipients, std::function<void(std::string_view)> out);
  ~CmsWriter();
  void write(std::string_view bytes);
  void finish(); ///< without it the message is cut off, and does not open

private:
  struct Message;
  std::unique_ptr<Message> message_;
};

/// What opens a message.
struct Opener {
  std::optional<Secret> passphrase;
  std::string certificate; ///< PEM, with its key; empty: none
  Secret key;
};
/// Throws Error where it does not open it, or what is in it was changed.
Secret openCms(std::string_view message, const Opener& opener);

} // namespace kubestrap::certs
