#include "plan/report.hpp"
#include "support/text.hpp"
#include "support/value.hpp"
#include "tests/lines.hpp"

#include <doctest/doctest.h>

#include <cstdio>
#include <functional>

using namespace kubestrap;
using namespace kubestrap::plan;
using namespace std::chrono_literals;

namespace {

using Make = std::function<std::unique_ptr<Reporter>(std::FILE*)>;

std::string told(const Make& make, const std::function<void(Reporter&)>& body) {
  char* text = nullptr;
  std::size_t size = 0;
  std::FILE* out = open_memstream(&text, &size);
  {
    const auto reporter = make(out);
    body(*reporter);
  }
  std::fclose(out);
  std::string result(text, size);
  std::free(text);
  return result;
}

std::string asText(const std::function<void(Reporter&)>& body, int verbosity = 0) {
  return told([&](std::FILE* out) { return textReporter(out, verbosity); }, body);
}

std::vector<Value> asJson(const std::function<void(Reporter&)>& body) {
  std::vector<Value> records;
  for (const auto& line : split(told([](std::FILE* out) { return jsonReporter(out); }, body), '\n'))
    if (!line.empty()) records.push_back(parseJson(line));
  return records;
}

const Change created{.verb = Verb::create, .subject = "certificate ca", .reason = "missing"};
const Change updated{.verb = Verb::update, .subject = "certificate apiserver", .reason = "lacks SAN 10.0.0.9"};
const Change kept{.verb = Verb::keep, .subject = "certificate etcd-ca", .reason = "expires 2036-11-19"};
const Change waited{.verb = Verb::wait, .subject = "the kubelet is healthy", .reason = "nobody listens there yet"};

} // namespace

TEST_CASE("what was done is told in the past tense, with a reason where it is not the obvious one") {
  CHECK(asText([](Reporter& reporter) {
          reporter.done("certs", created, 1ms);
          reporter.done("certs", updated, 1ms);
        }) == "[certs] created certificate ca\n[certs] updated certificate apiserver (lacks SAN 10.0.0.9)\n");
}

TEST_CASE("what takes a second or more tells how long") {
  CHECK(asText([](Reporter& reporter) { reporter.done("kubelet-start", waited, 2500ms); }) ==
        "[kubelet-start] ready: the kubelet is healthy (after 2s)\n");
}

TEST_CASE("a plan is told in the future tense, with what would be written") {
  CHECK(asText([](Reporter& reporter) {
          auto change = updated;
          change.preview = "-a\n+b\n";
          reporter.planned("certs", change);
          reporter.planned("certs", kept);
        }) == "[certs] will update certificate apiserver (lacks SAN 10.0.0.9)\n    -a\n    +b\n");
}

TEST_CASE("a phase with nothing to do is one line, and details are for who asks") {
  const auto body = [](Reporter& reporter) {
    reporter.phaseBegins("certs", "Make the certificates");
    reporter.done("certs", kept, 1ms);
    reporter.phaseEnds("certs");
  };
  CHECK(asText(body) == "[certs] nothing to do, 1 kept as it is\n");
  CHECK(asText(body, 1) == "[certs] Make the certificates\n[certs] kept certificate etcd-ca (expires 2036-11-19)\n"
                           "[certs] nothing to do, 1 kept as it is\n");
}

TEST_CASE("where lines cannot be redrawn a wait gives one every five seconds") {
  const auto text = asText([](Reporter& reporter) {
    for (auto elapsed = 0ms; elapsed < 11s; elapsed += 200ms)
      reporter.waiting("wait", waited, elapsed, 240s, "answers 500");
    reporter.done("wait", waited, 11s);
    for (auto elapsed = 0ms; elapsed < 6s; elapsed += 200ms)
      reporter.waiting("wait", waited, elapsed, 240s, "answers 501");
  });
  CHECK(split(text, '\n') == Lines{"[wait] waiting until the kubelet is healthy: answers 500 (5s of 4m)",
                                   "[wait] waiting until the kubelet is healthy: answers 500 (10s of 4m)",
                                   "[wait] ready: the kubelet is healthy (after 11s)",
                                   "[wait] waiting until the kubelet is healthy: answers 501 (5s of 4m)", ""});
}

TEST_CASE("a second wait without a change between gives its lines too") {
  const auto text = asText([](Reporter& reporter) {
    for (auto elapsed = 0ms; elapsed < 8s; elapsed += 200ms) reporter.waiting("a", waited, elapsed, 60s, "one");
    reporter.done("a", kept, 8s);
    for (auto elapsed = 0ms; elapsed < 6s; elapsed += 200ms) reporter.waiting("a", waited, elapsed, 60s, "two");
  });
  CHECK(split(text, '\n') == Lines{"[a] waiting until the kubelet is healthy: one (5s of 60s)",
                                   "[a] waiting until the kubelet is healthy: two (5s of 60s)", ""});
}

TEST_CASE("warnings and skipped phases are told") {
  CHECK(asText([](Reporter& reporter) {
          reporter.warning("preflight", "Swap: /dev/sda2");
          reporter.phaseSkipped("addon");
        }) == "[preflight] warning: Swap: /dev/sda2\n[addon] skipped\n");
}

TEST_CASE("each event is one JSON record") {
  const auto records = asJson([](Reporter& reporter) {
    reporter.phaseBegins("certs", "Make \"certificates\"");
    reporter.done("certs", created, 1500us);
    reporter.planned("certs", updated);
    reporter.warning("certs", "line\nbreak and \xff");
    reporter.phaseSkipped("addon");
    reporter.phaseEnds("certs");
  });
  REQUIRE(records.size() == 6);
  CHECK(records[0] == Value{{"event", "phaseBegins"}, {"phase", "certs"}, {"summary", "Make \"certificates\""}});
  CHECK(records[1] == Value{{"event", "done"},
                            {"phase", "certs"},
                            {"verb", "create"},
                            {"subject", "certificate ca"},
                            {"reason", "missing"},
                            {"milliseconds", 1}});
  CHECK(records[2] == Value{{"event", "planned"},
                            {"phase", "certs"},
                            {"verb", "update"},
                            {"subject", "certificate apiserver"},
                            {"reason", "lacks SAN 10.0.0.9"}});
  CHECK(stringAt(records[3], "text").starts_with("line\nbreak and "));
  CHECK(records[4] == Value{{"event", "phaseSkipped"}, {"phase", "addon"}});
  CHECK(records[5] == Value{{"event", "phaseEnds"}, {"phase", "certs"}});
}

TEST_CASE("a wait gives one JSON record a second, the next wait too") {
  const auto records = asJson([](Reporter& reporter) {
    for (auto elapsed = 0ms; elapsed < 1500ms; elapsed += 200ms) reporter.waiting("wait", waited, elapsed, 240s, "one");
    reporter.done("wait", waited, 1500ms);
    for (auto elapsed = 0ms; elapsed < 1500ms; elapsed += 200ms) reporter.waiting("wait", waited, elapsed, 240s, "two");
  });
  REQUIRE(records.size() == 3);
  CHECK(records[0] == Value{{"event", "waiting"},
                            {"phase", "wait"},
                            {"subject", "the kubelet is healthy"},
                            {"seen", "one"},
                            {"seconds", 1},
                            {"patienceSeconds", 240}});
  CHECK(stringAt(records[2], "seen") == "two");
}

TEST_CASE("the silent one is silent") {
  CHECK(told([](std::FILE*) { return silentReporter(); },
             [](Reporter& reporter) { reporter.done("a", created, 1s); }) == "");
}
