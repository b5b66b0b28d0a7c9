#include "plan/report.hpp"

#include "support/value.hpp"

#include <fmt/format.h>

#include <unistd.h>

namespace kubestrap::plan {

namespace {

constexpr auto kLineEvery = std::chrono::seconds(5);   // of a wait, where nothing can be redrawn
constexpr auto kSilentFor = std::chrono::milliseconds(900); // a wait that is over sooner needs no line

class TextReporter : public Reporter {
public:
  TextReporter(std::FILE* out, int verbosity) : out_(out), verbosity_(verbosity), terminal_(isatty(fileno(out)) == 1) {}

  void phaseBegins(std::string_view phase, std::string_view summary) override {
    kept_ = changed_ = 0;
    if (verbosity_ > 0) line(fmt::format("[{}] {}", phase, summary));
  }

  void phaseEnds(std::string_view phase) override {
    if (changed_ == 0 && kept_ > 0) line(fmt::format("[{}] nothing to do, {} kept as {}", phase, kept_, kept_ == 1 ? "it is" : "they are"));
  }

  void phaseSkipped(std::string_view phase) override { line(fmt::format("[{}] skipped", phase)); }

  void planned(std::string_view phase, const Change& change) override {
    if (!change.changes()) {
      ++kept_;
      if (verbosity_ > 0) line(sentence(phase, "keep", change));
      return;
    }
    ++changed_;
    line(sentence(phase, fmt::format("will {}", futureTense(change.verb)), change));
    if (!change.preview.empty()) indented(change.preview);
  }

  void done(std::string_view phase, const Change& change, Duration took) override {
    lastWaitLine_ = {};
    if (!change.changes()) {
      ++kept_;
      if (verbosity_ > 0) line(sentence(phase, pastTense(change.verb), change));
      return;
    }
    ++changed_;
    if (change.verb == Verb::wait || took >= std::chrono::seconds(1))
      line(fmt::format("[{}] {} {} (after {})", phase, pastTense(change.verb), change.subject, humanDuration(took)));
    else line(sentence(phase, pastTense(change.verb), change));
  }

  void waiting(std::string_view phase, const Change& change, Duration elapsed, Duration patience, std::string_view seen) override {
    if (elapsed < kSilentFor) return;
    const auto text = fmt::format("[{}] waiting until {}: {} ({} of {})", phase, change.subject, seen,
                                  humanDuration(std::chrono::floor<std::chrono::seconds>(elapsed)), humanDuration(patience));
    if (terminal_) {
      fmt::print(out_, "\r\033[K{}", text);
      std::fflush(out_);
      drawn_ = true;
    } else if (elapsed - lastWaitLine_ >= kLineEvery || elapsed < lastWaitLine_) {
      lastWaitLine_ = elapsed;
      line(text);
    }
  }

  void warning(std::string_view phase, std::string_view text) override { line(fmt::format("[{}] warning: {}", phase, text)); }

private:
  static std::string sentence(std::string_view phase, std::string_view verb, const Change& change) {
    const bool tells = !change.reason.empty() && change.reason != "missing";
    return fmt::format("[{}] {} {}{}", phase, verb, change.subject, tells ? " (" + change.reason + ")" : "");
  }

  void line(std::string_view text) {
    if (drawn_) fmt::print(out_, "\r\033[K");
    drawn_ = false;
    fmt::print(out_, "{}\n", text);
    std::fflush(out_);
  }

  void indented(std::string_view text) {
    while (!text.empty()) {
      const auto end = text.find('\n');
      line(fmt::format("    {}", text.substr(0, end)));
      text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
    }
  }

  std::FILE* out_;
  int verbosity_;
  bool terminal_;
  bool drawn_ = false; ///< a wait's line stands on the terminal
  Duration lastWaitLine_{};
  int kept_ = 0, changed_ = 0;
};

class JsonReporter : public Reporter {
public:
  explicit JsonReporter(std::FILE* out) : out_(out) {}

  void phaseBegins(std::string_view phase, std::string_view summary) override {
    record({{"event", "phaseBegins"}, {"phase", phase}, {"summary", summary}});
  }
  void phaseEnds(std::string_view phase) override { record({{"event", "phaseEnds"}, {"phase", phase}}); }
  void phaseSkipped(std::string_view phase) override { record({{"event", "phaseSkipped"}, {"phase", phase}}); }
  void planned(std::string_view phase, const Change& change) override {
    record({{"event", "planned"}, {"phase", phase}, {"verb", name(change.verb)}, {"subject", change.subject},
            {"reason", change.reason}});
  }
  void done(std::string_view phase, const Change& change, Duration took) override {
    lastSecond_ = 0;
    record({{"event", "done"}, {"phase", phase}, {"verb", name(change.verb)}, {"subject", change.subject},
            {"reason", change.reason}, {"milliseconds", took / std::chrono::milliseconds(1)}});
  }
  void waiting(std::string_view phase, const Change& change, Duration elapsed, Duration patience, std::string_view seen) override {
    const auto second = elapsed / std::chrono::seconds(1);
    if (second == 0 || second == lastSecond_) return;
    lastSecond_ = second;
    record({{"event", "waiting"}, {"phase", phase}, {"subject", change.subject}, {"seen", seen}, {"seconds", second},
            {"patienceSeconds", patience / std::chrono::seconds(1)}});
  }
  void warning(std::string_view phase, std::string_view text) override {
    record({{"event", "warning"}, {"phase", phase}, {"text", text}});
  }

private:
  void record(const Value& value) {
    fmt::print(out_, "{}\n", value.dump(-1, ' ', false, Value::error_handler_t::replace));
    std::fflush(out_);
  }
  std::FILE* out_;
  long lastSecond_ = 0;
};

class SilentReporter : public Reporter {
public:
  void phaseBegins(std::string_view, std::string_view) override {}
  void phaseEnds(std::string_view) override {}
  void phaseSkipped(std::string_view) override {}
  void planned(std::string_view, const Change&) override {}
  void done(std::string_view, const Change&, Duration) override {}
  void waiting(std::string_view, const Change&, Duration, Duration, std::string_view) override {}
  void warning(std::string_view, std::string_view) override {}
};

} // namespace

std::unique_ptr<Reporter> textReporter(std::FILE* out, int verbosity) { return std::make_unique<TextReporter>(out, verbosity); }
std::unique_ptr<Reporter> jsonReporter(std::FILE* out) { return std::make_unique<JsonReporter>(out); }
std::unique_ptr<Reporter> silentReporter() { return std::make_unique<SilentReporter>(); }

} // namespace kubestrap::plan
