#include "support/time.hpp"

#include "tests/unit/support/message_of.hpp"

#include <doctest/doctest.h>

using namespace kubestrap;
using namespace std::chrono_literals;

TEST_CASE("times are written in UTC with whole seconds") {
  CHECK(formatRfc3339(TimePoint{}) == "1970-01-01T00:00:00Z");
  CHECK(formatRfc3339(TimePoint{1795373204s + 999ms}) == "2026-11-22T18:46:44Z");
  CHECK(formatRfc3339(TimePoint{-1ns}) == "1969-12-31T23:59:59Z");
}

TEST_CASE("times are read with zones and fractions") {
  auto same = [](const char* text) { return formatRfc3339(parseRfc3339(text)); };
  CHECK(same("2026-11-22T18:46:44Z") == "2026-11-22T18:46:44Z");
  CHECK(same("2026-11-22T18:46:44+02:00") == "2026-11-22T16:46:44Z");
  CHECK(same("2026-11-22T18:46:44-05:30") == "2026-11-23T00:16:44Z");
  CHECK(same("2024-02-29T00:00:00Z") == "2024-02-29T00:00:00Z");
  CHECK(parseRfc3339("1970-01-01T00:00:00.25Z") == TimePoint{250ms});
  CHECK(parseRfc3339("1970-01-01T00:00:00.123456789123Z") == TimePoint{123456789ns});
}

TEST_CASE("what is no time is refused with an example") {
  for (const char* text :
       {"", "2026-11-22", "2026-11-22T18:46:44", "2026-11-22 18:46:44Z", "2026-13-22T18:46:44Z", "2026-02-29T18:46:44Z",
        "2026-11-22T24:00:00Z", "2026-11-22T18:60:44Z", "2026-11-22T18:46:61Z", "2026-11-22T18:46:44.Z",
        "2026-11-22T18:46:44+2:00", "2026-11-22T18:46:44Zx", "9999-01-01T00:00:00Z", "1600-01-01T00:00:00Z"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(parseRfc3339(text), Error);
  }
  CHECK(messageOf([] { parseRfc3339("soon"); }) == "\"soon\" is not a time");
}

TEST_CASE("durations are written as Go writes them") {
  CHECK(formatDuration(0s) == "0s");
  CHECK(formatDuration(1ns) == "1ns");
  CHECK(formatDuration(1100ns) == "1.1µs");
  CHECK(formatDuration(2200us) == "2.2ms");
  CHECK(formatDuration(100ms) == "100ms");
  CHECK(formatDuration(1500ms) == "1.5s");
  CHECK(formatDuration(3300ms) == "3.3s");
  CHECK(formatDuration(1s) == "1s");
  CHECK(formatDuration(1min) == "1m0s");
  CHECK(formatDuration(4min + 5s + 1ms) == "4m5.001s");
  CHECK(formatDuration(1h) == "1h0m0s");
  CHECK(formatDuration(8760h) == "8760h0m0s");
  CHECK(formatDuration(5h + 6min + 7s + 1ms) == "5h6m7.001s");
  CHECK(formatDuration(-90s) == "-1m30s");
  CHECK(formatDuration(Duration::max()) == "2562047h47m16.854775807s");
  CHECK(formatDuration(Duration::min()) == "-2562047h47m16.854775808s");
}

TEST_CASE("durations are read as Go reads them") {
  CHECK(parseDuration("0") == 0s);
  CHECK(parseDuration("5s") == 5s);
  CHECK(parseDuration("1h30m") == 90min);
  CHECK(parseDuration("-1.5h") == -90min);
  CHECK(parseDuration("+5s") == 5s);
  CHECK(parseDuration(".5s") == 500ms);
  CHECK(parseDuration("5.s") == 5s);
  CHECK(parseDuration("1m1m") == 2min);
  CHECK(parseDuration("1ns1us1µs1μs1ms") == 1003001ns);
  CHECK(parseDuration("39h9m14.425s") == 39h + 9min + 14425ms);
  CHECK(parseDuration("0.3333333333333333333h") == 20min);
  CHECK(parseDuration("9223372036854775807ns") == Duration::max());
  CHECK(parseDuration("-9223372036854775808ns") == Duration::min());
}

TEST_CASE("what is no duration is refused with an example") {
  for (const char* text :
       {"", "3", "-", "s", ".", "-.", ".s", "+.s", "1d", "1.2", "1 h", "3000000h", "9223372036854775808ns",
        "9223372036854775.808us1ns", "-9223372036854775809ns", "1h ", "1hm"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(parseDuration(text), Error);
  }
  CHECK(messageOf([] { parseDuration("1d"); }) == "\"1d\" is not a duration");
}

TEST_CASE("a duration that was written is read back") {
  for (auto duration :
       {0ns, 1ns, 999ns, 1001ns, 123456789ns, 1234567890123ns, 8760h + 1ns, Duration::max(), Duration::min()})
    CHECK(parseDuration(formatDuration(duration)) == duration);
}

TEST_CASE("people read durations in the two largest units that matter") {
  CHECK(humanDuration(0s) == "0s");
  CHECK(humanDuration(840ms) == "840ms");
  CHECK(humanDuration(90s) == "90s");
  CHECK(humanDuration(5min + 12s) == "5m12s");
  CHECK(humanDuration(5min) == "5m");
  CHECK(humanDuration(90min) == "90m");
  CHECK(humanDuration(5h + 20min) == "5h20m");
  CHECK(humanDuration(23h) == "23h");
  CHECK(humanDuration(50h) == "2d2h");
  CHECK(humanDuration(364 * 24h + 5h) == "364d");
  CHECK(humanDuration(10 * 365 * 24h) == "10y");
  CHECK(humanDuration(-90s) == "-90s");
}

TEST_CASE("the date of an HTTP answer") {
  CHECK(parseHttpDate("Sun, 06 Nov 1994 08:49:37 GMT") == parseRfc3339("1994-11-06T08:49:37Z"));
  CHECK_FALSE(parseHttpDate("Sunday, 06-Nov-94 08:49:37 GMT"));
  CHECK_FALSE(parseHttpDate("Sun, 06 Nov 1994 08:49:37 GMT and more"));
  CHECK_FALSE(parseHttpDate(""));
  // More than a count of nanoseconds can hold, or than two of them can differ by.
  for (const auto* date : {"Fri, 31 Dec 9999 23:59:59 GMT", "Mon, 01 Jan 0001 00:00:00 GMT", "Fri, 01 Jan 1700 00:00:00 GMT"})
    CHECK_FALSE(parseHttpDate(date));
}
