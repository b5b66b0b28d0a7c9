#include "cmd/progress.hpp"

#include "cmd/globals.hpp"

#include <fmt/format.h>

#include <unistd.h>

namespace kubestrap::cmd {

namespace {
using namespace std::chrono_literals;
}

ProgressLine::~ProgressLine() {
  if (drawn_) fmt::print(stderr, "\r\033[K");
}

void ProgressLine::operator()(std::uint64_t done, std::uint64_t of) {
  const auto now = std::chrono::steady_clock::now();
  const bool terminal = isatty(STDERR_FILENO) == 1;
  if (now - began_ < 1s || now - told_ < (terminal ? 200ms : 5000ms) || format(globals()) != Format::text) return;
  told_ = now;
  drawn_ = terminal;
  fmt::print(stderr, "{}{}: {} of {}{}", terminal ? "\r\033[K" : "", what_, humanSize(done), humanSize(of), terminal ? "" : "\n");
  std::fflush(stderr);
}

std::string humanSize(std::uint64_t octets) {
  if (octets < 1024) return fmt::format("{} B", octets);
  auto size = static_cast<double>(octets) / 1024;
  const char* unit = "KiB";
  for (const auto* next : {"MiB", "GiB"}) {
    if (size < 1024) break;
    size /= 1024;
    unit = next;
  }
  return fmt::format("{:.1f} {}", size, unit);
}

} // namespace kubestrap::cmd
