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
