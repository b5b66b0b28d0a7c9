#include "host/processes.hpp"

#include "support/text.hpp"

#include <fmt/format.h>

#include <charconv>
#include <optional>

namespace kubestrap::host {

namespace {

std::optional<int> pidIn(std::string_view text) {
  int pid = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), pid);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(pid) : std::nullopt;
}

std::string ofProcess(int pid, std::string_view file, Host& host) {
  try {
    return host.read(fmt::format("/proc/{}/{}", pid, file)).value_or("");
  } catch (const Error&) {
    return {}; // it has ended
  }
}

} // namespace

std::vector<Process> processes(Host& host) {
  std::vector<Process> found;
  for (const auto& entry : host.list("/proc")) {
    const auto pid = pidIn(entry);
    if (!pid) continue;
    if (auto name = std::string(trim(ofProcess(*pid, "comm", host))); !name.empty()) found.push_back({*pid, std::move(name)});
  }
  return found;
}

std::vector<std::string> argumentsOf(int pid, Host& host) {
  auto words = split(ofProcess(pid, "cmdline", host), '\0');
  if (!words.empty() && words.back().empty()) words.pop_back();
  return words;
}

int parentOf(int pid, Host& host) {
  constexpr std::string_view name = "PPid:";
  for (const auto& line : split(ofProcess(pid, "status", host), '\n'))
    if (line.starts_with(name)) return pidIn(trim(std::string_view(line).substr(name.size()))).value_or(0);
  return 0;
}

} // namespace kubestrap::host
