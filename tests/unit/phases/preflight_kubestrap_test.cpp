// The checks that kubeadm does not have.
#include "tests/unit/phases/judging.hpp"

namespace kubestrap::phases {

namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t mebibyte = 1024 * 1024;

config::DiskFacts disk(std::uint64_t freeMebibytes, std::uint64_t mebibytes = 20000) {
  return {.mountPoint = "/", .bytes = mebibytes * mebibyte, .freeBytes = freeMebibytes * mebibyte, .inodes = 1000,
          .freeInodes = 900};
}

void pullNever(Setup& setup) { setup.node.pullPolicy = config::PullPolicy::never; }
void protectDefaults(Setup& setup) { setup.cluster.kubelet.document["protectKernelDefaults"] = true; }
void balanceItself(Setup& setup) {
  setup.cluster.kubestrap.endpointMode = config::EndpointMode::local;
  setup.cluster.controlPlaneEndpoint = config::Endpoint{"api.kubernetes.internal", 6443};
}
void usePause(Setup& setup) { setup.cluster.images.pause = "registry.k8s.io/pause:3.10.2"; }

const Case cases[] = {
    {"CgroupDriver",
     Severity::warning,
     [](Facts& f) { f.runtime.cgroupDriver = "cgroupfs"; },
     {"systemd", "cgroupfs", "containerd 2.1.4"},
     "/etc/containerd/config.toml"},
    {"SignedElsewhere",
     Severity::error,
     [](Facts& f) {
       for (const auto* file : {"ca.crt", "apiserver.crt", "apiserver.key", "front-proxy-ca.crt", "front-proxy-ca.key"}) f.files[std::string("/etc/kubernetes/pki/") + file] = true;
     },
     {"/etc/kubernetes/pki/apiserver-kubelet-client.crt, /etc/kubernetes/pki/apiserver-kubelet-client.key, /etc/kubernetes/admin.conf"},
     "certs import"},
    {"AdvertiseAddress",
     Severity::error,
     [](Facts& f) {
       f.addresses = {ip("127.0.0.1"), ip("192.168.5.12")};
       f.defaultAddress = ip("192.168.5.12");
     },
     {"192.168.5.11", "192.168.5.12"},
     "--apiserver-advertise-address"},
    {"AdvertiseAddress",
     Severity::warning,
     [](Facts& f) { f.addresses = {ip("192.168.5.12")}; },
     {"192.168.5.11", "192.168.5.12"},
     "reaches it",
     useExternalEtcd},
    {"Port-6445",
     Severity::error,
     [](Facts& f) { f.listening.push_back(nginx(6445, "127.0.0.1")); },
     {"6445", "haproxy", "nginx"},
     "nginx",
     balanceItself},
    {"NetworkOverlap",
     Severity::error,
     nullptr,
     {"10.100.0.0/16", "10.96.0.0/12", "overlap"},
     "--service-cidr",
     nullptr,
     [](Setup& s) { s.cluster.networks.pods = {cidr("10.100.0.0/16")}; }},
    {"NetworkOverlap",
     Severity::warning,
     [](Facts& f) { f.addresses.push_back(ip("10.244.3.1")); },
     {"10.244.0.0/16", "10.244.3.1"},
     "--pod-network-cidr"},
    {"NetworkOverlap",
     Severity::warning,
     [](Facts& f) { f.nameServers = {ip("10.96.0.10")}; },
     {"service", "10.96.0.0/12", "10.96.0.10", "name server"},
     "--service-cidr"},
    {"NetworkOverlap",
     Severity::warning,
     [](Facts& f) { f.routes = {{cidr("10.100.0.0/16"), "eth1"}}; },
     {"service", "10.96.0.0/12", "10.100.0.0/16", "eth1"},
     "--service-cidr"},
    {"ServiceRoute",
     Severity::warning,
     [](Facts& f) { f.defaultAddress.reset(); },
     {"no default route", "10.96.0.0/12"},
     "ip route add 10.96.0.0/12 dev INTERFACE"},
    {"SandboxImage",
     Severity::warning,
     [](Facts& f) { f.runtime.sandboxImage = "registry.k8s.io/pause:3.6"; },
     {"containerd 2.1.4", "registry.k8s.io/pause:3.6", "registry.k8s.io/pause:3.10.2"},
     "/etc/containerd/config.toml",
     usePause},
    {"RuntimeConfiguration",
     Severity::warning,
     [](Facts& f) { f.runtime.outdated = true; },
     {"containerd 2.1.4", "/etc/containerd/config.toml"},
     "systemctl restart containerd"},
    {"Images",
     Severity::error,
     [](Facts& f) { f.images = {{"registry.k8s.io/a:1", true}, {"registry.k8s.io/b:1", false}}; },
     {"Never", "registry.k8s.io/b:1"},
     "ctr -n k8s.io images import",
     pullNever},
    {"Registry",
     Severity::warning,
     [](Facts& f) {
       f.images = {{"registry.k8s.io/a:1", false}, {"other.example:5000/b:1", false}};
       f.registries = {{"registry.k8s.io", {.error = "cannot resolve registry.k8s.io", .took = 3s}},
                       {"other.example:5000", {.text = "answers"}}};
     },
     {"registry.k8s.io", "cannot resolve", "3s", "registry.k8s.io/a:1"},
     "--image-repository"},
    {"SharedAddress",
     Severity::warning,
     [](Facts& f) { f.duplicates = {{"192.168.5.11", "52:54:00:12:34:56"}}; },
     {"192.168.5.11", "52:54:00:12:34:56"},
     "only it has"},
    {"SharedAddress",
     Severity::warning,
     [](Facts& f) {
       f.addresses.push_back(ip("10.0.2.15"));
       f.gateway = ip("10.0.2.2");
     },
     {"10.0.2.15", "NAT"},
     "192.168.5.11",
     nullptr,
     [](Setup& s) { s.node.advertiseAddress = ip("10.0.2.15"); }},
    {"SharedAddress",
     Severity::error,
     [](Facts& f) { f.peers = {{.name = "n2", .addresses = {ip("192.168.5.11")}}}; },
     {"n2", "192.168.5.11"},
     "only it has",
     nullptr,
     nullptr,
     Purpose::joinControlPlane},
    {"MachineId", Severity::warning, [](Facts& f) { f.machineId.clear(); }, {"/etc/machine-id"}, "systemd-machine-id-setup"},
    {"MachineId",
     Severity::warning,
     [](Facts& f) { f.peers = {{.name = "n2", .machineId = f.machineId}}; },
     {"n2", "copy"},
     "systemd-machine-id-setup",
     nullptr,
     nullptr,
     Purpose::joinWorker},
    {"HTTPProxyNodes",
     Severity::warning,
     [](Facts& f) {
       useProxy(f, "192.168.5.11,10.96.0.0/12,10.244.0.0/16,.svc");
       f.routes = {{cidr("192.168.5.0/24"), "eth0"}, {cidr("192.168.9.0/24"), "eth1"}};
     },
     {"192.168.5.1:10250", "http://xxxxx@proxy:3128"},
     "192.168.5.0/24"},
    {"HTTPProxyNodes",
     Severity::warning,
     [](Facts& f) { useProxy(f, "192.168.5.0/24,10.96.0.0/12,10.244.0.0/16"); },
     {"services by name"},
     ".svc"},
    {"HTTPProxyNodes",
     Severity::warning,
     [](Facts& f) { useProxy(f, "192.168.5.0/24,10.96.0.0/12,10.244.0.0/16,.svc"); },
     {"api.example.org:6443"},
     "add api.example.org to NO_PROXY",
     [](Setup& s) { s.cluster.controlPlaneEndpoint = config::Endpoint{.host = "api.example.org"}; }},
    {"DiskSpace",
     Severity::error,
     [](Facts& f) { f.disks["/var/lib/etcd"] = disk(400); },
     {"/var/lib/etcd", "400 MiB", "512 MiB"},
     "larger disk"},
    {"DiskSpace",
     Severity::warning,
     [](Facts& f) { f.disks["/var/lib/etcd"] = disk(1500); },
     {"/var/lib/etcd", "1500 MiB", "2048 MiB"},
     "larger disk"},
    {"DiskSpace",
     Severity::error,
     [](Facts& f) {
       f.disks["/srv/containerd"] = disk(1000, 2000);
       f.runtime.rootFolder = "/srv/containerd";
       f.images = {{"registry.k8s.io/a:1", false}};
     },
     {"/srv/containerd", "1000 MiB", "1200 MiB"},
     "make room"},
    {"DiskSpace",
     Severity::error,
     [](Facts& f) { f.disks["/var/lib/containerd"] = disk(50); },
     {"/var/lib/containerd", "50 MiB", "100 MiB"},
     "make room"},
    {"DiskSpace",
     Severity::error,
     [](Facts& f) {
       f.disks["/var/lib/kubelet"] = disk(10000);
       f.disks["/var/lib/kubelet"].readOnly = true;
     },
     {"/var/lib/kubelet", "read-only"},
     "make room"},
    {"DiskSpace",
     Severity::warning,
     [](Facts& f) { f.disks["/var/lib/kubelet"] = disk(1900); },
     {"/var/lib/kubelet", "1900 MiB", "10%", "nodefs.available"},
     "make room"},
    {"PeersReachable",
     Severity::error,
     [](Facts& f) { f.reach = {{.peer = "n1", .address = "192.168.5.10", .closed = {{2380, "no answer in 3s"}}, .unheard = {}, .unasked = {}}}; },
     {"port 2380 of n1 (192.168.5.10)", "no answer in 3s"},
     "in both directions",
     nullptr,
     nullptr,
     Purpose::joinControlPlane},
    {"PeersReachable",
     Severity::warning,
     [](Facts& f) { f.reach = {{.peer = "n1", .address = "192.168.5.10", .closed = {}, .unheard = {}, .unasked = "its pod did not begin"}}; },
     {"n1 (192.168.5.10)", "its pod did not begin"},
     "2380",
     nullptr,
     nullptr,
     Purpose::joinControlPlane},
    {"Clock", Severity::warning, [](Facts& f) { f.clock.synchronised = false; }, {"not synchronised"}, "NTP"},
    {"Clock",
     Severity::warning,
     [](Facts& f) { f.clock = {.synchronised = true, .ahead = 3s, .uncertainty = 600ms, .comparedWith = "the API server"}; },
     {"3s ahead", "the API server"},
     "NTP"},
    {"Clock",
     Severity::error,
     [](Facts& f) { f.clock = {.synchronised = true, .ahead = -6min, .uncertainty = 600ms, .comparedWith = "the API server"}; },
     {"6m", "behind", "certificates"},
     "NTP"},
    {"Iptables",
     Severity::warning,
     [](Facts& f) {
       f.packetFilter = {.version = "v1.8.9", .backend = "nf_tables", .legacyTables = {"nat"}, .legacyRules = 7};
     },
     {"v1.8.9", "7 rules", "nat"},
     "iptables-legacy"},
    {"Iptables",
     Severity::warning,
     [](Facts& f) {
       f.packetFilter = {.version = "v1.6.0", .backend = "legacy",
                         .tried = {{"DNAT", true}, {"MASQUERADE --random-fully", false}}};
     },
     {"v1.6.0", "--random-fully"},
     "1.6.2"},
    {"Iptables",
     Severity::error,
     [](Facts& f) {
       f.packetFilter = {.version = "v1.8.9", .backend = "nf_tables",
                         .tried = {{"-m conntrack", false}, {"MASQUERADE --random-fully", false}, {"DNAT", true}}};
     },
     {"-m conntrack", "kube-proxy"},
     "kernel"},
    {"BridgeFilter",
     Severity::warning,
     [](Facts& f) {
       f.sysctls.erase("net.bridge.bridge-nf-call-iptables");
       f.sysctls.erase("net.bridge.bridge-nf-call-ip6tables");
     },
     {"br_netfilter"},
     "modprobe br_netfilter"},
    {"BridgeFilter",
     Severity::warning,
     [](Facts& f) { f.sysctls["net.bridge.bridge-nf-call-iptables"] = "0"; },
     {"net.bridge.bridge-nf-call-iptables is 0"},
     "sysctl -w"},
    {"KernelDefaults",
     Severity::error,
     [](Facts& f) { f.sysctls["vm.overcommit_memory"] = "0"; },
     {"vm.overcommit_memory is 0, not 1"},
     "sysctl",
     protectDefaults},
    {"KernelFeatures",
     Severity::warning,
     [](Facts& f) { f.tried = {{"an overlay mount", false}, {"namespaces", true}}; },
     {"6.1.0-28-amd64", "an overlay mount"},
     "kernel"},
    {"SecurityModules",
     Severity::warning,
     [](Facts& f) {
       f.security.selinux = "enforcing";
       f.runtime.selinux = false;
     },
     {"SELinux"},
     "container-selinux"},
    {"SecurityModules",
     Severity::warning,
     [](Facts& f) { f.security.appArmor = true; },
     {"apparmor_parser"},
     "package apparmor"},
};

} // namespace

std::span<const Case> kubestrapCases() { return cases; }

TEST_CASE("a clock is not held against the machine beyond what the measurement can tell") {
  auto facts = fitMachine();
  facts.clock = {.synchronised = true, .ahead = 1600ms, .uncertainty = 700ms, .comparedWith = "n1"};
  CHECK(judged("Clock", plainSetup(), facts, Purpose::joinWorker).empty());
  facts.clock.uncertainty = 500ms;
  CHECK(judged("Clock", plainSetup(), facts, Purpose::joinWorker).size() == 1);
}

TEST_CASE("a clock of which nothing is known is not objected to") {
  auto facts = fitMachine();
  facts.clock = {};
  CHECK(judged("Clock", plainSetup(), facts).empty());
}

TEST_CASE("the kubelet's own thresholds count where it was given some") {
  auto setup = plainSetup();
  auto facts = fitMachine();
  facts.disks = {{"/var/lib/kubelet", disk(1900)}, {"/var/lib/containerd", disk(2900)}};
  const auto findings = judged("DiskSpace", setup, facts);
  REQUIRE(findings.size() == 2);
  CHECK(mentions(findings[0].evidence, "nodefs.available"));
  CHECK(mentions(findings[1].evidence, "15% (imagefs.available)"));
  setup.cluster.kubelet.document["evictionHard"] = {{"nodefs.available", "200Mi"}, {"imagefs.available", "3Gi"}};
  CHECK(mentions(theFinding("DiskSpace", setup, facts).evidence, "3Gi (imagefs.available)"));
  setup.cluster.kubelet.document["evictionHard"] = {{"memory.available", "50Mi"}};
  CHECK(judged("DiskSpace", setup, facts).empty());
}

TEST_CASE("a disk without inodes left is told by them") {
  auto facts = fitMachine();
  facts.disks["/var/lib/kubelet"] = disk(15000);
  facts.disks["/var/lib/kubelet"].freeInodes = 10;
  CHECK(mentions(theFinding("DiskSpace", plainSetup(), facts).evidence, "10 inodes free of 1000 inodes"));
  facts.disks["/var/lib/kubelet"].inodes = facts.disks["/var/lib/kubelet"].freeInodes = 0; // btrfs counts none
  CHECK(judged("DiskSpace", plainSetup(), facts).empty());
}

TEST_CASE("a worker has no etcd that needs room") {
  auto setup = plainSetup();
  setup.node.controlPlane = false;
  auto facts = fitMachine();
  facts.disks["/var/lib/etcd"] = disk(1);
  CHECK(judged("DiskSpace", setup, facts, Purpose::joinWorker).empty());
}

TEST_CASE("10.0.2.15 is shared only behind a NAT of the machine's own") {
  auto setup = plainSetup();
  setup.node.advertiseAddress = ip("10.0.2.15");
  auto facts = fitMachine();
  facts.addresses = {ip("10.0.2.15")};
  facts.gateway = ip("10.0.2.1");
  CHECK(judged("SharedAddress", setup, facts).empty());
  facts.gateway = ip("10.0.2.2");
  CHECK(mentions(theFinding("SharedAddress", setup, facts).remedy, "second network"));
}

TEST_CASE("a node is not taken for its own double when it joins again") {
  auto facts = fitMachine();
  facts.peers = {{.name = "n1", .machineId = facts.machineId, .addresses = {ip("192.168.5.11")}}};
  CHECK(judge(Purpose::joinWorker, plainSetup(), facts).empty());
}

TEST_CASE("networks that a node's own CNI made are no overlap, others beside its addresses are") {
  auto facts = fitMachine();
  facts.routes = {{cidr("10.244.0.0/24"), "cni0"}};
  CHECK(judged("NetworkOverlap", plainSetup(), facts).size() == 1);
  facts.recorded = {"/var/lib/kubelet/config.yaml"};
  CHECK(judged("NetworkOverlap", plainSetup(), facts).empty());

  auto setup = plainSetup();
  setup.cluster.networks.pods = {cidr("192.168.5.128/25")}; // the node is 192.168.5.11
  facts = fitMachine();
  facts.routes = {{cidr("192.168.5.0/24"), "eth0"}};
  CHECK(mentions(theFinding("NetworkOverlap", setup, facts).evidence, "192.168.5.0/24"));
}

TEST_CASE("a machine without a default route needs one to services, which is no overlap") {
  auto facts = fitMachine();
  facts.defaultAddress.reset();
  facts.routes = {{cidr("192.168.5.0/24"), "eth0"}, {cidr("10.96.0.0/12"), "eth0"}};
  CHECK(judged("ServiceRoute", plainSetup(), facts).empty());
  CHECK(judged("NetworkOverlap", plainSetup(), facts).empty());
  facts.routes = {{cidr("10.0.0.0/8"), "eth0"}};
  CHECK(judged("ServiceRoute", plainSetup(), facts).empty());
  facts.routes = {{cidr("10.96.0.0/16"), "eth0"}};
  CHECK(judged("ServiceRoute", plainSetup(), facts).size() == 1);
}

TEST_CASE("an image's registry is the host it begins with") {
  CHECK(registryOf("registry.k8s.io/coredns/coredns:v1") == "registry.k8s.io");
  CHECK(registryOf("localhost:5000/a") == "localhost:5000");
  CHECK(registryOf("localhost/a") == "localhost");
  CHECK(registryOf("library/nginx") == "docker.io");
  CHECK(registryOf("nginx:1") == "docker.io");
}

TEST_CASE("with --offline the images of add-ons have to be there, and those that are not are named with who wants them") {
  auto setup = plainSetup();
  setup.cluster.kubestrap.addons = {{.name = "metrics-server", .source = {}, .values = config::AddonValues{.imageRegistry = "reg"}}};
  const Value pod{{"spec", {{"containers", Value::array({Value{{"name", "a"}, {"image", "registry.k8s.io/ms:v1"}}})}}}};
  setup.request.addons["metrics-server"].manifest = {
      Value{{"apiVersion", "apps/v1"}, {"kind", "Deployment"}, {"metadata", {{"name", "a"}, {"namespace", "b"}}}, {"spec", {{"template", pod}}}}};
  const auto asks = [&](Purpose purpose) { return std::ranges::count(questionsFor(purpose, setup).images, "reg/ms:v1"); };
  CHECK(asks(Purpose::init) == 0); // nodes pull them, when they run them
  setup.request.offline = true;
  setup.node.pullPolicy = config::PullPolicy::never;
  CHECK(asks(Purpose::init) == 1);
  CHECK(asks(Purpose::joinWorker) == 0);
  auto facts = fitMachine();
  facts.images = {{"registry.k8s.io/a:1", false}, {"reg/ms:v1", false}};
  CHECK(theFinding("Images", setup, facts).evidence == "the runtime has to pull reg/ms:v1 (of metrics-server), registry.k8s.io/a:1, and --offline forbids it");
  setup.request.addons.clear(); // left out by --skip-phases
  CHECK(asks(Purpose::init) == 0);
}

TEST_CASE("legacy tables without a rule are no mixture") {
  auto facts = fitMachine();
  facts.packetFilter = {.version = "v1.8.9", .backend = "nf_tables", .legacyTables = {"nat"}, .legacyRules = 0};
  CHECK(judged("Iptables", plainSetup(), facts).empty());
  facts.packetFilter.legacyRules.reset();
  CHECK(mentions(theFinding("Iptables", plainSetup(), facts).evidence, "nobody here can list"));
}

} // namespace kubestrap::phases
