#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace kubestrap {

using TimePoint = std::chrono::time_point<std::chrono::system_clock, std::chrono::nanoseconds>;
using Duration = std::chrono::nanoseconds;

std::string formatRfc3339(TimePoint time);     ///< "2026-11-22T18:46:44Z", UTC, whole seconds
TimePoint parseRfc3339(std::string_view text); ///< throws Error
/// "Sun, 06 Nov 1994 08:49:37 GMT", as HTTP's Date header has it (RFC 9110, 5.6.7); nothing for anything else.
std::optional<TimePoint> parseHttpDate(std::string_view text);

/// Go's notation, as in every Kubernetes configuration: "8760h0m0s", "1h30m", "500ms", "0s".
std::string formatDuration(Duration duration);
Duration parseDuration(std::string_view text); ///< throws Error
/// For people: "23h", "364d", "5m12s", "840ms".
std::string humanDuration(Duration duration);

} // namespace kubestrap
