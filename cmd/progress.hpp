#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace kubestrap::cmd {

/// Tells on standard error how far something long is: a line that is redrawn on a terminal, a line every five seconds elsewhere. What is
/// over within a second says nothing.
class ProgressLine {
public:
  explicit ProgressLine(std::string what) : what_(std::move(what)) {}
  ProgressLine(const ProgressLine&) = delete;
  ~ProgressLine();
  void operator()(std::uint64_t done, std::uint64_t of);

private:
  std::string what_;
  std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now(), told_ = began_;
  bool drawn_ = false;
};

/// "1.3 MiB".
std::string humanSize(std::uint64_t octets);

} // namespace kubestrap::cmd
