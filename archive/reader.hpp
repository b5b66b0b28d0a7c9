#pragma once

#include "archive/lock.hpp"
#include "archive/tar.hpp"
#include "certs/detached.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace kubestrap::archive {

/// How far a long work is, in octets of its contents.
using Progress = std::function<void(std::uint64_t done, std::uint64_t of)>;

/// What takes parts as they come.
class Sink {
public:
  virtual ~Sink() = default;
  virtual void begin(const Member& member) = 0;
  virtual void data(std::string_view bytes) = 0;
  virtual void end(const Member& member) = 0; ///< it was whole, and what the lock file says
};

/// The octets of a file, piece by piece. Throws Error naming the file.
Give bytesOf(const fs::path& file);

/// A bundle, or what an older one lacks (a delta), read from its beginning once. What it holds is believed when its digest is right, and
/// the lock file when its signature is.
class Reader {
public:
  /// Reads the lock file. Throws Error for what is no bundle.
  explicit Reader(fs::path file);
  Reader(const Reader&) = delete;
  ~Reader();

  const fs::path& file() const { return file_; }
  const Lock& lock() const { return lock_; }
  const std::string& lockText() const { return lockText_; }
  const std::string& lockDigest() const { return lockDigest_; } ///< of its text, 64 hex digits
  const std::optional<std::string>& signature() const { return signature_; }
  /// Of a delta: the digest of the older bundle's lock file.
  const std::optional<std::string>& base() const { return base_; }

  /// All parts that are in it. Each is held against the lock file while it comes; the first that is wrong is named, and that no part is
  /// missing, unless it is a delta, is known at the end. Gives the paths of those that came.
  std::set<std::string> walk(Sink& sink, const Progress& progress = {});

private:
  struct State;
  std::optional<TarEntry> next();
  std::string text(const TarEntry& entry, std::size_t limit);
  const Member& expected(const TarEntry& entry, const std::string& before) const;
  void take(const Member& member, Sink& sink, std::uint64_t& done, const Progress& progress);
  void expectEnd();

  fs::path file_;
  Lock lock_;
  std::string lockText_, lockDigest_;
  std::optional<std::string> signature_, base_;
  std::optional<TarEntry> pending_;
  std::unique_ptr<State> state_;
};

/// What is known of a bundle's signature.
struct Signature {
  enum class Standing { absent, unknown, trusted } standing = Standing::absent;
  std::string key; ///< the fingerprint of the key that vouches for it
};
/// Throws Error (refused) where keys are trusted, and none of them has signed it.
Signature judge(const Reader& bundle, const std::vector<certs::PublicKey>& trusted);

} // namespace kubestrap::archive
