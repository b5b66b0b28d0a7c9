#include "phases/preflight_checks.hpp"

#include "support/text.hpp"
#include "support/value.hpp"

#include <algorithm>
#include <cmath>

namespace kubestrap::phases {

namespace {

constexpr std::uint64_t mebibyte = 1024 * 1024;
/// etcd fills write-ahead logs of 64 MiB each, and keeps five (etcd: --max-wals).
constexpr std::uint64_t etcdNeeds = 512 * mebibyte;
/// etcd's database may grow to its quota (etcd: --quota-backend-bytes).
constexpr std::uint64_t etcdQuota = 2048 * mebibyte;
/// What a control plane's images take when they are unpacked, measured with containerd 2.1 and Kubernetes 1.37.
constexpr std::uint64_t imagesNeed = 1200 * mebibyte;
/// What the runtime keeps of containers that are made anew. On a full disk it cannot begin those that it has ended, neither new nor former.
constexpr std::uint64_t containersNeed = 100 * mebibyte;

std::string size(std::uint64_t bytes) {
  if (bytes >= 10 * 1024 * mebibyte) return fmt::format("{} GiB", bytes / mebibyte / 1024);
  return fmt::format("{} MiB", bytes / mebibyte);
}

/// How much "10%" or "200Mi" are of a whole; nothing when it is neither.
std::optional<std::uint64_t> amount(std::string_view text, std::uint64_t whole) {
  char* rest = nullptr;
  const std::string number(text);
  const double value = std::strtod(number.c_str(), &rest);
  if (rest == number.c_str() || value < 0) return std::nullopt;
  const std::string_view unit = rest;
  if (unit == "%") return static_cast<std::uint64_t>(value / 100 * static_cast<double>(whole));
  constexpr std::string_view powers = "KMGTP";
  if (unit.empty()) return static_cast<std::uint64_t>(value);
  const auto power = powers.find(unit == "k" ? 'K' : unit.front());
  if (power == powers.npos || (unit.size() > 1 && unit.substr(1) != "i")) return std::nullopt;
  return static_cast<std::uint64_t>(value * std::pow(unit.size() > 1 ? 1024 : 1000, static_cast<double>(power + 1)));
}

/// The kubelet's threshold, of the configuration or else its default (kubelet: eviction/defaults_linux.go). Whoever
/// gives evictionHard gives all of it.
std::string threshold(const Setup& setup, const std::string& signal) {
  const auto& kubelet = setup.cluster.kubelet.document;
  if (const auto* given = find(kubelet, "evictionHard"); given && given->is_object() && !given->empty()) {
    const auto found = given->find(signal);
    return found != given->end() && found->is_string() ? found->get<std::string>() : "";
  }
  if (signal == "nodefs.available") return "10%";
  if (signal == "imagefs.available") return "15%";
  return "5%";
}

/// Folders with what they are for, as far as they are known.
struct Use {
  std::string folder, holds;
  std::string signal; ///< of the kubelet: "nodefs"; may be empty
};

std::string runtimeFolder(const Setup& setup, const Facts& facts) {
  if (!facts.runtime.rootFolder.empty()) return facts.runtime.rootFolder;
  return setup.node.criSocket.find("crio") == std::string::npos ? "/var/lib/containerd" : "/var/lib/containers";
}

void judgePressure(const Setup& setup, const Use& use, const config::DiskFacts& disk, Observations& seen) {
  const auto judge = [&](const std::string& signal, std::uint64_t whole, std::uint64_t free, auto&& show) {
    const auto text = threshold(setup, signal);
    const auto least = amount(text, whole);
    if (whole == 0 || !least || free >= *least) return;
    seen.push_back(warning(fmt::format("{} ({}) has {} free of {}: below {} ({}) the kubelet takes no pods and evicts "
                                       "those it has",
                                       use.folder, use.holds, show(free), show(whole), text, signal)));
  };
  judge(use.signal + ".available", disk.bytes, disk.freeBytes, size);
  judge(use.signal + ".inodesFree", disk.inodes, disk.freeInodes,
        [](std::uint64_t count) { return fmt::format("{} inodes", count); });
}

bool lacksImages(const Facts& facts) {
  return std::ranges::any_of(facts.images, [](const auto& each) { return !each.second; });
}

} // namespace

std::vector<std::filesystem::path> disksOf(Purpose purpose, const Setup& setup) {
  std::vector<std::filesystem::path> folders{config::paths::kubelet, "/var/lib/containerd", "/var/lib/containers"};
  if (purpose != Purpose::joinWorker && setup.cluster.etcd.isLocal()) folders.push_back(setup.cluster.etcd.local.dataDir);
  return folders;
}

Observations diskSpace(const Setup& setup, const Facts& facts) {
  Observations seen;
  std::vector<Use> uses{{config::paths::kubelet.string(), "the kubelet's", "nodefs"},
                        {runtimeFolder(setup, facts), "images and containers", "imagefs"}};
  if (setup.node.controlPlane && setup.cluster.etcd.isLocal())
    uses.push_back({setup.cluster.etcd.local.dataDir.string(), "etcd's data", ""});
  for (const auto& use : uses) {
    const auto found = facts.disks.find(use.folder);
    if (found == facts.disks.end()) continue;
    const auto& disk = found->second;
    const auto free = fmt::format("{} ({}) has {} free, on {}", use.folder, use.holds, size(disk.freeBytes), disk.mountPoint);
    if (disk.readOnly)
      seen.push_back(error(fmt::format("{} ({}) is mounted read-only, on {}", use.folder, use.holds, disk.mountPoint)));
    else if (use.signal.empty() && disk.freeBytes < etcdNeeds)
      seen.push_back(error(fmt::format("{}; etcd needs {} at least", free, size(etcdNeeds))));
    else if (use.signal.empty() && disk.freeBytes < etcdQuota)
      seen.push_back(warning(fmt::format("{}; etcd's database may grow to {}", free, size(etcdQuota))));
    else if (use.signal == "imagefs" && setup.node.controlPlane && lacksImages(facts) && disk.freeBytes < imagesNeed)
      seen.push_back(error(fmt::format("{}; the images that are missing need {}", free, size(imagesNeed))));
    else if (use.signal == "imagefs" && disk.freeBytes < containersNeed)
      seen.push_back(error(fmt::format("{}; containers are begun only with {} at least", free, size(containersNeed))));
    else if (!use.signal.empty())
      judgePressure(setup, use, disk, seen);
  }
  return seen;
}

} // namespace kubestrap::phases
