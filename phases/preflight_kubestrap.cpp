// The checks that kubeadm does not have, in the order in which they speak.
#include "phases/preflight_checks.hpp"

namespace kubestrap::phases {

namespace {

using Level = Check::Level;
constexpr auto ours = Check::From::kubestrap;

} // namespace

std::vector<Check> kubestrapChecks() {
  return {
    {.name = "CgroupDriver",
     .level = Level::warning,
     .fires = "the KubeletConfiguration's cgroupDriver is not the one that the container runtime says it uses",
     .remedy = "make the two agree",
     .judge = cgroupDriver,
     .fix = fixCgroupDriver,
     .from = ours},
    {.name = "SandboxImage",
     .level = Level::warning,
     .fires = "the container runtime says that it uses another sandbox (pause) image than this cluster",
     .remedy = "name this cluster's in the runtime's configuration",
     .judge = sandboxImage,
     .fix = fixSandboxImage,
     .from = ours},
    {.name = "RuntimeConfiguration",
     .level = Level::warning,
     .fires = "the container runtime was started before its configuration was last written: it does not do what stands there",
     .remedy = "systemctl restart containerd",
     .judge = runtimeConfiguration,
     .fix = fixRuntimeConfiguration,
     .from = ours},
    {.name = "Images",
     .fires = "an image is not in the runtime, and imagePullPolicy is Never",
     .remedy = "import the images into the runtime, or let them be pulled",
     .judge = imagesPresent,
     .applies = pullsNever,
     .from = ours},
    {.name = "Registry",
     .level = Level::warning,
     .fires = "an image is not in the runtime, and its registry does not answer this machine within 3 seconds",
     .remedy = "check DNS, routes and proxy; import the images, or name another registry with --image-repository",
     .judge = registryAnswers,
     .applies = pulls,
     .from = ours},
    {.name = "AdvertiseAddress",
     .on = onControlPlanes,
     .level = Level::either,
     .fires = "the API server's advertise address is not on this machine; with an external etcd, a warning only",
     .remedy = "give an address of this machine with --apiserver-advertise-address",
     .judge = advertiseAddress,
     .from = ours},
    {.name = "SharedAddress",
     .level = Level::either,
     .fires = "error: another node of the cluster has this node's address as well; warning: somebody else on the link "
              "answers for it, or it is of a kind that every machine behind its own NAT has (10.0.2.15 of VirtualBox and "
              "QEMU)",
     .remedy = "give the node an address that only it has",
     .judge = ownAddress,
     .from = ours},
    {.name = "MachineId",
     .level = Level::warning,
     .fires = "/etc/machine-id is missing or empty, or another node of the cluster has the same: a copied machine",
     .remedy = "rm /etc/machine-id && systemd-machine-id-setup, then reboot",
     .judge = ownIdentity,
     .from = ours},
    {.name = "NetworkOverlap",
     .level = Level::either,
     .fires = "error: the pod and the service network overlap; warning: one of them contains an address of this machine "
              "or of a name server, or overlaps a network that this machine has a route to",
     .remedy = "choose other networks with --pod-network-cidr and --service-cidr",
     .judge = networkOverlap,
     .from = ours},
    {.name = "HTTPProxyNodes",
     .on = onControlPlanes,
     .level = Level::warning,
     .fires = "connections to a neighbour of this node, to the control plane's endpoint, or to services by name would go "
              "over a proxy",
     .remedy = "add the nodes' network, the endpoint and .svc to NO_PROXY",
     .judge = proxyToNodes,
     .from = ours},
    {.name = "DiskSpace",
     .level = Level::either,
     .fires = "error: a file system is read-only, etcd's has less than 512 MiB, or the runtime's has no room for the "
              "images that are missing; warning: it has less than the kubelet evicts pods at, or than etcd may grow to",
     .remedy = "make room, or put the folder on a larger disk",
     .judge = diskSpace,
     .from = ours},
    {.name = "Clock",
     .level = Level::either,
     .fires = "error: the clock differs by more than 5 minutes from that of the cluster that is joined; warning: by more "
              "than a second, or nothing keeps it",
     .remedy = "let NTP keep the clock (systemctl enable --now systemd-timesyncd, or chrony)",
     .judge = clock,
     .from = ours},
    {.name = "Iptables",
     .level = Level::either,
     .fires = "error: iptables cannot do what kube-proxy needs, tried in a network namespace of its own; warning: it "
              "cannot do `--random-fully`, or rules of its older and its newer kind (legacy, nft) are in use together",
     .remedy = "use one kind only; upgrade iptables and the kernel",
     .judge = packetFilter,
     .from = ours},
    {.name = "BridgeFilter",
     .level = Level::warning,
     .fires = "packets over a bridge do not pass iptables (br_netfilter): with CNI plugins that use a bridge, pods of one "
              "node then do not reach each other through services",
     .remedy = "modprobe br_netfilter, and the name into /etc/modules-load.d; sysctl -w "
               "net.bridge.bridge-nf-call-iptables=1",
     .judge = bridgeFilter,
     .fix = fixBridgeFilter,
     .from = ours},
    {.name = "KernelDefaults",
     .fires = "protectKernelDefaults is true, and a setting of the kernel is not what the kubelet then insists on",
     .remedy = "set them with sysctl, and in /etc/sysctl.d",
     .judge = kernelDefaultsHold,
     .applies = protectsKernelDefaults,
     .fix = fixKernelDefaults,
     .from = ours},
    {.name = "KernelFeatures",
     .level = Level::warning,
     .fires = "an overlay mount or new namespaces were tried, apart from the machine's own, and did not work",
     .remedy = "use a kernel that has them; inside a container: let it have them",
     .judge = kernelFeatures,
     .from = ours},
    {.name = "SecurityModules",
     .level = Level::warning,
     .fires = "SELinux is enforcing and the runtime does not label containers; AppArmor is on without its parser",
     .remedy = "let the runtime support them (enable_selinux, container-selinux; the package apparmor)",
     .judge = securityModules,
     .from = ours},
  };
}

} // namespace kubestrap::phases
