#pragma once
// The judgements that the rows of preflight.cpp name, by subject. Each looks at facts and says what is wrong, or
// nothing.

#include "phases/preflight.hpp"

#include <fmt/format.h>

namespace kubestrap::phases {

using config::Facts;
using config::Setup;

// ---- the two tables, each in the order in which it speaks
std::vector<Check> kubeadmChecks();   ///< preflight_kubeadm.cpp
std::vector<Check> kubestrapChecks(); ///< preflight_kubestrap.cpp: what kubeadm does not ask

// ---- what several of these look at
inline constexpr int schedulerPort = 10259, controllerManagerPort = 10257, etcdClientPort = 2379, etcdPeerPort = 2380,
                     kubeletPort = 10250;
inline const std::filesystem::path apiServerManifest = config::paths::manifests / "kube-apiserver.yaml";
inline const std::filesystem::path controllerManagerManifest = config::paths::manifests / "kube-controller-manager.yaml";
inline const std::filesystem::path schedulerManifest = config::paths::manifests / "kube-scheduler.yaml";
inline const std::filesystem::path etcdManifest = config::paths::manifests / "etcd.yaml";
inline const std::filesystem::path fstab = "/etc/fstab";
inline const std::filesystem::path containerdConfig = "/etc/containerd/config.toml";
inline constexpr auto ipv4Forwarding = "net.ipv4.ip_forward";
inline constexpr auto ipv6Forwarding = "net.ipv6.conf.default.forwarding";

Observation error(std::string evidence, std::string remedy = {});
Observation warning(std::string evidence, std::string remedy = {});

/// The value of the last flag of this name, as Kubernetes' components take it; "" when there is none.
std::string flag(const std::vector<config::Arg>& args, std::string_view name);

/// The answer to a question about a path; false when it was not asked.
bool answer(const std::map<std::string, bool>& answers, const std::filesystem::path& path);

/// Whether kubestrap itself put it there in an earlier run.
bool isRecorded(const Facts& facts, const std::filesystem::path& path);

// ---- preflight_machine.cpp
Observations isRoot(const Setup&, const Facts&);
Observations cpus(const Setup&, const Facts&);
Observations memory(const Setup&, const Facts&);
Observations swap(const Setup&, const Facts&);
Observations firewalld(const Setup&, const Facts&);
Observations kubeletService(const Setup&, const Facts&);
Observations hostname(const Setup&, const Facts&);
Observations program(const Facts&, const std::string& name);
/// Whether a sysctl is 1.
Observations switchedOn(const Facts&, const std::string& sysctl);
Observations systemVerification(const Setup&, const Facts&);

// ---- preflight_software.cpp
Observations kubernetesVersion(const Setup&, const Facts&);
Observations kubeletVersion(const Setup&, const Facts&);
Observations runtimeAnswers(const Setup&, const Facts&);
Observations runtimeVersion(const Setup&, const Facts&);
Observations cgroupDriver(const Setup&, const Facts&);
Observations sandboxImage(const Setup&, const Facts&);
Observations runtimeConfiguration(const Setup&, const Facts&);
/// Whether the container runtime is containerd, by its own word or else by its socket's name.
bool isContainerd(const Setup&, const Facts&);

// ---- preflight_images.cpp
Observations imagesPresent(const Setup&, const Facts&);
Observations registryAnswers(const Setup&, const Facts&);
bool pullsNever(const Setup&, Purpose);
bool pulls(const Setup&, Purpose);

// ---- preflight_disks.cpp
std::vector<std::filesystem::path> disksOf(Purpose, const Setup&);
Observations diskSpace(const Setup&, const Facts&);

// ---- preflight_peers.cpp
Observations peersReach(const Setup&, const Facts&);

// ---- preflight_clock.cpp
Observations clock(const Setup&, const Facts&);

// ---- preflight_kernel.cpp
struct KernelSetting {
  std::string_view name, value;
};
std::span<const KernelSetting> bridgeSettings();
/// What the kubelet insists on with protectKernelDefaults.
std::span<const KernelSetting> kernelDefaults();
Observations bridgeFilter(const Setup&, const Facts&);
Observations kernelDefaultsHold(const Setup&, const Facts&);
inline constexpr std::string_view randomFully = "MASQUERADE --random-fully"; ///< as host/ calls this trial
bool protectsKernelDefaults(const Setup&, Purpose);
Observations kernelFeatures(const Setup&, const Facts&);
Observations packetFilter(const Setup&, const Facts&);
Observations securityModules(const Setup&, const Facts&);

// ---- preflight_fixes.cpp
plan::Resources fixIpv4Forwarding(const Setup&, const Facts&);
plan::Resources fixIpv6Forwarding(const Setup&, const Facts&);
plan::Resources fixBridgeFilter(const Setup&, const Facts&);
plan::Resources fixKernelDefaults(const Setup&, const Facts&);
plan::Resources fixSwap(const Setup&, const Facts&);
plan::Resources fixSandboxImage(const Setup&, const Facts&);
plan::Resources fixRuntimeConfiguration(const Setup&, const Facts&);
plan::Resources fixCgroupDriver(const Setup&, const Facts&);

// ---- preflight_files.cpp
Observations fileAvailable(const Facts&, const std::filesystem::path& file);
Observations etcdFolder(const Setup&, const Facts&);
Observations etcdClientCertificates(const Setup&, const Facts&);
Observations signedElsewhere(const Setup&, const Facts&);
Observations etcdVersion(const Setup&, const Facts&);

// ---- preflight_network.cpp

/// A port that must be free, with the one process that may hold it when kubestrap started that itself.
struct WantedPort {
  int port = 0;
  std::string address;                    ///< where it will be listened on; "": everywhere
  std::string_view addressFlag;           ///< which flag says so, if its value is judged here
  std::string_view process;               ///< "kube-apiserver"
  const std::filesystem::path& startedBy; ///< the file that made kubestrap start it
  std::string otherwise = {};             ///< another way out than to free the port
};
Observations portFree(const Facts&, const WantedPort&);
Observations frontPortFree(const Setup&, const Facts&);
std::string frontPortName(const Setup&);
bool balancesItself(const Setup&, Purpose);
/// Where the local etcd listens: the API server's advertise address (kubeadm: preflight/checks.go, InitNodeChecks).
std::string etcdAddress(const Setup&);
Observations proxyToApiServer(const Setup&, const Facts&);
Observations proxyToNetworks(const Setup&, const Facts&);
Observations advertiseAddress(const Setup&, const Facts&);
Observations networkOverlap(const Setup&, const Facts&);
Observations serviceRoute(const Setup&, const Facts&);
Observations proxyToNodes(const Setup&, const Facts&);
bool usesIpv4(const Setup&, Purpose = Purpose::init);
bool usesIpv6(const Setup&, Purpose = Purpose::init);

// ---- preflight_addresses.cpp
Observations ownAddress(const Setup&, const Facts&);
Observations ownIdentity(const Setup&, const Facts&);

} // namespace kubestrap::phases
