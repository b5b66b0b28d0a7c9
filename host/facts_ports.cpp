#include "host/facts.hpp"
#include "host/proc.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <charconv>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <set>
#include <unordered_map>

namespace kubestrap::host {

namespace {

template <typename Number> std::optional<Number> parseNumber(std::string_view digits, int base = 10) {
  Number value{};
  auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
  if (failure != std::errc() || end != digits.data() + digits.size()) return {};
  return value;
}

/// The kernel prints addresses as 32-bit words of the machine's own byte order: "0100007F" is 127.0.0.1 on a PC.
std::string addressText(std::string_view digits) {
  std::array<unsigned char, 16> octets{};
  if (digits.size() != 8 && digits.size() != 32) return "";
  for (std::size_t at = 0; at < digits.size(); at += 8) {
    auto word = parseNumber<std::uint32_t>(digits.substr(at, 8), 16);
    if (!word) return "";
    std::memcpy(octets.data() + at / 2, &*word, sizeof *word);
  }
  std::array<char, INET6_ADDRSTRLEN> text{};
  inet_ntop(digits.size() == 8 ? AF_INET : AF_INET6, octets.data(), text.data(), text.size());
  return text.data();
}

/// Calls `visit` with each name in a folder of /proc that is a number.
template <typename Visit> void eachNumber(const std::string& folder, Visit visit) {
  std::unique_ptr<DIR, int (*)(DIR*)> entries(opendir(folder.c_str()), closedir);
  while (entries) {
    auto* entry = readdir(entries.get());
    if (!entry) break;
    if (auto number = parseNumber<int>(entry->d_name)) visit(*number);
  }
}

/// Names the processes that hold one of these sockets: one pass over all descriptors, ended when all are found.
void findOwners(std::unordered_map<std::uint64_t, config::PortOwner*>& wanted) {
  eachNumber("/proc", [&](int pid) {
    if (wanted.empty()) return;
    auto folder = fmt::format("/proc/{}/fd", pid);
    eachNumber(folder, [&](int number) {
      std::array<char, 64> target{};
      auto length = readlink(fmt::format("{}/{}", folder, number).c_str(), target.data(), target.size());
      std::string_view text(target.data(), static_cast<std::size_t>(std::max<ssize_t>(length, 0)));
      if (!text.starts_with("socket:[") || !text.ends_with(']')) return;
      auto inode = parseNumber<std::uint64_t>(text.substr(8, text.size() - 9));
      auto found = inode ? wanted.find(*inode) : wanted.end();
      if (found == wanted.end()) return;
      found->second->pid = pid;
      found->second->process = trim(readProc(fmt::format("/proc/{}/comm", pid)));
      found->second->unit = unitOfCgroup(readProc(fmt::format("/proc/{}/cgroup", pid)));
      wanted.erase(found);
    });
  });
}

} // namespace

std::vector<Listener> parseListeners(std::string_view procNetTcp) {
  constexpr std::string_view listening = "0A";
  std::vector<Listener> result;
  for (const auto& line : split(procNetTcp, '\n')) {
    auto fields = words(line); // sl local_address rem_address st queues timer retransmits uid timeout inode
    if (fields.size() < 10 || fields[3] != listening) continue;
    auto colon = fields[1].find(':');
    if (colon == std::string::npos) continue;
    auto port = parseNumber<int>(std::string_view(fields[1]).substr(colon + 1), 16);
    auto inode = parseNumber<std::uint64_t>(fields[9]);
    if (port && inode)
      result.push_back({{.port = *port, .address = addressText(std::string_view(fields[1]).substr(0, colon))}, *inode});
  }
  return result;
}

std::string unitOfCgroup(std::string_view procCgroup) {
  std::string unit;
  for (const auto& line : split(procCgroup, '\n'))
    for (const auto& part : split(line, '/'))
      if (part.ends_with(".service") || part.ends_with(".scope")) unit = part; // the innermost one
  return unit;
}

std::vector<config::PortOwner> listeners(const std::vector<int>& ports) {
  auto found = parseListeners(readProc("/proc/net/tcp"));
  auto v6 = parseListeners(readProc("/proc/net/tcp6"));
  found.insert(found.end(), v6.begin(), v6.end());
  std::unordered_map<std::uint64_t, config::PortOwner*> wanted;
  for (auto& one : found)
    if (std::ranges::find(ports, one.owner.port) != ports.end()) wanted[one.inode] = &one.owner;
  if (!wanted.empty()) findOwners(wanted);
  std::vector<config::PortOwner> result;
  for (auto& one : found) result.push_back(std::move(one.owner));
  return result;
}

} // namespace kubestrap::host
