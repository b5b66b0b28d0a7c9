#pragma once

#include <fmt/format.h>

#include <string_view>

namespace kubestrap::log {

/// -v N: 0 says what matters, 1-3 steps, 4-6 decisions, 7 requests, 8 requests with bodies (secrets masked).
void setLevel(int level);
int level();
/// A line on standard error at `level` or more. Never throws: a log line must not end a bootstrap.
void write(int level, std::string_view line) noexcept;
/// A line "warning: ..." on standard error.
void warn(std::string_view line) noexcept;

template <typename... Args> void info(int atLevel, fmt::format_string<Args...> text, Args&&... args) {
  if (atLevel <= level()) write(atLevel, fmt::format(text, std::forward<Args>(args)...));
}

} // namespace kubestrap::log
