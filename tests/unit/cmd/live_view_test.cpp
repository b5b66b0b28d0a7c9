#include "cmd/live_view.hpp"

#include <doctest/doctest.h>

using namespace kubestrap::cmd;
using namespace std::chrono_literals;

using Lines = std::vector<std::string>;

TEST_CASE("a line for each machine: how long, at what, and what it waits for") {
  const std::vector<LiveRow> rows{{"n1", "init", 12400ms, "waits until the API server answers: connection refused"}, {"worker-1", "join", 900ms, ""}};
  CHECK(liveLines(rows, 80, 10) == Lines{"n1          12 s  init: waits until the API server answers: connection refused", "worker-1     0 s  join"});
  CHECK(liveLines(rows, 30, 10) == Lines{"n1          12 s  init: waits ", "worker-1     0 s  join"});
  CHECK(liveLines({{"a", "ööö", 1s, ""}}, 12, 10) == Lines{"a     1 s  ö"});
}

TEST_CASE("two steps on one machine have a line each, and what is heard of one is not said of the other") {
  Underway underway;
  const Underway::Clock::time_point begin{};
  underway.begins("n1", "reconfigure", begin);
  underway.begins("n1", "label", begin + 2s);
  CHECK(underway.hears("n1", "reconfigure", R"({"event":"phaseBegins","phase":"roll"})") == "roll");
  CHECK(underway.hears("n1", "reconfigure", R"({"event":"phaseBegins","phase":"roll"})").empty()); // nothing new
  CHECK(underway.hears("n1", "label", "error: something").empty());
  const auto shown = [&] { return liveLines(underway.rows(begin + 3s), 80, 10); };
  CHECK(shown() == Lines{"n1     1 s  label", "n1     3 s  reconfigure: roll"});
  underway.ends("n1", "label");
  CHECK(underway.hears("n1", "label", R"({"event":"phaseBegins","phase":"late"})").empty());
  CHECK(shown() == Lines{"n1     3 s  reconfigure: roll"});
}

TEST_CASE("how far a copy is stands in its line, and what is no step any more has none") {
  Underway underway;
  const Underway::Clock::time_point begin{};
  underway.begins("n1", "copy the bundle", begin);
  CHECK(underway.says("n1", "copy the bundle", "1.0 MiB of 1.2 GiB") == "1.0 MiB of 1.2 GiB");
  CHECK(underway.says("n1", "copy the bundle", "1.0 MiB of 1.2 GiB").empty());
  CHECK(liveLines(underway.rows(begin + 3s), 80, 10) == Lines{"n1     3 s  copy the bundle: 1.0 MiB of 1.2 GiB"});
  underway.ends("n1", "copy the bundle");
  CHECK(underway.says("n1", "copy the bundle", "1.2 GiB of 1.2 GiB").empty());
}

TEST_CASE("more machines than lines are counted") {
  std::vector<LiveRow> rows(5, {"h", "join", 0s, ""});
  CHECK(liveLines(rows, 80, 3).back() == "... and 3 more");
  CHECK(liveLines(rows, 80, 5).size() == 5);
}

TEST_CASE("of events what goes on is shown, and nothing that a terminal would obey") {
  CHECK(liveWords(R"({"event":"waiting","phase":"front","subject":"it answers","seen":"refused\u001b[2J"})") == "waits until it answers: refused [2J");
  CHECK(liveWords(R"({"event":"phaseBegins","phase":"certs"})") == "certs");
  CHECK(liveWords("error: something").empty());
  CHECK(liveWords(R"({"event":"done"})").empty());
}
