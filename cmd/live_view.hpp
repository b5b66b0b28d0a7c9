#pragma once

#include "support/time.hpp"

#include <chrono>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace kubestrap::cmd {

/// A step that is under way on a machine; there may be several on one.
struct LiveRow {
  std::string host, step;
  Duration elapsed{};
  std::string waits; ///< for what; may be empty
};
/// A line for each, none longer than `width`; where they are more than `height`, the last one counts the rest.
std::vector<std::string> liveLines(const std::vector<LiveRow>& rows, std::size_t width, std::size_t height);

/// What the event of a kubestrap elsewhere says of what it is at; empty: nothing worth a line.
std::string liveWords(std::string_view event);

/// Steps as they come and go, and what each was heard of last.
class Underway {
public:
  using Clock = std::chrono::steady_clock;
  void begins(const std::string& host, const std::string& step, Clock::time_point now);
  /// What that says of the step, if it is something new.
  std::string hears(const std::string& host, const std::string& step, std::string_view event);
  std::string says(const std::string& host, const std::string& step, std::string words); ///< the same in words; empty ones are nothing
  void ends(const std::string& host, const std::string& step);
  std::vector<LiveRow> rows(Clock::time_point now) const; ///< by host, then step

private:
  struct Running {
    std::string waits;
    Clock::time_point began;
  };
  std::map<std::pair<std::string, std::string>, Running> running_;
};

/// The lower end of a terminal: a line for each step that is under way, kept up to date; lines that stay come above. Where standard error is no
/// terminal only these are printed; where events are asked for, what a step is at is one. May be used from several threads.
class LiveView {
public:
  LiveView();
  ~LiveView();
  void begins(const std::string& host, const std::string& step);
  void hears(const std::string& host, const std::string& step, std::string_view event);
  void says(const std::string& host, const std::string& step, std::string words);
  void ends(const std::string& host, const std::string& step, std::string_view line); ///< the line that stays
  void ends(const std::string& host, const std::string& step);                        ///< without one

private:
  void erase();
  void draw();

  bool terminal_, events_;
  std::mutex mutex_;
  Underway running_;
  std::size_t drawn_ = 0;
  std::jthread thread_;
};

} // namespace kubestrap::cmd
