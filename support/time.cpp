#include "support/time.hpp"

#include "support/error.hpp"

#include <ctime>
#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cstdint>
#include <limits>
#include <optional>

namespace kubestrap {

using namespace std::chrono;

std::string formatRfc3339(TimePoint time) {
  auto second = floor<seconds>(time);
  auto day = floor<days>(second);
  year_month_day date(day);
  hh_mm_ss clock(second - day);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), clock.hours().count(),
                     clock.minutes().count(), clock.seconds().count());
}

namespace {
/// Takes text from the front, piece by piece; once something did not fit, `ok` stays false.
struct Reader {
  std::string_view rest;
  bool ok = true;

  int digits(std::size_t count) {
    int number = 0;
    for (std::size_t i = 0; i < count; ++i) number = number * 10 + digit();
    return number;
  }
  int digit() {
    if (rest.empty() || rest[0] < '0' || rest[0] > '9') return ok = false, 0;
    int value = rest[0] - '0';
    rest.remove_prefix(1);
    return value;
  }
  bool take(std::string_view anyOf) {
    if (rest.empty() || anyOf.find(rest[0]) == anyOf.npos) return false;
    rest.remove_prefix(1);
    return true;
  }
  void expect(std::string_view anyOf) { ok = take(anyOf) && ok; }
};

nanoseconds readFraction(Reader& reader) {
  nanoseconds fraction{0};
  std::int64_t unit = 100'000'000;
  do {
    fraction += nanoseconds(reader.digit() * unit);
    unit /= 10;
  } while (reader.ok && !reader.rest.empty() && reader.rest[0] >= '0' && reader.rest[0] <= '9');
  return fraction;
}

/// What has to be added to local time to get UTC.
minutes readZone(Reader& reader) {
  if (reader.take("Zz")) return {};
  bool isEast = reader.rest.starts_with('+');
  reader.expect("+-");
  int hour = reader.digits(2);
  reader.expect(":");
  int minute = reader.digits(2);
  reader.ok = reader.ok && hour < 24 && minute < 60;
  auto offset = hours(hour) + minutes(minute);
  return isEast ? -offset : offset;
}

std::optional<TimePoint> tryParseRfc3339(std::string_view text) {
  Reader reader{text};
  int yearNumber = reader.digits(4);
  reader.expect("-");
  int monthNumber = reader.digits(2);
  reader.expect("-");
  int dayNumber = reader.digits(2);
  reader.expect("Tt");
  int hour = reader.digits(2);
  reader.expect(":");
  int minute = reader.digits(2);
  reader.expect(":");
  int second = reader.digits(2);
  nanoseconds fraction = reader.take(".") ? readFraction(reader) : nanoseconds{0};
  auto toUtc = readZone(reader);

  year_month_day date(year(yearNumber), month(static_cast<unsigned>(monthNumber)),
                      day(static_cast<unsigned>(dayNumber)));
  bool isLeapSecond = second == 60; // counted as the second that follows
  if (!reader.ok || !reader.rest.empty() || !date.ok() || hour > 23 || minute > 59 || (second > 59 && !isLeapSecond))
    return {};
  auto whole = sys_time<seconds>(sys_days(date)) + hours(hour) + minutes(minute) + seconds(second) + toUtc;
  if (whole < ceil<seconds>(TimePoint::min()) || whole >= floor<seconds>(TimePoint::max())) return {};
  return TimePoint(whole) + fraction;
}
} // namespace

TimePoint parseRfc3339(std::string_view text) {
  if (auto time = tryParseRfc3339(text)) return *time;
  throw Error(fmt::format("\"{}\" is not a time", text), "times look like 2026-11-22T18:46:44Z");
}

namespace {
/// 1500 in units of 1000 is "1.5".
std::string decimal(std::uint64_t count, std::uint64_t unit) {
  auto text = fmt::format("{}", count / unit);
  auto fraction = fmt::format("{}", unit + count % unit).substr(1); // as many digits as the unit has zeros
  if (count % unit == 0) return text;
  return text + '.' + fraction.substr(0, fraction.find_last_not_of('0') + 1);
}

constexpr std::uint64_t microsecond = 1'000, millisecond = 1'000'000, second = 1'000'000'000;
constexpr std::uint64_t minute = 60 * second, hour = 60 * minute;

std::uint64_t magnitude(Duration duration) {
  auto count = static_cast<std::uint64_t>(duration.count());
  return duration.count() < 0 ? 0 - count : count;
}

std::string formatMagnitude(std::uint64_t count) {
  if (count == 0) return "0s";
  if (count < microsecond) return fmt::format("{}ns", count);
  if (count < millisecond) return decimal(count, microsecond) + "µs";
  if (count < second) return decimal(count, millisecond) + "ms";
  auto secondsPart = decimal(count % minute, second) + 's';
  if (count < minute) return secondsPart;
  if (count < hour) return fmt::format("{}m{}", count / minute, secondsPart);
  return fmt::format("{}h{}m{}", count / hour, count % hour / minute, secondsPart);
}
} // namespace

std::string formatDuration(Duration duration) {
  return (duration.count() < 0 ? "-" : "") + formatMagnitude(magnitude(duration));
}

namespace {
struct Unit {
  std::string_view name;
  std::uint64_t size;
};
constexpr Unit units[] = {{"ns", 1},           {"us", microsecond}, {"µs", microsecond}, {"μs", microsecond},
                          {"ms", millisecond}, {"s", second},       {"m", minute},       {"h", hour}};

std::optional<std::uint64_t> unitNamed(std::string_view name) {
  for (const auto& unit : units)
    if (unit.name == name) return unit.size;
  return {};
}

std::string_view takeWhile(std::string_view& text, bool (*wanted)(char)) {
  std::size_t length = 0;
  while (length < text.size() && wanted(text[length])) ++length;
  auto taken = text.substr(0, length);
  text.remove_prefix(length);
  return taken;
}

bool isDigit(char c) { return c >= '0' && c <= '9'; }

constexpr auto largest = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());

/// One number with its unit, as a count of nanoseconds ("1.5h").
std::optional<std::uint64_t> takeTerm(std::string_view& text) {
  auto whole = takeWhile(text, isDigit);
  std::string_view fraction;
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    fraction = takeWhile(text, isDigit);
  }
  if (whole.empty() && fraction.empty()) return {};
  auto unit = unitNamed(takeWhile(text, [](char c) { return !isDigit(c) && c != '.'; }));
  if (!unit) return {};

  std::uint64_t count = 0, nanos = 0;
  if (!whole.empty() && std::from_chars(whole.data(), whole.data() + whole.size(), count).ec != std::errc()) return {};
  if (__builtin_mul_overflow(count, *unit, &nanos)) return {};
  // Like Go: as many digits as 63 bits hold as one number, then one multiplication.
  std::uint64_t tail = 0;
  double scale = 1;
  for (char digit : fraction) {
    auto longer = tail * 10 + static_cast<std::uint64_t>(digit - '0');
    if (tail > largest / 10 || longer > largest) break;
    tail = longer, scale *= 10;
  }
  return nanos + static_cast<std::uint64_t>(static_cast<double>(tail) * (static_cast<double>(*unit) / scale));
}

std::optional<Duration> tryParseDuration(std::string_view text) {
  bool isNegative = text.starts_with('-');
  if (isNegative || text.starts_with('+')) text.remove_prefix(1);
  if (text == "0") return Duration::zero();
  if (text.empty()) return {};
  std::uint64_t sum = 0;
  while (!text.empty()) {
    auto term = takeTerm(text);
    if (!term || *term > largest + 1 || sum + *term > largest + (isNegative ? 1 : 0)) return {};
    sum += *term;
  }
  return Duration(static_cast<std::int64_t>(isNegative ? 0 - sum : sum));
}
} // namespace

Duration parseDuration(std::string_view text) {
  if (auto duration = tryParseDuration(text)) return *duration;
  throw Error(fmt::format("\"{}\" is not a duration", text), "durations look like 8760h, 1h30m, 10s or 500ms");
}

std::string humanDuration(Duration duration) {
  // The steps of kubectl's AGE column, and milliseconds below one second.
  auto count = magnitude(duration);
  std::string sign = duration.count() < 0 ? "-" : "";
  auto two = [&](std::uint64_t first, const char* firstUnit, std::uint64_t rest, const char* restUnit) {
    auto text = sign + fmt::format("{}{}", first, firstUnit);
    return rest == 0 ? text : text + fmt::format("{}{}", rest, restUnit);
  };
  constexpr auto day = 24 * hour, year = 365 * day;
  if (count == 0) return "0s";
  if (count < second) return two((count + millisecond / 2) / millisecond, "ms", 0, "");
  if (count < 2 * minute) return two(count / second, "s", 0, "");
  if (count < 10 * minute) return two(count / minute, "m", count % minute / second, "s");
  if (count < 3 * hour) return two(count / minute, "m", 0, "");
  if (count < 8 * hour) return two(count / hour, "h", count % hour / minute, "m");
  if (count < 2 * day) return two(count / hour, "h", 0, "");
  if (count < 8 * day) return two(count / day, "d", count % day / hour, "h");
  if (count < 2 * year) return two(count / day, "d", 0, "");
  if (count < 8 * year) return two(count / year, "y", count % year / day, "d");
  return two(count / year, "y", 0, "");
}

std::optional<TimePoint> parseHttpDate(std::string_view text) {
  std::tm parts{};
  const std::string copy(text);
  const char* end = strptime(copy.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
  if (!end || *end != '\0') return std::nullopt;
  const auto seconds = timegm(&parts);
  // Whoever sends it may send anything; nanoseconds count 292 years to either side, and differences of times as well.
  constexpr std::time_t latest = 200LL * 365 * 24 * 3600;
  if (seconds < 0 || seconds > latest) return std::nullopt;
  return std::chrono::system_clock::from_time_t(seconds);
}

} // namespace kubestrap
