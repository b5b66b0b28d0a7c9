#pragma once

#include "plan/change.hpp"
#include "support/time.hpp"

#include <cstdio>
#include <memory>
#include <string>
#include <string_view>

namespace kubestrap::plan {

/// What the engine tells while it works. Implementations must not throw: a line that cannot be written must not end a bootstrap.
class Reporter {
public:
  virtual ~Reporter() = default;
  virtual void phaseBegins(std::string_view phase, std::string_view summary) = 0;
  virtual void phaseEnds(std::string_view phase) = 0;
  virtual void phaseSkipped(std::string_view phase) = 0;
  virtual void planned(std::string_view phase, const Change& change) = 0;
  virtual void done(std::string_view phase, const Change& change, Duration took) = 0;
  /// A wait goes on; called about every 200 ms.
  virtual void waiting(std::string_view phase, const Change& change, Duration elapsed, Duration patience, std::string_view seen) = 0;
  virtual void warning(std::string_view phase, std::string_view text) = 0;
};

/// Lines for people on standard error: "[certs] created apiserver (signed by ca)"; waits redraw one line on a terminal and give a
/// line every five seconds elsewhere.
std::unique_ptr<Reporter> textReporter(std::FILE* out, int verbosity);
/// One JSON record per event on `out`.
std::unique_ptr<Reporter> jsonReporter(std::FILE* out);
std::unique_ptr<Reporter> silentReporter();

} // namespace kubestrap::plan
