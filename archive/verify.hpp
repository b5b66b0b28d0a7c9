#pragma once

#include "archive/reader.hpp"

namespace kubestrap::archive {

/// Two files that are a bundle together: a whole one, or a delta and the older bundle that it goes by.
struct Source {
  fs::path file;
  std::optional<fs::path> base;
};

/// A bundle as it was found good.
struct Verified {
  Lock lock;
  std::string lockDigest;
  Signature signature;
  bool delta = false;
  std::set<std::string> lacking; ///< of a delta that was read alone: the parts that only the older bundle has
};

/// Whether a delta has to be read together with the bundle that it goes by.
enum class Alone { no, yes };

/// Reads all of it: each part is there, whole, once, what the lock file says, and for the architecture of the bundle; images hold together.
/// Parts go to `sink` as they come, which must do nothing for good before this returns. Throws Error naming what is wrong.
Verified verify(const Source& source, const std::vector<certs::PublicKey>& trusted, Sink& sink, Alone alone, const Progress& progress = {});

/// Takes parts, and does nothing.
class NoSink : public Sink {
public:
  void begin(const Member&) override {}
  void data(std::string_view) override {}
  void end(const Member&) override {}
};

} // namespace kubestrap::archive
