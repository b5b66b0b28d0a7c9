#include "phases/preflight_checks.hpp"

#include "support/text.hpp"
#include "support/version.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

namespace kubestrap::phases {

namespace {

constexpr unsigned cpusNeeded = 2;              // kubeadm: constants.ControlPlaneNumCPU
constexpr std::uint64_t mebibytesNeeded = 1700; // kubeadm: constants.ControlPlaneMem

constexpr auto noInitSystem = "neither systemd nor OpenRC was found on this machine";

// What follows is the specification of system-validators 1.12.1 (validators/types_unix.go).

/// An option of the kernel's build, with the name that it had in older kernels.
struct KernelOption {
  std::string_view name, olderName = {};
};

constexpr KernelOption requiredOptions[] = {
    {"NAMESPACES"},
    {"NET_NS"},
    {"PID_NS"},
    {"IPC_NS"},
    {"UTS_NS"},
    {"CPUSETS"},
    {"MEMCG"},
    {"INET"},
    {"EXT4_FS"},
    {"PROC_FS"},
    {"NETFILTER_XT_TARGET_REDIRECT", "IP_NF_TARGET_REDIRECT"},
    {"NETFILTER_XT_MATCH_COMMENT"},
    {"FAIR_GROUP_SCHED"},
};
constexpr KernelOption requiredOptionsV1[] = {{"CGROUPS"},        {"CGROUP_CPUACCT"}, {"CGROUP_DEVICE"},
                                              {"CGROUP_FREEZER"}, {"CGROUP_PIDS"},    {"CGROUP_SCHED"}};
constexpr KernelOption requiredOptionsV2[] = {{"CGROUPS"}, {"CGROUP_BPF"}, {"CGROUP_PIDS"}, {"CGROUP_SCHED"}};
constexpr KernelOption optionalOptions[] = {
    {"OVERLAY_FS", "OVERLAYFS_FS"}, {"AUFS_FS"}, {"BLK_DEV_DM"}, {"CFS_BANDWIDTH"}, {"SECCOMP"}, {"SECCOMP_FILTER"}};

constexpr std::string_view controllersV1[] = {"cpu", "cpuacct", "cpuset", "devices", "freezer", "memory", "pids"};
constexpr std::string_view optionalControllersV1[] = {"hugetlb", "blkio"};
constexpr std::string_view controllersV2[] = {"cpu", "cpuset", "devices", "freezer", "memory", "pids"};
constexpr std::string_view optionalControllersV2[] = {"hugetlb", "io"};

std::vector<std::string> missing(std::span<const KernelOption> options, const Facts& facts) {
  std::vector<std::string> names;
  const auto isSet = [&](std::string_view name) {
    const auto found = facts.kernelConfig.find("CONFIG_" + std::string(name));
    return !name.empty() && found != facts.kernelConfig.end() && (found->second == "y" || found->second == "m");
  };
  for (const auto& option : options)
    if (!isSet(option.name) && !isSet(option.olderName)) names.push_back("CONFIG_" + std::string(option.name));
  return names;
}

std::vector<std::string> missing(std::span<const std::string_view> controllers, const Facts& facts) {
  std::vector<std::string> names;
  for (const auto each : controllers)
    if (std::ranges::find(facts.cgroup.controllers, each) == facts.cgroup.controllers.end()) names.emplace_back(each);
  return names;
}

/// 5.4, 5.10, 5.15 and all from 6.0 on.
bool isSupportedKernel(const std::string& release) {
  int major = 0, minor = 0, patch = 0;
  const int read = std::sscanf(release.c_str(), "%9d.%9d.%9d", &major, &minor, &patch);
  if (major >= 6) return read == 3;
  return read >= 2 && major == 5 && (minor == 4 || minor == 10 || minor == 15);
}

void judgeKernel(const Facts& facts, Observations& seen) {
  if (!isSupportedKernel(facts.kernelRelease))
    seen.push_back(warning(fmt::format("kernel {} is none that Kubernetes is tested with", facts.kernelRelease),
                           "use a kernel 5.4, 5.10, 5.15 or any from 6.0 on"));
  if (facts.kernelConfig.empty()) {
    seen.push_back(
        error(fmt::format("the configuration of kernel {0} cannot be read: neither /proc/config.gz nor "
                          "/boot/config-{0} nor a copy below /usr/src or /lib/modules is there",
                          facts.kernelRelease),
              "load it (modprobe configs) or install the package with the kernel's configuration; if the kernel is "
              "known to be fit: --ignore-preflight-errors=SystemVerification"));
    return;
  }
  auto off = missing(requiredOptions, facts);
  for (auto& each : facts.cgroup.unified ? missing(requiredOptionsV2, facts) : missing(requiredOptionsV1, facts))
    off.push_back(std::move(each));
  if (off.empty()) return;
  const auto optional = missing(optionalOptions, facts);
  seen.push_back(error(fmt::format("kernel {} was built without {}{}", facts.kernelRelease, join(off, " "),
                                   optional.empty() ? "" : fmt::format(" (nor the optional {})", join(optional, " "))),
                       "use a kernel of the distribution, or build this one with these options"));
}

void judgeControllers(const Facts& facts, Observations& seen) {
  const bool v2 = facts.cgroup.unified;
  const auto off = v2 ? missing(controllersV2, facts) : missing(controllersV1, facts);
  const auto optional = v2 ? missing(optionalControllersV2, facts) : missing(optionalControllersV1, facts);
  const auto version = v2 ? "v2" : "v1";
  if (!off.empty())
    seen.push_back(
        error(fmt::format("cgroup {} lacks the controllers {}", version, join(off, " ")),
              "enable them on the kernel's command line (cgroup_enable=memory for memory), or let whoever made this "
              "machine or container delegate them"));
  if (!optional.empty())
    seen.push_back(
        warning(fmt::format("cgroup {} lacks the optional controllers {}", version, join(optional, " ")),
                "without them the pods' use of huge pages or of the disks is not limited; nothing else suffers"));
}

/// The kubelet refuses cgroup v1 from 1.35 on (KEP-5573). That its configuration allows it again does not change the
/// level, as in kubeadm: the operator has to say so twice.
void judgeCgroupVersion(const Setup& setup, const Facts& facts, Observations& seen) {
  if (facts.kubeletVersion.empty()) {
    seen.push_back(
        error(fmt::format("the version of the kubelet is not known{}, so nobody can say which cgroups it accepts",
                          facts.kubeletVersionError.empty() ? "" : " (" + facts.kubeletVersionError + ")"),
              "see KubeletVersion"));
    return;
  }
  if (facts.cgroup.unified) return;
  const auto kubelet = parseVersion(facts.kubeletVersion);
  if (kubelet < Version{.major = 1, .minor = 35, .preRelease = "0"}) {
    seen.push_back(
        warning(fmt::format("this machine uses cgroup v1, which the kubelet refuses from 1.35 on (this is {})",
                            facts.kubeletVersion),
                "boot with systemd.unified_cgroup_hierarchy=1 before the kubelet is upgraded"));
    return;
  }
  const auto* fails = find(setup.cluster.kubelet.document, "failCgroupV1");
  const bool allowed = fails && *fails == false;
  seen.push_back(error(fmt::format("this machine uses cgroup v1, which the kubelet {} refuses unless its configuration "
                                   "says failCgroupV1: false{}",
                                   facts.kubeletVersion, allowed ? " (it does)" : " (it does not)"),
                       fmt::format("boot with systemd.unified_cgroup_hierarchy=1; to stay with v1 for now: {}"
                                   "--ignore-preflight-errors=SystemVerification",
                                   allowed ? "" : "failCgroupV1: false in the KubeletConfiguration, and ")));
}

/// An optional DNS subdomain and a slash, then up to 63 letters, digits, "-", "_" and "." with a letter or digit at
/// both ends (apimachinery: IsQualifiedName).
bool isQualifiedName(std::string_view name) {
  if (const auto slash = name.find('/'); slash != name.npos) {
    if (!isDns1123Subdomain(name.substr(0, slash))) return false;
    name.remove_prefix(slash + 1);
  }
  const auto isAlphanumeric = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  return !name.empty() && name.size() <= 63 && isAlphanumeric(name.front()) && isAlphanumeric(name.back()) &&
         std::ranges::all_of(name, [&](char c) { return isAlphanumeric(c) || c == '-' || c == '_' || c == '.'; });
}

} // namespace

Observations isRoot(const Setup&, const Facts& facts) {
  if (facts.uid == 0) return {};
  return {error(fmt::format("the user with id {} asks, not root", facts.uid))};
}

Observations cpus(const Setup&, const Facts& facts) {
  if (facts.cpus >= cpusNeeded) return {};
  return {error(fmt::format("{} CPU is usable here, a control plane needs {}", facts.cpus, cpusNeeded))};
}

Observations memory(const Setup&, const Facts& facts) {
  const auto mebibytes = facts.memoryBytes / 1024 / 1024;
  if (mebibytes >= mebibytesNeeded) return {};
  return {
      error(fmt::format("this machine has {} MiB of memory, a control plane needs {}", mebibytes, mebibytesNeeded))};
}

Observations swap(const Setup& setup, const Facts& facts) {
  if (facts.swaps.empty()) return {};
  const auto* fails = find(setup.cluster.kubelet.document, "failSwapOn");
  const bool tolerated = fails && *fails == false;
  const auto consequence =
      tolerated ? "the kubelet tolerates it, but uses it on cgroup v2 only and as memorySwap.swapBehavior says"
                : "with it the kubelet does not start, since its failSwapOn is not false";
  return {warning(fmt::format("swap is on ({}); {}", join(facts.swaps, ", "), consequence))};
}

Observations firewalld(const Setup& setup, const Facts& facts) {
  if (facts.initSystem.empty())
    return {warning(fmt::format("{}, so it is not known whether firewalld runs", noInitSystem))};
  if (!facts.firewalld.exists || !facts.firewalld.active) return {};
  const auto port = setup.node.bindPort;
  return {warning(
      fmt::format("firewalld is active; other nodes and clients must reach the ports {} and 10250", port),
      fmt::format("firewall-cmd --permanent --add-port={}/tcp --add-port=10250/tcp && firewall-cmd --reload", port))};
}

Observations kubeletService(const Setup&, const Facts& facts) {
  if (facts.initSystem.empty())
    return {warning(fmt::format("{}, so the kubelet's service cannot be looked at", noInitSystem))};
  if (!facts.kubelet.exists)
    return {warning("there is no service kubelet",
                    "install the kubelet with its service, from the package kubelet of pkgs.k8s.io")};
  if (facts.kubelet.enabled) return {};
  return {warning("the service kubelet is not enabled: it will not come back after a reboot",
                  facts.initSystem == "openrc" ? "rc-update add kubelet default" : "systemctl enable kubelet.service")};
}

Observations hostname(const Setup& setup, const Facts& facts) {
  Observations seen;
  const auto& name = setup.node.name;
  if (!isQualifiedName(name))
    seen.push_back(warning(
        fmt::format("the node's name \"{}\" is not made of up to 63 letters, digits, \"-\", \"_\" and \".\"", name),
        "give another with --node-name or nodeRegistration.name"));
  // Only the machine's own name was looked up; of another one nothing is known.
  if (name == lower(facts.hostname) && !facts.hostnameResolves)
    seen.push_back(warning(fmt::format("the name {} of this machine does not resolve to an address", name),
                           fmt::format("add a line \"{} {}\" to /etc/hosts, or the name to the DNS",
                                       setup.node.advertiseAddress.string(), name)));
  return seen;
}

Observations program(const Facts& facts, const std::string& name) {
  if (const auto found = facts.programs.find(name); found != facts.programs.end() && found->second) return {};
  return {error(fmt::format("the program {} is not in the PATH", name))};
}

Observations switchedOn(const Facts& facts, const std::string& sysctl) {
  const auto file = "/proc/sys/" + replaceAll(sysctl, ".", "/");
  const auto found = facts.sysctls.find(sysctl);
  if (found == facts.sysctls.end())
    return {error(
        fmt::format("{} is not there or cannot be read", file),
        fmt::format("boot a kernel with this family of addresses (no ipv6.disable=1), then sysctl -w {}=1", sysctl))};
  if (found->second.starts_with('1')) return {};
  return {error(fmt::format("{} is {}, not 1: packets of pods would not be forwarded", file, found->second))};
}

Observations systemVerification(const Setup& setup, const Facts& facts) {
  Observations seen;
  if (facts.operatingSystem != "Linux")
    seen.push_back(
        error(fmt::format("the operating system is {}, not Linux", facts.operatingSystem), "use a Linux machine"));
  judgeKernel(facts, seen);
  judgeCgroupVersion(setup, facts, seen);
  judgeControllers(facts, seen);
  return seen;
}

} // namespace kubestrap::phases
