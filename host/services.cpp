#include "host/services.hpp"

#include "host/proc.hpp"
#include "host/process.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <charconv>
#include <ctime>
#include <unistd.h>

namespace kubestrap::host {

namespace {

class NoServices : public Services {
public:
  ServiceState state(const std::string&) override { return {}; }
  std::vector<config::UnitFacts> facts(const std::vector<std::string>& names) override {
    return std::vector<config::UnitFacts>(names.size());
  }
  void act(const std::string& name, Host::ServiceAction) override {
    throw Error(fmt::format("cannot act on service {}: this machine has neither systemd nor OpenRC", name),
                "start, restart and stop the kubelet yourself when you are told to, and skip the phase kubelet-start");
  }
  std::vector<std::string> log(const std::string&, TimePoint, std::size_t) override { return {}; }
};

std::chrono::nanoseconds clockTime(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

} // namespace

std::unique_ptr<Services> noServices() { return std::make_unique<NoServices>(); }

std::string initSystem() {
  if (findProgram("systemctl")) return "systemd";
  if (findProgram("openrc") && findProgram("rc-service") && findProgram("rc-update")) return "openrc";
  return "";
}

std::optional<TimePoint> processStart(int pid) {
  auto text = readProc(fmt::format("/proc/{}/stat", pid));
  auto name = text.rfind(')'); // the second field is the program's name, which may hold anything
  if (name == std::string::npos) return {};
  auto fields = words(std::string_view(text).substr(name + 1));
  constexpr std::size_t startTime = 19; // field 22 of proc(5), counted from the third
  if (fields.size() <= startTime) return {};
  std::uint64_t ticks = 0;
  const auto& field = fields[startTime];
  if (std::from_chars(field.data(), field.data() + field.size(), ticks).ec != std::errc()) return {};
  auto perSecond = static_cast<std::uint64_t>(sysconf(_SC_CLK_TCK));
  auto sinceBoot = std::chrono::seconds(ticks / perSecond) +
                   std::chrono::nanoseconds(1'000'000'000 / perSecond * (ticks % perSecond));
  return TimePoint(clockTime(CLOCK_REALTIME) - clockTime(CLOCK_BOOTTIME) + sinceBoot);
}

std::vector<std::string> lastLines(std::string_view text, std::size_t lines) {
  std::vector<std::string> result;
  for (auto& line : split(text, '\n'))
    if (!trim(line).empty()) result.push_back(std::move(line));
  if (result.size() > lines) result.erase(result.begin(), result.end() - static_cast<std::ptrdiff_t>(lines));
  return result;
}

} // namespace kubestrap::host
