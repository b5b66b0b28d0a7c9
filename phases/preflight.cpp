// What kubestrap asks of a machine before it touches it. The table below is read from top to bottom; names and levels
// are kubeadm's (kubeadm: preflight/checks.go, InitNodeChecks), so that what operators have written into
// --ignore-preflight-errors goes on to hold.
#include "phases/preflight.hpp"

#include "certs/catalogue.hpp"
#include "phases/certificates.hpp"
#include "phases/preflight_checks.hpp"
#include "support/text.hpp"
#include "support/version.hpp"

#include <algorithm>

namespace kubestrap::phases {

namespace {

namespace paths = config::paths;
using Level = Check::Level;

constexpr int schedulerPort = 10259, controllerManagerPort = 10257, etcdClientPort = 2379, etcdPeerPort = 2380,
              kubeletPort = 10250;

const std::filesystem::path apiServerManifest = paths::manifests / "kube-apiserver.yaml";
const std::filesystem::path controllerManagerManifest = paths::manifests / "kube-controller-manager.yaml";
const std::filesystem::path schedulerManifest = paths::manifests / "kube-scheduler.yaml";
const std::filesystem::path etcdManifest = paths::manifests / "etcd.yaml";

constexpr auto ipv4Forwarding = "net.ipv4.ip_forward";
constexpr auto ipv6Forwarding = "net.ipv6.conf.default.forwarding";

bool hasLocalEtcd(const Setup& setup) { return setup.cluster.etcd.isLocal(); }
bool hasExternalEtcd(const Setup& setup) { return !setup.cluster.etcd.isLocal(); }
/// kube-proxy looked for conntrack until 1.32 (kubernetes/kubernetes#126952).
bool needsConntrack(const Setup& setup) { return setup.cluster.version < Version{.major = 1, .minor = 32}; }

std::string apiServerPortName(const Setup& setup) { return fmt::format("Port-{}", setup.node.bindPort); }
std::string etcdFolderName(const Setup& setup) {
  return "DirAvailable-" + replaceAll(setup.cluster.etcd.local.dataDir.string(), "/", "-");
}

// ---- rows that look at the same thing with other parameters

WantedPort componentPort(const config::ComponentOptions& options, int port, std::string_view process,
                         const std::filesystem::path& manifest) {
  return {.port = port,
          .address = flag(options.extraArgs, "bind-address"),
          .addressFlag = "bind-address",
          .process = process,
          .startedBy = manifest};
}

Observations apiServerPort(const Setup& setup, const Facts& facts) {
  auto wanted = componentPort(setup.cluster.apiServer, setup.node.bindPort, "kube-apiserver", apiServerManifest);
  wanted.otherwise = "choose another port with --apiserver-bind-port";
  return portFree(facts, wanted);
}
Observations schedulerPortFree(const Setup& setup, const Facts& facts) {
  return portFree(facts, componentPort(setup.cluster.scheduler, schedulerPort, "kube-scheduler", schedulerManifest));
}
Observations controllerManagerPortFree(const Setup& setup, const Facts& facts) {
  return portFree(facts, componentPort(setup.cluster.controllerManager, controllerManagerPort,
                                       "kube-controller-manager", controllerManagerManifest));
}
Observations kubeletPortFree(const Setup&, const Facts& facts) {
  return portFree(facts, {.port = kubeletPort, .process = "kubelet", .startedBy = paths::kubeletConfig});
}
template <int port> Observations etcdPortFree(const Setup& setup, const Facts& facts) {
  return portFree(facts, {.port = port, .address = etcdAddress(setup), .process = "etcd", .startedBy = etcdManifest});
}

template <const std::filesystem::path& file> Observations isFree(const Setup&, const Facts& facts) {
  return fileAvailable(facts, file);
}

Observations losetup(const Setup&, const Facts& facts) { return program(facts, "losetup"); }
Observations mount(const Setup&, const Facts& facts) { return program(facts, "mount"); }
Observations cp(const Setup&, const Facts& facts) { return program(facts, "cp"); }
Observations conntrack(const Setup&, const Facts& facts) { return program(facts, "conntrack"); }

Observations forwardsIpv4(const Setup&, const Facts& facts) { return switchedOn(facts, ipv4Forwarding); }
Observations forwardsIpv6(const Setup&, const Facts& facts) { return switchedOn(facts, ipv6Forwarding); }

constexpr auto freePort = "stop what holds the port";
constexpr auto freeFile =
    "this machine seems to be a control plane already: take that away first (kubeadm reset, where kubeadm made "
    "it), or move the file away";

const Check rows[] = {
    {.name = "IsPrivilegedUser",
     .fires = "the user is not root; nothing else is judged then",
     .remedy = "run it as root, or with sudo",
     .judge = isRoot},
    {.name = "NumCPU", .fires = "fewer than 2 CPUs are usable", .remedy = "give the machine more CPUs", .judge = cpus},
    {.name = "Mem",
     .fires = "the machine has less than 1700 MiB of memory",
     .remedy = "give the machine more memory",
     .judge = memory},
    {.name = "KubernetesVersion",
     .level = Level::warning,
     .fires = "the version asked for is of a newer minor than kubestrap knows",
     .remedy = "use a newer kubestrap, or an older version with --kubernetes-version",
     .judge = kubernetesVersion},
    {.name = "Firewalld",
     .level = Level::warning,
     .fires = "firewalld is active, or no init system is there to ask",
     .remedy = "open the API server's port and 10250 in firewalld",
     .judge = firewalld},
    {.name = "Port-<bindPort>",
     .fires = "the API server's port is held on its `bind-address` (all addresses, if not given), or that address is "
              "not on this machine",
     .remedy = freePort,
     .judge = apiServerPort,
     .nameFor = apiServerPortName},
    {.name = "Port-10259",
     .fires = "the scheduler's port is held on its `bind-address` (all addresses, if not given), or that address is "
              "not on this machine",
     .remedy = freePort,
     .judge = schedulerPortFree},
    {.name = "Port-10257",
     .fires = "the controller-manager's port is held on its `bind-address` (all addresses, if not given), or that "
              "address is not on this machine",
     .remedy = freePort,
     .judge = controllerManagerPortFree},
    {.name = "FileAvailable--etc-kubernetes-manifests-kube-apiserver.yaml",
     .fires = "the API server's manifest exists",
     .remedy = freeFile,
     .judge = isFree<apiServerManifest>},
    {.name = "FileAvailable--etc-kubernetes-manifests-kube-controller-manager.yaml",
     .fires = "the controller-manager's manifest exists",
     .remedy = freeFile,
     .judge = isFree<controllerManagerManifest>},
    {.name = "FileAvailable--etc-kubernetes-manifests-kube-scheduler.yaml",
     .fires = "the scheduler's manifest exists",
     .remedy = freeFile,
     .judge = isFree<schedulerManifest>},
    {.name = "FileAvailable--etc-kubernetes-manifests-etcd.yaml",
     .fires = "etcd's manifest exists, also when an external etcd is used",
     .remedy = freeFile,
     .judge = isFree<etcdManifest>},
    {.name = "HTTPProxy",
     .level = Level::warning,
     .fires = "HTTPS_PROXY and NO_PROXY send connections to the API server over a proxy",
     .remedy = "add the advertise address to NO_PROXY",
     .judge = proxyToApiServer},
    {.name = "HTTPProxyCIDR",
     .level = Level::either,
     .fires = "warning: connections into a service or pod network would go over a proxy (its first address is tried); "
              "error: such a "
              "network has one address only",
     .remedy = "add the networks to NO_PROXY; give a larger network",
     .judge = proxyToNetworks},
    {.name = "CRI",
     .fires = "the container runtime does not answer CRI v1 at its socket, or says that it is not ready (that its "
              "network is not, does not matter)",
     .remedy = "start, install or upgrade the container runtime; name its socket with --cri-socket",
     .judge = runtimeAnswers},
    {.name = "ContainerRuntimeVersion",
     .level = Level::either,
     .fires = "warning: the runtime does not answer RuntimeConfig, by which the kubelet learns the cgroup driver; "
              "error: it does not answer at all",
     .remedy = "upgrade the runtime: containerd 2.0, CRI-O 1.28 or newer",
     .judge = runtimeVersion},
    {.name = "Swap",
     .level = Level::warning,
     .fires = "there is an entry in /proc/swaps",
     .remedy = "swapoff -a, and take the swap out of /etc/fstab; or configure the kubelet for it (failSwapOn: false, "
               "memorySwap)",
     .judge = swap},
    {.name = "FileExisting-conntrack",
     .fires = "the program is not in the PATH and Kubernetes is older than 1.32",
     .remedy = "install the package conntrack",
     .judge = conntrack,
     .applies = needsConntrack},
    {.name = "FileExisting-losetup",
     .fires = "the program is not in the PATH; the kubelet needs it for block volumes",
     .remedy = "install the package util-linux (Debian: mount)",
     .judge = losetup},
    {.name = "FileExisting-mount",
     .fires = "the program is not in the PATH; the kubelet needs it for volumes",
     .remedy = "install the package util-linux (Debian: mount)",
     .judge = mount},
    {.name = "FileExisting-cp",
     .fires = "the program is not in the PATH; kubeadm needs it for upgrades of etcd",
     .remedy = "install the package coreutils",
     .judge = cp},
    {.name = "SystemVerification",
     .level = Level::either,
     .fires = "error: not Linux; the kernel's configuration cannot be read or lacks an option; the kubelet's version "
              "is unknown; cgroup v1 "
              "with a kubelet of 1.35 or newer; a cgroup controller is missing. Warning: kernel not 5.4, 5.10, 5.15 or "
              "6.0 and newer; "
              "cgroup v1 with an older kubelet; an optional controller is missing",
     .remedy = "use a supported kernel with cgroup v2 (systemd.unified_cgroup_hierarchy=1)",
     .judge = systemVerification},
    {.name = "Hostname",
     .level = Level::warning,
     .fires = "the node's name has characters or a length that Kubernetes does not take, or (if it is the machine's "
              "own) does not resolve",
     .remedy = "give another name with --node-name, or add it to /etc/hosts",
     .judge = hostname},
    {.name = "KubeletVersion",
     .fires = "there is no kubelet; it is more than 3 minors older than kubestrap, or of a newer minor than the "
              "control plane",
     .remedy = "install the kubelet of the cluster's version",
     .judge = kubeletVersion},
    {.name = "Service-kubelet",
     .level = Level::warning,
     .fires = "no init system is there to ask, the kubelet's service does not exist, or is not enabled",
     .remedy = "install the kubelet with its service, and enable it",
     .judge = kubeletService},
    {.name = "Port-10250",
     .fires = "the kubelet's port is held on any address",
     .remedy = freePort,
     .judge = kubeletPortFree},
    {.name = "FileContent--proc-sys-net-ipv4-ip_forward",
     .fires = "IPv4 is used (by the advertise address, services or pods) and net.ipv4.ip_forward is not 1",
     .remedy = "sysctl -w net.ipv4.ip_forward=1, and the setting into /etc/sysctl.d/kubernetes.conf",
     .judge = forwardsIpv4,
     .applies = usesIpv4},
    {.name = "FileContent--proc-sys-net-ipv6-conf-default-forwarding",
     .fires = "IPv6 is used (by the advertise address, services or pods) and net.ipv6.conf.default.forwarding is not 1",
     .remedy = "sysctl -w net.ipv6.conf.default.forwarding=1 net.ipv6.conf.all.forwarding=1, and the settings into "
               "/etc/sysctl.d/kubernetes.conf",
     .judge = forwardsIpv6,
     .applies = usesIpv6},
    {.name = "Port-2379",
     .fires = "the local etcd's port for clients is held on the API server's advertise address",
     .remedy = freePort,
     .judge = etcdPortFree<etcdClientPort>,
     .applies = hasLocalEtcd},
    {.name = "Port-2380",
     .fires = "the local etcd's port for peers is held on the API server's advertise address",
     .remedy = freePort,
     .judge = etcdPortFree<etcdPeerPort>,
     .applies = hasLocalEtcd},
    {.name = "DirAvailable-<dataDir>",
     .fires = "the local etcd's data folder (`DirAvailable--var-lib-etcd`) has something in it, even lost+found",
     .remedy = "empty it, or name another with etcd.local.dataDir",
     .judge = etcdFolder,
     .applies = hasLocalEtcd,
     .nameFor = etcdFolderName},
    {.name = "ExternalEtcdClientCertificates",
     .fires = "a file that etcd.external names (caFile, certFile, keyFile) is missing",
     .remedy = "copy it here, readable for root only, or correct the path",
     .judge = etcdClientCertificates,
     .applies = hasExternalEtcd},
    {.name = "CgroupDriver",
     .level = Level::warning,
     .fires = "the KubeletConfiguration's cgroupDriver is not the one that the container runtime says it uses",
     .remedy = "make the two agree",
     .judge = cgroupDriver,
     .ours = true},
    {.name = "AdvertiseAddress",
     .level = Level::either,
     .fires = "the API server's advertise address is not on this machine; with an external etcd, a warning only",
     .remedy = "give an address of this machine with --apiserver-advertise-address",
     .judge = advertiseAddress,
     .ours = true},
    {.name = "NetworkOverlap",
     .level = Level::either,
     .fires =
         "error: the pod and the service network overlap; warning: one of them contains an address of this machine",
     .remedy = "choose other networks with --pod-network-cidr and --service-cidr",
     .judge = networkOverlap,
     .ours = true},
};

bool isIgnored(const Setup& setup, std::string_view name) {
  return std::ranges::any_of(setup.request.ignorePreflightErrors, [&](const std::string& each) {
    const auto ignored = lower(trim(each));
    return ignored == "all" || ignored == lower(name);
  });
}

plan::Findings judge(const Check& check, const Setup& setup, const Facts& facts) {
  plan::Findings findings;
  if (check.applies && !check.applies(setup)) return findings;
  const auto name = check.fullName(setup);
  for (auto& seen : check.judge(setup, facts))
    findings.push_back({.check = name,
                        .severity = isIgnored(setup, name) ? plan::Severity::warning : seen.severity,
                        .evidence = std::move(seen.evidence),
                        .remedy = seen.remedy.empty() ? std::string(check.remedy) : std::move(seen.remedy)});
  return findings;
}

bool hasError(const plan::Findings& findings) {
  return std::ranges::any_of(findings, [](const auto& each) { return each.severity == plan::Severity::error; });
}

} // namespace

Observation error(std::string evidence, std::string remedy) {
  return {plan::Severity::error, std::move(evidence), std::move(remedy)};
}
Observation warning(std::string evidence, std::string remedy) {
  return {plan::Severity::warning, std::move(evidence), std::move(remedy)};
}

std::string flag(const std::vector<config::Arg>& args, std::string_view name) {
  const auto last =
      std::find_if(args.rbegin(), args.rend(), [&](const config::Arg& each) { return each.name == name; });
  return last == args.rend() ? "" : last->value;
}

bool isRecorded(const Facts& facts, const std::filesystem::path& path) {
  return std::ranges::any_of(facts.recorded, [&](const std::string& each) {
    return std::filesystem::path(each).lexically_normal() == path.lexically_normal();
  });
}

std::span<const Check> initChecks() { return rows; }

plan::Findings judgeInit(const Setup& setup, const Facts& facts) {
  plan::Findings findings = judge(rows[0], setup, facts);
  if (hasError(findings)) return findings;
  for (const auto& check : initChecks().subspan(1))
    for (auto& each : judge(check, setup, facts)) findings.push_back(std::move(each));
  return findings;
}

PreflightQuestions questionsForInit() { return questionsForInit(Setup{}); }

PreflightQuestions questionsForInit(const Setup& setup) {
  PreflightQuestions questions{
      .files = {apiServerManifest, controllerManagerManifest, schedulerManifest, etcdManifest},
      .folders = {setup.cluster.etcd.local.dataDir},
      .programs = {"losetup", "mount", "cp", "conntrack"},
      .sysctls = {ipv4Forwarding, ipv6Forwarding},
      .ports = {setup.node.bindPort, schedulerPort, controllerManagerPort, kubeletPort, etcdClientPort, etcdPeerPort}};
  // Which authorities the operator brings along: what comes of it is the configuration's business
  // (Node::externalAuthority).
  for (const auto& row : certs::catalogue())
    if (row.authority()) {
      questions.files.push_back(certificateFile(setup.cluster, row.name));
      questions.files.push_back(keyFile(setup.cluster, row.name));
    }
  for (const auto* file : {"sa.key", "sa.pub"}) questions.files.push_back(setup.cluster.pki.folder / file);
  if (const auto& etcd = setup.cluster.etcd.external)
    for (const auto& file : {etcd->caFile, etcd->certFile, etcd->keyFile})
      if (!file.empty()) questions.files.emplace_back(file);
  return questions;
}

} // namespace kubestrap::phases
