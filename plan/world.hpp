#pragma once

#include "host/cri.hpp"
#include "host/host.hpp"
#include "net/http.hpp"
#include "support/time.hpp"

#include <functional>
#include <stop_token>
#include <string>

namespace kubestrap::plan {

/// Time and patience. Tests bring one that jumps.
class Clock {
public:
  virtual ~Clock() = default;
  virtual TimePoint now() const = 0;
  /// Returns early, and throws Interrupted, when the operator asks to stop.
  virtual void sleep(Duration duration) = 0;
};

/// Chance: keys come from OpenSSL's own generator, everything else (ids, serial numbers, nonces) from here.
class Entropy {
public:
  virtual ~Entropy() = default;
  virtual std::string bytes(std::size_t count) = 0;
};

/// The outside. Tests bring fakes for these; nothing else is ever faked.
struct World {
  host::Host& host;
  host::Cri& cri;
  net::Transport& http; ///< every API server, health port and web server is reached through it
  Clock& clock;
  Entropy& entropy;
};

} // namespace kubestrap::plan
