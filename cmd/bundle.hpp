#pragma once

#include "archive/verify.hpp"
#include "cmd/command.hpp"
#include "cmd/machine.hpp"

#include <optional>
#include <string>
#include <vector>

namespace kubestrap::cmd {

/// What commands that read a bundle are told of it.
struct BundleOptions {
  std::optional<std::string> base;
  std::vector<std::string> keys;
  std::vector<std::string> without = {}; ///< programs that stay in it
};
std::vector<Flag> bundleFlags(BundleOptions& options);

/// Keys that bundles have to be signed with on this machine: those that were named, else those of /etc/kubestrap/trusted-keys.pem.
std::vector<certs::PublicKey> trustedKeys(const std::vector<std::string>& named, Machine& machine);
std::vector<certs::PublicKey> trustedKeys(host::Host& host); ///< the latter

/// All of it is read. Throws Error for what is not whole, or (refused) not signed by one of them; without keys it is only told who vouches for it.
archive::Verified verifiedWhole(const archive::Source& source, const std::vector<certs::PublicKey>& trusted, archive::Sink& sink);

archive::Source sourceOf(const std::string& file, const BundleOptions& options);

/// Units and add-ons are read as a whole, and held: so much of each, and of all together, whatever a lock file says.
class SmallParts {
public:
  /// Throws Error where it is beyond that.
  void add(const archive::Member& member);

private:
  static constexpr std::uint64_t eachLimit = 4 << 20, allLimit = 16 << 20;
  std::uint64_t all_ = 0;
};

/// Who vouches for a bundle, in a few words.
std::string signedBy(const archive::Signature& signature);
Value asValue(const archive::Signature& signature);

Command bundleLoadCommand();

} // namespace kubestrap::cmd
