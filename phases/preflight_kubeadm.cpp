// The checks that kubeadm has too. The table is read from top to bottom; names and levels are kubeadm's (kubeadm:
// preflight/checks.go), so that what operators have written into --ignore-preflight-errors goes on to hold.
#include "manifests/front.hpp"
#include "manifests/hosted.hpp"
#include "phases/certificates.hpp"
#include "phases/preflight_checks.hpp"
#include "support/text.hpp"
#include "support/version.hpp"

namespace kubestrap::phases {

namespace {

namespace paths = config::paths;
using Level = Check::Level;

bool hasLocalEtcd(const Setup& setup, Purpose) { return setup.cluster.etcd.isLocal(); }
bool hasExternalEtcd(const Setup& setup, Purpose) { return !setup.cluster.etcd.isLocal(); }
/// With a certificate key they come from the cluster.
bool needsEtcdCertificates(const Setup& setup, Purpose purpose) {
  return hasExternalEtcd(setup, purpose) && (purpose == Purpose::init || setup.request.certificateKey.empty());
}
/// kube-proxy looked for conntrack until 1.32 (kubernetes/kubernetes#126952).
bool needsConntrack(const Setup& setup, Purpose) { return setup.cluster.version < Version{.major = 1, .minor = 32}; }

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
  if (manifests::frontHasSlots(setup)) return frontPortFree(setup, facts);
  auto wanted = componentPort(setup.cluster.apiServer, setup.node.bindPort, "kube-apiserver", apiServerManifest);
  wanted.otherwise = "choose another port with --apiserver-bind-port";
  return portFree(facts, wanted);
}
/// In the slot of this layout, where it was put by its standby.
Observations slotFree(const Facts& facts, const manifests::Component& component) {
  const auto standby = manifests::standby(component, manifests::Slot::rescue);
  return portFree(facts, {.port = component.port,
                          .address = std::string(manifests::slotAddress(manifests::Slot::rescue)),
                          .process = component.name,
                          .startedBy = standby});
}
Observations schedulerPortFree(const Setup& setup, const Facts& facts) {
  if (manifests::isHosted(setup.cluster)) return slotFree(facts, manifests::component("kube-scheduler"));
  return portFree(facts, componentPort(setup.cluster.scheduler, schedulerPort, "kube-scheduler", schedulerManifest));
}
Observations controllerManagerPortFree(const Setup& setup, const Facts& facts) {
  if (manifests::isHosted(setup.cluster)) return slotFree(facts, manifests::component("kube-controller-manager"));
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

std::string authorityName(const Setup& setup) {
  return "FileAvailable-" + replaceAll(certificateFile(setup.cluster, "ca").string(), "/", "-");
}
Observations authorityFree(const Setup& setup, const Facts& facts) {
  return fileAvailable(facts, certificateFile(setup.cluster, "ca"));
}

constexpr auto freeNode = "take the machine out of its cluster first (kubestrap reset)";
constexpr auto freePort = "stop what holds the port";
constexpr auto freeFile =
    "this machine seems to be a control plane already: take that away first (kubestrap reset), or move "
    "the file away";

} // namespace

std::vector<Check> kubeadmChecks() {
  return {
    {.name = "IsPrivilegedUser",
     .on = onEveryNode,
     .fires = "the user is not root; nothing else is judged then",
     .remedy = "run it as root, or with sudo",
     .judge = isRoot},
    {.name = "NumCPU",
     .on = onControlPlanes, .fires = "fewer than 2 CPUs are usable", .remedy = "give the machine more CPUs", .judge = cpus},
    {.name = "Mem",
     .on = onControlPlanes,
     .fires = "the machine has less than 1700 MiB of memory",
     .remedy = "give the machine more memory",
     .judge = memory},
    {.name = "KubernetesVersion",
     .on = onControlPlanes,
     .level = Level::warning,
     .fires = "the version asked for is of a newer minor than kubestrap knows",
     .remedy = "use a newer kubestrap, or an older version with --kubernetes-version",
     .judge = kubernetesVersion},
    {.name = "Firewalld",
     .on = onControlPlanes,
     .level = Level::warning,
     .fires = "firewalld is active, or no init system is there to ask",
     .remedy = "open the API server's port and 10250 in firewalld",
     .judge = firewalld},
    {.name = "Port-<bindPort>",
     .on = onControlPlanes,
     .fires = "the API server's port is held on its `bind-address` (all addresses, if not given), or that address is "
              "not on this machine",
     .remedy = freePort,
     .judge = apiServerPort,
     .nameFor = apiServerPortName},
    {.name = "Port-10259",
     .on = onControlPlanes,
     .fires = "the scheduler's port is held on its `bind-address` (all addresses, if not given), or that address is "
              "not on this machine",
     .remedy = freePort,
     .judge = schedulerPortFree},
    {.name = "Port-10257",
     .on = onControlPlanes,
     .fires = "the controller-manager's port is held on its `bind-address` (all addresses, if not given), or that "
              "address is not on this machine",
     .remedy = freePort,
     .judge = controllerManagerPortFree},
    {.name = "FileAvailable--etc-kubernetes-manifests-kube-apiserver.yaml",
     .on = onControlPlanes,
     .fires = "the API server's manifest exists",
     .remedy = freeFile,
     .judge = isFree<apiServerManifest>},
    {.name = "FileAvailable--etc-kubernetes-manifests-kube-controller-manager.yaml",
     .on = onControlPlanes,
     .fires = "the controller-manager's manifest exists",
     .remedy = freeFile,
     .judge = isFree<controllerManagerManifest>},
    {.name = "FileAvailable--etc-kubernetes-manifests-kube-scheduler.yaml",
     .on = onControlPlanes,
     .fires = "the scheduler's manifest exists",
     .remedy = freeFile,
     .judge = isFree<schedulerManifest>},
    {.name = "FileAvailable--etc-kubernetes-manifests-etcd.yaml",
     .on = onControlPlanes,
     .fires = "etcd's manifest exists, also when an external etcd is used",
     .remedy = freeFile,
     .judge = isFree<etcdManifest>},
    {.name = "FileAvailable--etc-kubernetes-kubelet.conf",
     .on = onJoin,
     .fires = "the kubelet's kubeconfig exists: the machine is, or was, a node",
     .remedy = freeNode,
     .judge = isFree<paths::kubeletConf>},
    {.name = "FileAvailable--etc-kubernetes-bootstrap-kubelet.conf",
     .on = onJoin,
     .fires = "the kubeconfig exists with which a kubelet asks for its certificate",
     .remedy = freeNode,
     .judge = isFree<paths::bootstrapKubeletConf>},
    {.name = "FileAvailable-<caCertPath>",
     .on = onWorkers,
     .fires = "the cluster's authority (`FileAvailable--etc-kubernetes-pki-ca.crt`) is here already",
     .remedy = freeNode,
     .judge = authorityFree,
     .nameFor = authorityName},
    {.name = "HTTPProxy",
     .on = onEveryNode,
     .level = Level::warning,
     .fires = "HTTPS_PROXY and NO_PROXY send connections to the API server (of a worker: to the cluster's endpoint) over a proxy",
     .remedy = "add the address to NO_PROXY",
     .judge = proxyToApiServer},
    {.name = "HTTPProxyCIDR",
     .on = onControlPlanes,
     .level = Level::either,
     .fires = "warning: connections into a service or pod network would go over a proxy (its first address is tried); "
              "error: such a "
              "network has one address only",
     .remedy = "add the networks to NO_PROXY; give a larger network",
     .judge = proxyToNetworks},
    {.name = "CRI",
     .on = onEveryNode,
     .fires = "the container runtime does not answer CRI v1 at its socket, or says that it is not ready (that its "
              "network is not, does not matter)",
     .remedy = "start, install or upgrade the container runtime; name its socket with --cri-socket",
     .judge = runtimeAnswers},
    {.name = "ContainerRuntimeVersion",
     .on = onEveryNode,
     .level = Level::either,
     .fires = "warning: the runtime does not answer RuntimeConfig, by which the kubelet learns the cgroup driver; "
              "error: it does not answer at all",
     .remedy = "upgrade the runtime: containerd 2.0, CRI-O 1.28 or newer",
     .judge = runtimeVersion},
    {.name = "Swap",
     .on = onEveryNode,
     .level = Level::warning,
     .fires = "there is an entry in /proc/swaps",
     .remedy = "swapoff -a, and take the swap out of /etc/fstab; or configure the kubelet for it (failSwapOn: false, "
               "memorySwap)",
     .judge = swap,
     .fix = fixSwap},
    {.name = "FileExisting-conntrack",
     .on = onFirst,
     .fires = "the program is not in the PATH and Kubernetes is older than 1.32",
     .remedy = "install the package conntrack",
     .judge = conntrack,
     .applies = needsConntrack},
    {.name = "FileExisting-losetup",
     .on = onEveryNode,
     .fires = "the program is not in the PATH; the kubelet needs it for block volumes",
     .remedy = "install the package util-linux (Debian: mount)",
     .judge = losetup},
    {.name = "FileExisting-mount",
     .on = onEveryNode,
     .fires = "the program is not in the PATH; the kubelet needs it for volumes",
     .remedy = "install the package util-linux (Debian: mount)",
     .judge = mount},
    {.name = "FileExisting-cp",
     .on = onEveryNode,
     .fires = "the program is not in the PATH; kubeadm needs it for upgrades of etcd",
     .remedy = "install the package coreutils",
     .judge = cp},
    {.name = "SystemVerification",
     .on = onEveryNode,
     .level = Level::either,
     .fires = "error: not Linux; the kernel's configuration cannot be read or lacks an option; the kubelet's version "
              "is unknown; cgroup v1 "
              "with a kubelet of 1.35 or newer; a cgroup controller is missing. Warning: kernel not 5.4, 5.10, 5.15 or "
              "6.0 and newer; "
              "cgroup v1 with an older kubelet; an optional controller is missing",
     .remedy = "use a supported kernel with cgroup v2 (systemd.unified_cgroup_hierarchy=1)",
     .judge = systemVerification},
    {.name = "Hostname",
     .on = onEveryNode,
     .level = Level::warning,
     .fires = "the node's name has characters or a length that Kubernetes does not take, or (if it is the machine's "
              "own) does not resolve",
     .remedy = "give another name with --node-name, or add it to /etc/hosts",
     .judge = hostname},
    {.name = "KubeletVersion",
     .on = onEveryNode,
     .fires = "there is no kubelet; it is more than 3 minors older than kubestrap, or of a newer minor than the "
              "control plane",
     .remedy = "install the kubelet of the cluster's version",
     .judge = kubeletVersion},
    {.name = "Service-kubelet",
     .on = onEveryNode,
     .level = Level::warning,
     .fires = "no init system is there to ask, the kubelet's service does not exist, or is not enabled",
     .remedy = "install the kubelet with its service, and enable it",
     .judge = kubeletService},
    {.name = "Port-10250",
     .on = onEveryNode,
     .fires = "the kubelet's port is held on any address",
     .remedy = freePort,
     .judge = kubeletPortFree},
    {.name = "FileContent--proc-sys-net-ipv4-ip_forward",
     .on = onEveryNode,
     .fires = "IPv4 is used (by the advertise address, services or pods) and net.ipv4.ip_forward is not 1",
     .remedy = "sysctl -w net.ipv4.ip_forward=1, and the setting into /etc/sysctl.d/kubernetes.conf",
     .judge = forwardsIpv4,
     .applies = usesIpv4,
     .fix = fixIpv4Forwarding},
    {.name = "FileContent--proc-sys-net-ipv6-conf-default-forwarding",
     .on = onEveryNode,
     .fires = "IPv6 is used (by the advertise address, services or pods) and net.ipv6.conf.default.forwarding is not 1",
     .remedy = "sysctl -w net.ipv6.conf.default.forwarding=1 net.ipv6.conf.all.forwarding=1, and the settings into "
               "/etc/sysctl.d/kubernetes.conf",
     .judge = forwardsIpv6,
     .applies = usesIpv6,
     .fix = fixIpv6Forwarding},
    {.name = "Port-2379",
     .on = onControlPlanes,
     .fires = "the local etcd's port for clients is held on the API server's advertise address",
     .remedy = freePort,
     .judge = etcdPortFree<etcdClientPort>,
     .applies = hasLocalEtcd},
    {.name = "Port-2380",
     .on = onControlPlanes,
     .fires = "the local etcd's port for peers is held on the API server's advertise address",
     .remedy = freePort,
     .judge = etcdPortFree<etcdPeerPort>,
     .applies = hasLocalEtcd},
    {.name = "DirAvailable-<dataDir>",
     .on = onControlPlanes,
     .fires = "the local etcd's data folder (`DirAvailable--var-lib-etcd`) has something in it, even lost+found",
     .remedy = "empty it, or name another with etcd.local.dataDir",
     .judge = etcdFolder,
     .applies = hasLocalEtcd,
     .nameFor = etcdFolderName},
    {.name = "ExternalEtcdVersion",
     .on = onFirst,
     .fires = "an external etcd does not answer at etcd.external.httpEndpoints, or is older than 3.5.24",
     .remedy = "see that this machine reaches it; upgrade it",
     .judge = etcdVersion,
     .applies = hasExternalEtcd},
    {.name = "ExternalEtcdClientCertificates",
     .on = onControlPlanes,
     .fires = "a file that etcd.external names (caFile, certFile, keyFile) is missing",
     .remedy = "copy it here, readable for root only, or correct the path",
     .judge = etcdClientCertificates,
     .applies = needsEtcdCertificates},
  };
}

} // namespace kubestrap::phases
