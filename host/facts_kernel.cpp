#include "host/facts.hpp"
#include "host/proc.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <sched.h>
#include <sys/sysinfo.h>
#include <zlib.h>

namespace kubestrap::host {

namespace {

/// system-validators: kernel_validator.go. Unlike it we load no module to get at a configuration: looking must not
/// change.
std::string kernelConfigText(const std::string& release) {
  if (auto text = gunzip(readProc("/proc/config.gz")); !text.empty()) return text;
  for (const auto& path :
       {"/boot/config-" + release, "/usr/src/linux-" + release + "/.config", std::string("/usr/src/linux/.config"),
        "/usr/lib/modules/" + release + "/config", "/usr/lib/ostree-boot/config-" + release,
        "/usr/lib/kernel/config-" + release, "/usr/src/linux-headers-" + release + "/.config",
        "/lib/modules/" + release + "/build/.config"})
    if (auto text = readProc(path); !text.empty()) return text;
  return "";
}

bool isFolder(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::is_directory(path, ignored);
}

/// The freezer of version 2 is no controller that could be missing, but part of every group since Linux 5.2.
bool hasFreezer(const std::string& release) {
  char* rest = nullptr;
  auto major = std::strtoul(release.c_str(), &rest, 10);
  auto minor = *rest == '.' ? std::strtoul(rest + 1, nullptr, 10) : 0;
  return major > 5 || (major == 5 && minor >= 2);
}

config::CgroupFacts lookAtCgroups(const std::string& release) {
  auto mount = parseCgroupMount(readProc("/proc/mounts"), isFolder("/sys/fs/cgroup/memory"));
  config::CgroupFacts facts{.unified = mount.unified, .controllers = {}};
  if (!mount.unified) {
    facts.controllers = parseCgroupsV1(readProc("/proc/cgroups"));
    return facts;
  }
  facts.controllers = words(readProc(mount.path + "/cgroup.controllers"));
  facts.controllers.emplace_back("devices"); // by BPF, on every kernel with version 2 that can run a kubelet
  if (hasFreezer(release)) facts.controllers.emplace_back("freezer");
  return facts;
}

} // namespace

std::map<std::string, std::string> parseKernelConfig(std::string_view text) {
  std::map<std::string, std::string> config;
  while (!text.empty()) {
    auto end = std::min(text.find('\n'), text.size());
    auto line = trim(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    auto equals = line.find('=');
    if (!line.starts_with("CONFIG_") || equals == std::string_view::npos) continue;
    if (auto value = line.substr(equals + 1); value == "y" || value == "m")
      config.emplace_hint(config.end(), line.substr(0, equals), value);
  }
  return config;
}

std::string gunzip(std::string_view bytes) {
  z_stream stream{};
  if (bytes.empty() || inflateInit2(&stream, 15 + 16) != Z_OK) return ""; // 16: gzip's frame
  auto input = std::string(bytes);
  stream.next_in = reinterpret_cast<Bytef*>(input.data());
  stream.avail_in = static_cast<uInt>(input.size());
  std::string text;
  std::array<char, 65536> buffer;
  int state = Z_OK;
  while (state == Z_OK) {
    stream.next_out = reinterpret_cast<Bytef*>(buffer.data());
    stream.avail_out = static_cast<uInt>(buffer.size());
    state = inflate(&stream, Z_NO_FLUSH);
    if (state == Z_OK || state == Z_STREAM_END) text.append(buffer.data(), buffer.size() - stream.avail_out);
  }
  inflateEnd(&stream);
  return state == Z_STREAM_END ? text : "";
}

std::vector<std::string> parseSwaps(std::string_view procSwaps) {
  std::vector<std::string> names;
  for (const auto& line : split(procSwaps, '\n'))
    if (auto fields = words(line); !fields.empty() && fields[0] != "Filename") names.push_back(fields[0]);
  return names;
}

CgroupMount parseCgroupMount(std::string_view procMounts, bool memoryFolderExists) {
  CgroupMount first;
  for (const auto& line : split(procMounts, '\n')) {
    auto fields = words(line);
    if (fields.size() < 3) continue;
    const auto &path = fields[1], &type = fields[2];
    if (path == "/sys/fs/cgroup" && (type == "tmpfs" || type.starts_with("cgroup")))
      return {path, type == "cgroup2" || (type == "tmpfs" && !memoryFolderExists)};
    if (type == "cgroup2") return {path, true};
    if (type == "cgroup" && first.path.empty()) first.path = path;
  }
  return first;
}

std::vector<std::string> parseCgroupsV1(std::string_view procCgroups) {
  std::vector<std::string> controllers;
  for (const auto& line : split(procCgroups, '\n'))
    if (auto fields = words(line); fields.size() > 3 && !fields[0].starts_with('#') && fields[3] != "0")
      controllers.push_back(fields[0]);
  return controllers;
}

void lookAtKernel(config::Facts& facts, const std::vector<std::string>& sysctls) {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  // What we may run on, which is what Go counts too; a machine with more CPUs than the set holds refuses with EINVAL.
  facts.cpus = sched_getaffinity(0, sizeof allowed, &allowed) == 0 ? static_cast<unsigned>(CPU_COUNT(&allowed))
                                                                   : static_cast<unsigned>(get_nprocs());
  struct sysinfo memory {};
  if (sysinfo(&memory) == 0) facts.memoryBytes = std::uint64_t{memory.totalram} * memory.mem_unit;
  facts.swaps = parseSwaps(readProc("/proc/swaps"));
  for (const auto& name : sysctls)
    if (auto value = readProc("/proc/sys/" + replaceAll(name, ".", "/")); !value.empty())
      facts.sysctls[name] = trim(value);
  facts.cgroup = lookAtCgroups(facts.kernelRelease);
  facts.kernelConfig = parseKernelConfig(kernelConfigText(facts.kernelRelease));
}

} // namespace kubestrap::host
