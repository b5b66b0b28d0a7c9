// What else there is around a node: its clock, what guards it, what tells it from others.
#include "host/facts.hpp"
#include "host/proc.hpp"
#include "host/process.hpp"
#include "support/text.hpp"

#include <sys/stat.h>
#include <sys/timex.h>

namespace kubestrap::host {

namespace {

bool exists(const char* path) {
  struct stat found {};
  return stat(path, &found) == 0;
}

std::vector<IpAddress> nameServersIn(const std::string& path) {
  std::vector<IpAddress> servers;
  for (const auto& line : split(readProc(path), '\n'))
    if (const auto fields = words(line); fields.size() > 1 && fields[0] == "nameserver")
      if (const auto address = IpAddress::parse(fields[1].substr(0, fields[1].find('%')))) servers.push_back(*address);
  return servers;
}

} // namespace

config::SecurityFacts lookAtSecurity() {
  config::SecurityFacts facts;
  if (const auto enforcing = trim(readProc("/sys/fs/selinux/enforce")); !enforcing.empty())
    facts.selinux = enforcing == "1" ? "enforcing" : "permissive";
  facts.appArmor = trim(readProc("/sys/module/apparmor/parameters/enabled")) == "Y";
  facts.appArmorParser = findProgram("apparmor_parser") || exists("/sbin/apparmor_parser") || exists("/usr/sbin/apparmor_parser");
  return facts;
}

config::ClockFacts lookAtClock() {
  timex state{}; // no mode: nothing is set
  const auto answer = adjtimex(&state);
  config::ClockFacts facts;
  if (answer >= 0) facts.synchronised = answer != TIME_ERROR && (state.status & STA_UNSYNC) == 0;
  return facts;
}

std::vector<IpAddress> nameServers() {
  auto servers = nameServersIn("/etc/resolv.conf");
  // systemd-resolved puts itself in between.
  if (servers.size() == 1 && servers.front().isLoopback())
    if (auto behind = nameServersIn("/run/systemd/resolve/resolv.conf"); !behind.empty()) return behind;
  return servers;
}

std::string machineId() { return std::string(trim(readProc("/etc/machine-id"))); }

} // namespace kubestrap::host
