#pragma once

#include "support/time.hpp"

#include <chrono>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace kubestrap::cmd {

/// What is under way on one machine.
struct LiveRow {
  std::string host, step;
  Duration elapsed{};
  std::string waits; ///< for what; may be empty
};
/// A line for each, none longer than `width`; where they are more than `height`, the last one counts the rest.
std::vector<std::string> liveLines(const std::vector<LiveRow>& rows, std::size_t width, std::size_t height);

/// What the event of a kubestrap elsewhere says of what it is at; empty: nothing worth a line.
std::string liveWords(std::string_view event);

/// The lower end of a terminal: a line for each machine where something is under way, kept up to date; lines that stay come above. Where standard error is no
/// terminal only these are printed. May be used from several threads.
class LiveView {
public:
  LiveView();
  ~LiveView();
  void begins(const std::string& host, const std::string& step);
  void hears(const std::string& host, std::string_view event);
  void ends(const std::string& host, std::string_view line); ///< the line that stays

private:
  using Clock = std::chrono::steady_clock;
  struct Running {
    std::string step, waits;
    Clock::time_point began;
  };
  void erase();
  void draw();

  bool terminal_;
  std::mutex mutex_;
  std::map<std::string, Running> running_;
  std::size_t drawn_ = 0;
  std::jthread thread_;
};

} // namespace kubestrap::cmd
