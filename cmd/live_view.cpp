#include "cmd/live_view.hpp"

#include "cmd/globals.hpp"
#include "support/log.hpp"
#include "support/value.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>

#include <sys/ioctl.h>
#include <unistd.h>

namespace kubestrap::cmd {

namespace {

constexpr auto drawnEvery = std::chrono::milliseconds(500);

/// As many whole characters as fit, of UTF-8.
std::string cut(std::string text, std::size_t width) {
  std::size_t characters = 0, at = 0;
  for (; at < text.size(); ++at)
    if ((static_cast<unsigned char>(text[at]) & 0xc0) != 0x80 && ++characters > width) break;
  text.resize(at);
  return text;
}

/// What another machine says is no command to this terminal.
std::string harmless(std::string text) {
  std::ranges::replace_if(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, ' ');
  return text;
}

} // namespace

std::vector<std::string> liveLines(const std::vector<LiveRow>& rows, std::size_t width, std::size_t height) {
  std::size_t widest = 0;
  for (const auto& row : rows) widest = std::max(widest, row.host.size());
  std::vector<std::string> lines;
  for (const auto& row : rows) {
    if (lines.size() + 1 == height && rows.size() > height) {
      lines.push_back(cut(fmt::format("... and {} more", rows.size() - lines.size()), width));
      break;
    }
    const auto seconds = std::chrono::floor<std::chrono::seconds>(row.elapsed).count();
    lines.push_back(cut(fmt::format("{:{}}  {:>4} s  {}{}", row.host, widest, seconds, row.step, row.waits.empty() ? "" : ": " + row.waits), width));
  }
  return lines;
}

std::string liveWords(std::string_view event) {
  const auto record = Value::parse(event, nullptr, false);
  if (!record.is_object()) return {};
  const auto name = stringAt(record, "event");
  if (name == "waiting") return harmless(fmt::format("waits until {}: {}", stringAt(record, "subject"), stringAt(record, "seen")));
  return name == "phaseBegins" ? harmless(stringAt(record, "phase")) : std::string();
}

void Underway::begins(const std::string& host, const std::string& step, Clock::time_point now) { running_[{host, step}] = {"", now}; }

std::string Underway::hears(const std::string& host, const std::string& step, std::string_view event) { return says(host, step, liveWords(event)); }

std::string Underway::says(const std::string& host, const std::string& step, std::string words) {
  const auto found = running_.find({host, step});
  if (found == running_.end() || words.empty() || words == found->second.waits) return {};
  return found->second.waits = std::move(words);
}

void Underway::ends(const std::string& host, const std::string& step) { running_.erase({host, step}); }

std::vector<LiveRow> Underway::rows(Clock::time_point now) const {
  std::vector<LiveRow> rows;
  for (const auto& [key, running] : running_) rows.push_back({key.first, key.second, now - running.began, running.waits});
  return rows;
}

LiveView::LiveView() : terminal_(isatty(STDERR_FILENO) == 1 && log::level() == 0 && format(globals()) == Format::text), events_(format(globals()) != Format::text) {
  if (!terminal_) return;
  thread_ = std::jthread([this](std::stop_token stop) {
    std::mutex mutex;
    std::condition_variable_any wake;
    std::unique_lock lock(mutex);
    while (!stop.stop_requested()) {
      wake.wait_for(lock, stop, drawnEvery, [] { return false; });
      const std::lock_guard guard(mutex_);
      erase();
      if (!stop.stop_requested()) draw();
      std::fflush(stderr);
    }
  });
}

LiveView::~LiveView() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  thread_.join();
  erase(); // a row whose step was broken off
  std::fflush(stderr);
}

void LiveView::begins(const std::string& host, const std::string& step) {
  const std::lock_guard lock(mutex_);
  running_.begins(host, step, Underway::Clock::now());
}

void LiveView::hears(const std::string& host, const std::string& step, std::string_view event) {
  if (terminal_ || events_) says(host, step, liveWords(event));
}

void LiveView::says(const std::string& host, const std::string& step, std::string words) {
  const std::lock_guard lock(mutex_);
  const auto news = running_.says(host, step, std::move(words));
  if (!events_ || news.empty()) return;
  fmt::print(stderr, "{}\n", Value{{"event", "stepGoesOn"}, {"host", host}, {"step", step}, {"at", news}}.dump());
  std::fflush(stderr);
}

void LiveView::ends(const std::string& host, const std::string& step, std::string_view line) {
  const std::lock_guard lock(mutex_);
  running_.ends(host, step);
  erase();
  fmt::print(stderr, "{}\n", line);
  draw();
  std::fflush(stderr);
}

void LiveView::ends(const std::string& host, const std::string& step) {
  const std::lock_guard lock(mutex_);
  running_.ends(host, step);
}

void LiveView::erase() {
  if (drawn_ > 0) fmt::print(stderr, "\033[{}A\r\033[J", drawn_);
  drawn_ = 0;
}

void LiveView::draw() {
  if (!terminal_) return;
  winsize size{};
  const bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 2;
  const auto lines = liveLines(running_.rows(Underway::Clock::now()), known ? size.ws_col - 1U : 79U, known ? size.ws_row - 2U : 20U);
  for (const auto& line : lines) fmt::print(stderr, "{}\n", line);
  drawn_ = lines.size();
}

} // namespace kubestrap::cmd
