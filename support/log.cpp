#include "support/log.hpp"

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <string>

namespace kubestrap::log {

namespace {
std::atomic<int> currentLevel = 0;

/// One write for the line, so that lines of several processes on one terminal do not mix.
void writeLine(std::string_view prefix, std::string_view line) noexcept {
  try {
    std::string text(prefix);
    text.append(line);
    if (!text.ends_with('\n')) text += '\n';
    std::string_view rest = text;
    while (!rest.empty()) {
      auto written = ::write(STDERR_FILENO, rest.data(), rest.size());
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) return; // nobody can be told that standard error is gone
      rest.remove_prefix(static_cast<std::size_t>(written));
    }
  } catch (...) { // no memory for a log line
  }
}
} // namespace

void setLevel(int level) { currentLevel = level; }
int level() { return currentLevel; }

void write(int level, std::string_view line) noexcept {
  if (level <= currentLevel) writeLine("", line);
}

void warn(std::string_view line) noexcept { writeLine("warning: ", line); }

} // namespace kubestrap::log
