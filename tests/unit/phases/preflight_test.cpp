#include "support/text.hpp"
#include "support/version.hpp"
#include "tests/unit/phases/judging.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>

namespace kubestrap::phases {

namespace {

config::PortOwner nginx(int port, std::string address = "0.0.0.0") {
  return {.port = port, .address = std::move(address), .pid = 812, .process = "nginx", .unit = "nginx.service"};
}

void useIpv6Only(Setup& setup) {
  setup.cluster.networks.services = {cidr("fd00:96::/112")};
  setup.cluster.networks.pods = {cidr("fd00:244::/56")};
  setup.node.advertiseAddress = ip("fd00:5::11");
}

void useCgroupsV1(Facts& facts) {
  facts.cgroup = {
      .unified = false,
      .controllers = {"cpu", "cpuacct", "cpuset", "devices", "freezer", "memory", "pids", "hugetlb", "blkio"}};
}

constexpr auto manifests = "/etc/kubernetes/manifests/";

const Case kubeadmCases[] = {
    {"IsPrivilegedUser", Severity::error, [](Facts& f) { f.uid = 1000; }, {"1000"}, "sudo"},
    {"NumCPU", Severity::error, [](Facts& f) { f.cpus = 1; }, {"1 CPU", "2"}, "more CPUs"},
    {"Mem", Severity::error, [](Facts& f) { --f.memoryBytes; }, {"1699 MiB", "1700"}, "more memory"},
    {"KubernetesVersion",
     Severity::warning,
     nullptr,
     {"v1.38.0-alpha.1", "1.37"},
     "newer kubestrap",
     nullptr,
     [](Setup& s) { s.cluster.version = parseVersion("v1.38.0-alpha.1"); }},
    {"Firewalld",
     Severity::warning,
     [](Facts& f) { f.firewalld = {.exists = true, .enabled = true, .active = true}; },
     {"6443", "10250"},
     "--add-port=6443/tcp --add-port=10250/tcp"},
    {"Firewalld", Severity::warning, [](Facts& f) { f.initSystem.clear(); }, {"systemd", "OpenRC"}, "10250"},
    {"Port-6443",
     Severity::error,
     [](Facts& f) { f.listening.push_back(nginx(6443)); },
     {"6443", "kube-apiserver", "nginx", "pid 812", "nginx.service", "0.0.0.0"},
     "systemctl disable --now nginx.service"},
    {"Port-10259",
     Severity::error,
     [](Facts& f) { f.listening.push_back(nginx(10259)); },
     {"10259", "kube-scheduler", "nginx"},
     "nginx"},
    {"Port-10257",
     Severity::error,
     [](Facts& f) { f.listening.push_back(nginx(10257)); },
     {"10257", "kube-controller-manager"},
     "nginx"},
    {"Port-10250",
     Severity::error,
     [](Facts& f) { f.listening.push_back(nginx(10250, "127.0.0.1")); },
     {"10250", "kubelet", "127.0.0.1"},
     "nginx"},
    {"Port-2379",
     Severity::error,
     [](Facts& f) { f.listening.push_back(nginx(2379)); },
     {"2379", "etcd", "nginx"},
     "nginx"},
    {"Port-2380",
     Severity::error,
     [](Facts& f) { f.listening.push_back(nginx(2380)); },
     {"2380", "etcd", "nginx"},
     "nginx"},
    {"FileAvailable--etc-kubernetes-manifests-kube-apiserver.yaml",
     Severity::error,
     [](Facts& f) { f.files["/etc/kubernetes/manifests/kube-apiserver.yaml"] = true; },
     {"/etc/kubernetes/manifests/kube-apiserver.yaml"},
     "kubeadm reset"},
    {"FileAvailable--etc-kubernetes-manifests-kube-controller-manager.yaml",
     Severity::error,
     [](Facts& f) { f.files["/etc/kubernetes/manifests/kube-controller-manager.yaml"] = true; },
     {"/etc/kubernetes/manifests/kube-controller-manager.yaml"},
     "kubeadm reset"},
    {"FileAvailable--etc-kubernetes-manifests-kube-scheduler.yaml",
     Severity::error,
     [](Facts& f) { f.files["/etc/kubernetes/manifests/kube-scheduler.yaml"] = true; },
     {"/etc/kubernetes/manifests/kube-scheduler.yaml"},
     "kubeadm reset"},
    {"FileAvailable--etc-kubernetes-manifests-etcd.yaml",
     Severity::error,
     [](Facts& f) { f.files["/etc/kubernetes/manifests/etcd.yaml"] = true; },
     {"/etc/kubernetes/manifests/etcd.yaml"},
     "kubeadm reset"},
    {"DirAvailable--var-lib-etcd",
     Severity::error,
     [](Facts& f) { f.nonEmptyFolders["/var/lib/etcd"] = true; },
     {"/var/lib/etcd"},
     "lost+found"},
    {"HTTPProxy",
     Severity::warning,
     [](Facts& f) { useProxy(f, "10.0.0.0/8"); },
     {"192.168.5.11:6443", "http://xxxxx@proxy:3128"},
     "192.168.5.11"},
    {"HTTPProxyCIDR",
     Severity::warning,
     [](Facts& f) { useProxy(f, "192.168.0.0/16,10.96.0.0/12"); },
     {"pod", "10.244.0.0/16"},
     "10.244.0.0/16"},
    {"HTTPProxyCIDR",
     Severity::warning,
     [](Facts& f) { useProxy(f, "192.168.0.0/16,10.244.0.0/16"); },
     {"service", "10.96.0.0/12"},
     "10.96.0.0/12"},
    {"CRI",
     Severity::error,
     [](Facts& f) { f.runtime = {.reachable = false, .error = "connect: No such file or directory"}; },
     {"containerd", "unix:///var/run/containerd/containerd.sock", "No such file"},
     "systemctl enable --now containerd"},
    {"CRI",
     Severity::error,
     [](Facts& f) {
       f.runtime.ready = false;
       f.runtime.notReadyReason = "snapshotter is missing";
     },
     {"containerd 2.1.4", "not ready", "snapshotter is missing"},
     "systemctl restart containerd"},
    {"ContainerRuntimeVersion",
     Severity::error,
     [](Facts& f) { f.runtime = {.reachable = false, .error = "refused"}; },
     {"containerd.sock"},
     "CRI"},
    {"ContainerRuntimeVersion",
     Severity::warning,
     [](Facts& f) {
       f.runtime.answersRuntimeConfig = false;
       f.runtime.version = "1.7.24";
     },
     {"containerd 1.7.24", "RuntimeConfig"},
     "containerd 2.0"},
    {"Swap",
     Severity::warning,
     [](Facts& f) {
       f.swaps = {"/dev/sda2", "/swapfile"};
     },
     {"/dev/sda2, /swapfile", "does not start"},
     "swapoff -a"},
    {"FileExisting-conntrack",
     Severity::error,
     [](Facts& f) { f.programs["conntrack"] = false; },
     {"conntrack", "PATH"},
     "install",
     [](Setup& s) { s.cluster.version = parseVersion("v1.31.14"); }},
    {"FileExisting-losetup",
     Severity::error,
     [](Facts& f) { f.programs["losetup"] = false; },
     {"losetup", "PATH"},
     "util-linux"},
    {"FileExisting-mount",
     Severity::error,
     [](Facts& f) { f.programs["mount"] = false; },
     {"mount", "PATH"},
     "util-linux"},
    {"FileExisting-cp", Severity::error, [](Facts& f) { f.programs.erase("cp"); }, {"cp", "PATH"}, "coreutils"},
    {"SystemVerification", Severity::error, [](Facts& f) { f.operatingSystem = "FreeBSD"; }, {"FreeBSD"}, "Linux"},
    {"SystemVerification",
     Severity::warning,
     [](Facts& f) { f.kernelRelease = "5.14.0-503.el9"; },
     {"5.14.0-503.el9"},
     "5.15"},
    {"SystemVerification",
     Severity::error,
     [](Facts& f) { f.kernelConfig.clear(); },
     {"/proc/config.gz", "/boot/config-6.1.0-28-amd64"},
     "modprobe configs"},
    {"SystemVerification",
     Severity::error,
     [](Facts& f) { f.kernelConfig.erase("CONFIG_MEMCG"); },
     {"CONFIG_MEMCG", "CONFIG_AUFS_FS"},
     "kernel"},
    {"SystemVerification",
     Severity::error,
     [](Facts& f) { std::erase(f.cgroup.controllers, "memory"); },
     {"cgroup v2", "memory"},
     "cgroup_enable=memory"},
    {"SystemVerification",
     Severity::warning,
     [](Facts& f) { std::erase(f.cgroup.controllers, "hugetlb"); },
     {"hugetlb"},
     "huge pages"},
    {"SystemVerification",
     Severity::error,
     useCgroupsV1,
     {"cgroup v1", "v1.37.2", "does not"},
     "systemd.unified_cgroup_hierarchy=1"},
    {"SystemVerification",
     Severity::error,
     [](Facts& f) {
       f.kubeletVersion.clear();
       f.kubeletVersionError = "not found";
     },
     {"kubelet", "not found"},
     "KubeletVersion"},
    {"Hostname", Severity::warning, [](Facts& f) { f.hostnameResolves = false; }, {"n1", "resolve"}, "192.168.5.11 n1"},
    {"KubeletVersion",
     Severity::error,
     [](Facts& f) {
       f.kubeletVersion.clear();
       f.kubeletVersionError = "kubelet: not found";
     },
     {"kubelet: not found"},
     "v1.37.2"},
    {"KubeletVersion",
     Severity::error,
     [](Facts& f) { f.kubeletVersion = "v1.33.9"; },
     {"v1.33.9", "v1.34"},
     "v1.37.2"},
    {"KubeletVersion",
     Severity::error,
     [](Facts& f) { f.kubeletVersion = "v1.38.0"; },
     {"v1.38.0", "v1.37.2"},
     "--kubernetes-version"},
    {"Service-kubelet",
     Severity::warning,
     [](Facts& f) { f.kubelet.enabled = false; },
     {"not enabled"},
     "systemctl enable kubelet.service"},
    {"Service-kubelet", Severity::warning, [](Facts& f) { f.kubelet = {}; }, {"no service kubelet"}, "install"},
    {"Service-kubelet", Severity::warning, [](Facts& f) { f.initSystem.clear(); }, {"systemd", "OpenRC"}, "install"},
    {"FileContent--proc-sys-net-ipv4-ip_forward",
     Severity::error,
     [](Facts& f) { f.sysctls["net.ipv4.ip_forward"] = "0"; },
     {"/proc/sys/net/ipv4/ip_forward", "0"},
     "sysctl -w net.ipv4.ip_forward=1"},
    {"FileContent--proc-sys-net-ipv6-conf-default-forwarding",
     Severity::error,
     [](Facts& f) { f.sysctls.erase("net.ipv6.conf.default.forwarding"); },
     {"/proc/sys/net/ipv6/conf/default/forwarding"},
     "ipv6.disable",
     useIpv6Only},
    {"ExternalEtcdClientCertificates",
     Severity::error,
     [](Facts& f) { f.files.erase("/etc/etcd/client.key"); },
     {"/etc/etcd/client.key", "etcd.external.keyFile"},
     "correct the path",
     useExternalEtcd},
    {"ExternalEtcdVersion",
     Severity::error,
     [](Facts& f) { f.etcd["https://10.9.0.1:2379"] = {.text = "3.5.21"}; },
     {"https://10.9.0.1:2379", "3.5.21", "3.5.24"},
     "upgrade",
     useExternalEtcd},
    {"ExternalEtcdVersion",
     Severity::error,
     [](Facts& f) { f.etcd["https://10.9.0.1:2379"] = {.error = "connection refused"}; },
     {"https://10.9.0.1:2379/version", "connection refused"},
     "reaches it",
     useExternalEtcd},
    {"FileAvailable--etc-kubernetes-kubelet.conf",
     Severity::error,
     [](Facts& f) { f.files["/etc/kubernetes/kubelet.conf"] = true; },
     {"/etc/kubernetes/kubelet.conf"},
     "kubeadm reset",
     nullptr,
     nullptr,
     Purpose::joinControlPlane},
    {"FileAvailable--etc-kubernetes-bootstrap-kubelet.conf",
     Severity::error,
     [](Facts& f) { f.files["/etc/kubernetes/bootstrap-kubelet.conf"] = true; },
     {"/etc/kubernetes/bootstrap-kubelet.conf"},
     "kubeadm reset",
     nullptr,
     nullptr,
     Purpose::joinWorker},
    {"FileAvailable--etc-kubernetes-pki-ca.crt",
     Severity::error,
     [](Facts& f) { f.files["/etc/kubernetes/pki/ca.crt"] = true; },
     {"/etc/kubernetes/pki/ca.crt"},
     "kubeadm reset",
     nullptr,
     nullptr,
     Purpose::joinWorker},
};

std::vector<Case> allCases() {
  std::vector<Case> all(std::begin(kubeadmCases), std::end(kubeadmCases));
  all.insert(all.end(), kubestrapCases().begin(), kubestrapCases().end());
  return all;
}

} // namespace

TEST_CASE("nothing is said about a machine on which nothing is wrong") {
  for (const auto purpose : {Purpose::init, Purpose::joinControlPlane, Purpose::joinWorker})
    CHECK(judge(purpose, plainSetup(), fitMachine()).empty());
}

TEST_CASE("each check is silent on a fit machine and names evidence and remedy on an unfit one") {
  for (const auto& each : allCases()) {
    CAPTURE(each.check);
    auto setup = plainSetup();
    if (each.prepare) each.prepare(setup);
    auto facts = fitMachine();
    CHECK(judged(each.check, setup, facts, each.purpose).empty());
    if (each.spoil) each.spoil(facts);
    if (each.ask) each.ask(setup);

    const auto finding = theFinding(each.check, setup, facts, each.purpose);
    CAPTURE(finding.evidence);
    CAPTURE(finding.remedy);
    CHECK(finding.severity == each.severity);
    for (const auto part : each.evidence) CHECK_MESSAGE(mentions(finding.evidence, part), part);
    CHECK(mentions(finding.remedy, each.remedy));
    CHECK_FALSE(mentions(finding.evidence, "s3cret"));
  }
}

TEST_CASE("every row of the table has a case in which it fires, at a level that the row admits") {
  const auto setup = plainSetup();
  for (const auto& row : checks()) {
    const auto name = row.fullName(setup);
    CAPTURE(name);
    bool fires = false, warns = false, refuses = false;
    for (const auto& each : allCases()) {
      if (each.check != name) continue;
      fires = true;
      (each.severity == Severity::error ? refuses : warns) = true;
    }
    CHECK(fires);
    if (row.level == Check::Level::error) CHECK_FALSE(warns);
    if (row.level == Check::Level::warning) CHECK_FALSE(refuses);
    CHECK_FALSE(row.fires.empty());
    CHECK_FALSE(row.remedy.empty());
  }
}

TEST_CASE("every check that kubeadm makes at init has a row of its name") {
  // kubeadm 1.37.2: preflight/checks.go, RunRootCheckOnly and InitNodeChecks. One more, ImagePull, is a task of the phase.
  const std::string_view names[] = {"IsPrivilegedUser",
                                    "NumCPU",
                                    "Mem",
                                    "KubernetesVersion",
                                    "Firewalld",
                                    "Port-6443",
                                    "Port-10259",
                                    "Port-10257",
                                    "FileAvailable--etc-kubernetes-manifests-kube-apiserver.yaml",
                                    "FileAvailable--etc-kubernetes-manifests-kube-controller-manager.yaml",
                                    "FileAvailable--etc-kubernetes-manifests-kube-scheduler.yaml",
                                    "FileAvailable--etc-kubernetes-manifests-etcd.yaml",
                                    "HTTPProxy",
                                    "HTTPProxyCIDR",
                                    "CRI",
                                    "ContainerRuntimeVersion",
                                    "Swap",
                                    "FileExisting-conntrack",
                                    "FileExisting-losetup",
                                    "FileExisting-mount",
                                    "FileExisting-cp",
                                    "SystemVerification",
                                    "Hostname",
                                    "KubeletVersion",
                                    "Service-kubelet",
                                    "Port-10250",
                                    "FileContent--proc-sys-net-ipv4-ip_forward",
                                    "FileContent--proc-sys-net-ipv6-conf-default-forwarding",
                                    "Port-2379",
                                    "Port-2380",
                                    "DirAvailable--var-lib-etcd",
                                    "ExternalEtcdVersion",
                                    "ExternalEtcdClientCertificates"};
  std::vector<std::string> kubeadms, rows;
  for (const auto name : names) kubeadms.emplace_back(name);
  for (const auto& row : checks())
    if (row.from == Check::From::kubeadm && row.on.init) rows.push_back(row.fullName(plainSetup()));
  CHECK(rows == kubeadms);
}

TEST_CASE("names follow the configuration as kubeadm forms them") {
  auto setup = plainSetup();
  setup.node.bindPort = 8443;
  setup.cluster.etcd.local.dataDir = "/data/etcd";
  auto facts = fitMachine();
  facts.listening.push_back(nginx(8443));
  facts.nonEmptyFolders["/data/etcd"] = true;
  CHECK(judged("Port-8443", setup, facts).size() == 1);
  CHECK(judged("DirAvailable--data-etcd", setup, facts).size() == 1);
}

TEST_CASE("without root nothing else is judged") {
  auto facts = fitMachine();
  facts.uid = 1000;
  facts.cpus = 1;
  const auto findings = judgeInit(plainSetup(), facts);
  REQUIRE(findings.size() == 1);
  CHECK(findings.front().check == "IsPrivilegedUser");
}

TEST_CASE("a missing root that is ignored is a warning, and the rest is judged") {
  auto setup = plainSetup();
  setup.request.ignorePreflightErrors = {"isprivilegeduser"};
  auto facts = fitMachine();
  facts.uid = 1000;
  facts.cpus = 1;
  CHECK(theFinding("IsPrivilegedUser", setup, facts).severity == Severity::warning);
  CHECK(theFinding("NumCPU", setup, facts).severity == Severity::error);
}

TEST_CASE("an ignored check gives a warning with the same evidence, whatever the case of its name") {
  auto setup = plainSetup();
  auto facts = fitMachine();
  facts.cpus = 1;
  facts.nonEmptyFolders["/var/lib/etcd"] = true;
  facts.memoryBytes = 0;
  const auto before = theFinding("NumCPU", setup, facts);
  setup.request.ignorePreflightErrors = {"numcpu", "DIRAVAILABLE--var-lib-etcd"};
  CHECK(theFinding("NumCPU", setup, facts).severity == Severity::warning);
  CHECK(theFinding("NumCPU", setup, facts).evidence == before.evidence);
  CHECK(theFinding("DirAvailable--var-lib-etcd", setup, facts).severity == Severity::warning);
  CHECK(theFinding("Mem", setup, facts).severity == Severity::error);
}

TEST_CASE("\"all\" turns every error into a warning and hides none") {
  auto setup = plainSetup();
  Facts facts; // a machine on which hardly anything is right
  facts.uid = 1000;
  setup.request.ignorePreflightErrors = {"isPrivilegedUser"};
  const auto strict = judgeInit(setup, facts);
  setup.request.ignorePreflightErrors = {"All"};
  const auto lenient = judgeInit(setup, facts);
  CHECK(std::ranges::any_of(strict, [](const auto& each) { return each.severity == Severity::error; }));
  CHECK(std::ranges::none_of(lenient, [](const auto& each) { return each.severity == Severity::error; }));
  CHECK(lenient.size() == strict.size());
}

// ---- ports

TEST_CASE("a port is taken only by who listens where the component will") {
  auto setup = plainSetup();
  auto facts = fitMachine();

  SUBCASE("etcd listens on the advertise address only, so a loopback listener does not matter") {
    facts.listening = {nginx(2379, "127.0.0.1")};
    CHECK(judged("Port-2379", setup, facts).empty());
  }
  SUBCASE("a listener on all IPv6 addresses takes IPv4 along") {
    facts.listening = {nginx(2379, "::")};
    CHECK(judged("Port-2379", setup, facts).size() == 1);
  }
  SUBCASE("a listener on all IPv4 addresses leaves IPv6 alone") {
    useIpv6Only(setup);
    facts.listening = {nginx(2379, "0.0.0.0")};
    CHECK(judged("Port-2379", setup, facts).empty());
  }
  SUBCASE("the API server's advertise-address flag moves etcd, and its last value counts") {
    setup.cluster.apiServer.extraArgs = {{"advertise-address", "192.168.5.11"}, {"advertise-address", "fd00:5::11"}};
    facts.listening = {nginx(2380, "192.168.5.11")};
    CHECK(judged("Port-2380", setup, facts).empty());
    facts.listening = {nginx(2380, "fd00:5::11")};
    CHECK(judged("Port-2380", setup, facts).size() == 1);
  }
  SUBCASE("bind-address narrows the look at the API server's port") {
    facts.listening = {nginx(6443, "127.0.0.1")};
    CHECK(judged("Port-6443", setup, facts).size() == 1);
    setup.cluster.apiServer.extraArgs = {{"bind-address", "192.168.5.11"}};
    CHECK(judged("Port-6443", setup, facts).empty());
  }
  SUBCASE("bind-address of one component does not speak for another") {
    setup.cluster.scheduler.extraArgs = {{"bind-address", "192.168.5.11"}};
    facts.listening = {nginx(10259, "127.0.0.1"), nginx(10257, "127.0.0.1")};
    CHECK(judged("Port-10259", setup, facts).empty());
    CHECK(judged("Port-10257", setup, facts).size() == 1);
  }
  SUBCASE("with an external etcd its ports are nobody's business here") {
    useExternalEtcd(setup);
    facts.listening = {nginx(2379), nginx(2380)};
    facts.nonEmptyFolders["/var/lib/etcd"] = true;
    CHECK(judgeInit(setup, facts).empty());
  }
}

TEST_CASE("a bind-address that is not on the machine is said of the component's port") {
  auto setup = plainSetup();
  setup.cluster.scheduler.extraArgs = {{"bind-address", "10.1.1.1"}};
  const auto finding = theFinding("Port-10259", setup, fitMachine());
  CHECK(finding.evidence ==
        "the kube-scheduler cannot listen on 10.1.1.1:10259 (bind-address): this machine has 192.168.5.11, fd00:5::11");
  setup.cluster.scheduler.extraArgs = {{"bind-address", "127.0.0.1"}};
  CHECK(judged("Port-10259", setup, fitMachine()).empty());
}

TEST_CASE("an advertise address that is not on the machine is said once, not of every port of etcd") {
  auto setup = plainSetup();
  setup.node.advertiseAddress = ip("192.168.5.99");
  const auto findings = judgeInit(setup, fitMachine());
  REQUIRE(findings.size() == 1);
  CHECK(findings.front().check == "AdvertiseAddress");
}

TEST_CASE("a port finding says what is known of each owner, and what to do") {
  auto facts = fitMachine();

  SUBCASE("process, number, unit and address") {
    facts.listening = {nginx(6443)};
    const auto finding = theFinding("Port-6443", plainSetup(), facts);
    CHECK(finding.evidence ==
          "port 6443, which the kube-apiserver needs, is held by nginx (pid 812, nginx.service) on 0.0.0.0");
    CHECK(finding.remedy == "systemctl disable --now nginx.service, or choose another port with --apiserver-bind-port");
  }
  SUBCASE("two owners, each once") {
    facts.listening = {
        nginx(10250, "127.0.0.1"),
        nginx(10250, "127.0.0.1"),
        {.port = 10250, .address = "192.168.5.11", .pid = 99, .process = "socat", .unit = "session-2.scope"}};
    const auto finding = theFinding("Port-10250", plainSetup(), facts);
    CHECK(finding.evidence ==
          "port 10250, which the kubelet needs, is held by nginx (pid 812, nginx.service) on 127.0.0.1 and by "
          "socat (pid 99, session-2.scope) on 192.168.5.11");
  }
  SUBCASE("a process without a service is to be stopped by its number") {
    facts.listening = {{.port = 10250, .address = "::", .pid = 99, .process = "socat", .unit = "session-2.scope"}};
    CHECK(mentions(theFinding("Port-10250", plainSetup(), facts).remedy, "stop process 99"));
  }
  SUBCASE("an owner that cannot be seen") {
    facts.listening = {{.port = 10250, .address = "::"}};
    const auto finding = theFinding("Port-10250", plainSetup(), facts);
    CHECK(mentions(finding.evidence, "a process that cannot be seen, on ::"));
    CHECK_FALSE(finding.remedy.empty());
  }
  SUBCASE("a component of a foreign cluster") {
    facts.listening = {{.port = 6443, .address = "::", .pid = 7, .process = "kube-apiserver"}};
    CHECK(mentions(theFinding("Port-6443", plainSetup(), facts).remedy, "kubeadm reset"));
  }
}

// ---- a second run

TEST_CASE("what kubestrap made in an earlier run is no obstacle to the next") {
  auto facts = fitMachine();
  facts.recorded = {"/var/lib/kubelet/config.yaml", "/var/lib/etcd"};
  for (const auto* name : {"kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd"}) {
    const auto path = std::string(manifests) + name + ".yaml";
    facts.recorded.push_back(path);
    facts.files[path] = true;
  }
  facts.nonEmptyFolders["/var/lib/etcd"] = true;
  facts.listening = {{.port = 6443, .address = "::", .pid = 11, .process = "kube-apiserver"},
                     {.port = 10257, .address = "127.0.0.1", .pid = 12, .process = "kube-controller"},
                     {.port = 10259, .address = "127.0.0.1", .pid = 13, .process = "kube-scheduler"},
                     {.port = 2379, .address = "192.168.5.11", .pid = 14, .process = "etcd"},
                     {.port = 2380, .address = "192.168.5.11", .pid = 14, .process = "etcd"},
                     {.port = 10250, .address = "::", .pid = 15, .process = "kubelet", .unit = "kubelet.service"}};
  facts.addresses.push_back(ip("10.244.0.1")); // the CNI's bridge
  CHECK(judgeInit(plainSetup(), facts).empty());

  SUBCASE("but another process on such a port is") {
    facts.listening.push_back(nginx(6443, "127.0.0.1"));
    const auto finding = theFinding("Port-6443", plainSetup(), facts);
    CHECK(finding.evidence ==
          "port 6443, which the kube-apiserver needs, is held by nginx (pid 812, nginx.service) on 127.0.0.1");
  }
  SUBCASE("even if its name is known in full length") {
    facts.listening[1].process = "kube-controller-manager";
    CHECK(judgeInit(plainSetup(), facts).empty());
  }
  SUBCASE("but the right component on the wrong port is") {
    facts.listening.push_back({.port = 10250, .address = "127.0.0.1", .pid = 14, .process = "etcd"});
    CHECK(judgeInit(plainSetup(), facts).size() == 1);
  }
  SUBCASE("but a component that kubestrap did not start is") {
    facts.recorded.clear();
    const auto findings = judgeInit(plainSetup(), facts);
    std::set<std::string> names;
    for (const auto& each : findings) names.insert(each.check);
    CHECK(names == std::set<std::string>{"Port-6443", "Port-10257", "Port-10259", "Port-2379", "Port-2380",
                                         "Port-10250", "FileAvailable--etc-kubernetes-manifests-kube-apiserver.yaml",
                                         "FileAvailable--etc-kubernetes-manifests-kube-controller-manager.yaml",
                                         "FileAvailable--etc-kubernetes-manifests-kube-scheduler.yaml",
                                         "FileAvailable--etc-kubernetes-manifests-etcd.yaml",
                                         "DirAvailable--var-lib-etcd", "NetworkOverlap"});
  }
  SUBCASE("but a data folder that is named only now is") {
    auto setup = plainSetup();
    setup.cluster.etcd.local.dataDir = "/data/etcd";
    facts.nonEmptyFolders["/data/etcd"] = true;
    const auto finding = theFinding("DirAvailable--data-etcd", setup, facts);
    CHECK_FALSE(mentions(finding.remedy, "empty it"));
    CHECK(mentions(finding.remedy, "--ignore-preflight-errors=DirAvailable--data-etcd"));
  }
}

// ---- system verification

TEST_CASE("kernels 5.4, 5.10, 5.15 and all from 6.0 on pass") {
  auto facts = fitMachine();
  for (const auto* release : {"5.4.0-216-generic", "5.10.0", "5.15.0-1034-aws", "6.0.1", "6.18.3-cloud", "10.2.0"}) {
    facts.kernelRelease = release;
    CHECK_MESSAGE(judged("SystemVerification", plainSetup(), facts).empty(), release);
  }
  for (const auto* release : {"4.19.0", "5.3.18", "5.11.0", "6.1", "strange"}) {
    facts.kernelRelease = release;
    CHECK_MESSAGE(judged("SystemVerification", plainSetup(), facts).size() == 1, release);
  }
}

TEST_CASE("a kernel option may be a module or have its older name, and an optional one may be missing") {
  auto facts = fitMachine();
  facts.kernelConfig.erase("CONFIG_NETFILTER_XT_TARGET_REDIRECT");
  CHECK(theFinding("SystemVerification", plainSetup(), facts).severity == Severity::error);
  facts.kernelConfig["CONFIG_IP_NF_TARGET_REDIRECT"] = "m";
  CHECK(judged("SystemVerification", plainSetup(), facts).empty());
  facts.kernelConfig.erase("CONFIG_OVERLAY_FS");
  CHECK(judged("SystemVerification", plainSetup(), facts).empty());
  facts.kernelConfig["CONFIG_MEMCG"] = "n";
  CHECK(theFinding("SystemVerification", plainSetup(), facts).severity == Severity::error);
}

TEST_CASE("each version of cgroups asks for its own kernel options and controllers") {
  auto facts = fitMachine();
  facts.kubeletVersion = "v1.34.3"; // accepts both

  facts.kernelConfig.erase("CONFIG_CGROUP_FREEZER");
  CHECK(judged("SystemVerification", plainSetup(), facts).empty());
  facts.kernelConfig["CONFIG_CGROUP_FREEZER"] = "y";

  useCgroupsV1(facts);
  facts.kernelConfig.erase("CONFIG_CGROUP_BPF");
  CHECK(theFinding("SystemVerification", plainSetup(), facts).severity == Severity::warning);
  std::erase(facts.cgroup.controllers, "cpuacct");
  std::erase(facts.cgroup.controllers, "blkio");
  const auto findings = judged("SystemVerification", plainSetup(), facts);
  REQUIRE(findings.size() == 3);
  CHECK(findings[1].severity == Severity::error);
  CHECK(findings[1].evidence == "cgroup v1 lacks the controllers cpuacct");
  CHECK(findings[2].severity == Severity::warning);
  CHECK(findings[2].evidence == "cgroup v1 lacks the optional controllers blkio");
}

TEST_CASE("cgroup v1 is an error from a kubelet 1.35 on, even if its configuration allows it") {
  auto setup = plainSetup();
  auto facts = fitMachine();
  useCgroupsV1(facts);
  facts.kubeletVersion = "v1.34.9";
  CHECK(theFinding("SystemVerification", setup, facts).severity == Severity::warning);
  facts.kubeletVersion = "v1.35.0-alpha.1";
  CHECK(theFinding("SystemVerification", setup, facts).severity == Severity::error);

  setup.cluster.kubelet.document["failCgroupV1"] = false;
  const auto finding = theFinding("SystemVerification", setup, facts);
  CHECK(finding.severity == Severity::error);
  CHECK(mentions(finding.evidence, "(it does)"));
  CHECK(mentions(finding.remedy, "--ignore-preflight-errors=SystemVerification"));
}

// ---- the rest, by subject

TEST_CASE("IPv4 and IPv6 forwarding are asked for by whichever network or address needs them") {
  auto setup = plainSetup();
  auto facts = fitMachine();
  constexpr auto v4 = "FileContent--proc-sys-net-ipv4-ip_forward";
  constexpr auto v6 = "FileContent--proc-sys-net-ipv6-conf-default-forwarding";
  facts.sysctls["net.ipv4.ip_forward"] = facts.sysctls["net.ipv6.conf.default.forwarding"] = "0";
  CHECK(judged(v4, setup, facts).size() == 1);
  CHECK(judged(v6, setup, facts).empty());

  setup.cluster.networks.pods.push_back(cidr("fd00:244::/56"));
  CHECK(judged(v6, setup, facts).size() == 1);

  useIpv6Only(setup);
  CHECK(judged(v4, setup, facts).empty());
  CHECK(judged(v6, setup, facts).size() == 1);
  setup.node.advertiseAddress = ip("192.168.5.11");
  CHECK(judged(v4, setup, facts).size() == 1);
}

TEST_CASE("a network of one address is an error, since its first one cannot be tried") {
  auto setup = plainSetup();
  setup.cluster.networks.pods = {cidr("10.244.0.1/32")};
  const auto finding = theFinding("HTTPProxyCIDR", setup, fitMachine());
  CHECK(finding.severity == Severity::error);
  CHECK(mentions(finding.evidence, "10.244.0.1/32"));
}

TEST_CASE("a network around the node's own address is said on every run") {
  auto setup = plainSetup();
  setup.cluster.networks.pods = {cidr("192.168.0.0/16")};
  auto facts = fitMachine();
  facts.recorded = {"/var/lib/kubelet/config.yaml"};
  const auto finding = theFinding("NetworkOverlap", setup, facts);
  CHECK(finding.severity == Severity::warning);
  CHECK(mentions(finding.evidence, "192.168.5.11"));
}

TEST_CASE("the remedy for a runtime that does not answer fits the runtime and the failure") {
  auto setup = plainSetup();
  auto facts = fitMachine();
  facts.runtime = {.reachable = false,
                   .error = "rpc error: code = Unimplemented desc = unknown service runtime.v1.RuntimeService"};
  CHECK(mentions(theFinding("CRI", setup, facts).remedy, "disabled_plugins in /etc/containerd/config.toml"));
  facts.runtime.error = "connect: Permission denied";
  CHECK(mentions(theFinding("CRI", setup, facts).remedy, "ls -l /var/run/containerd/containerd.sock"));

  setup.node.criSocket = "unix:///var/run/crio/crio.sock";
  facts.runtime.error = "connect: No such file or directory";
  CHECK(mentions(theFinding("CRI", setup, facts).evidence, "CRI-O"));
  CHECK(mentions(theFinding("CRI", setup, facts).remedy, "systemctl enable --now crio"));

  setup.node.criSocket = "unix:///var/run/cri-dockerd.sock";
  CHECK(mentions(theFinding("CRI", setup, facts).remedy, "cri-docker"));

  setup.node.criSocket = "unix:///run/other.sock";
  CHECK(mentions(theFinding("CRI", setup, facts).remedy, "--cri-socket"));
}

TEST_CASE("a runtime that cannot tell its cgroup driver is no mismatch") {
  auto facts = fitMachine();
  facts.runtime.cgroupDriver.reset();
  CHECK(judged("CgroupDriver", plainSetup(), facts).empty());
}

TEST_CASE("the kubelet may be three minors older than kubestrap and no newer than the control plane") {
  auto setup = plainSetup();
  auto facts = fitMachine();
  facts.kubeletVersion = "v1.34.0";
  CHECK(judged("KubeletVersion", setup, facts).empty());
  facts.kubeletVersion = "v1.34.0-rc.1";
  CHECK(judged("KubeletVersion", setup, facts).size() == 1);
  facts.kubeletVersion = "v1.37.9"; // patches do not count
  CHECK(judged("KubeletVersion", setup, facts).empty());
  setup.cluster.version = parseVersion("v1.36.3");
  CHECK(judged("KubeletVersion", setup, facts).size() == 1);
}

TEST_CASE("swap that the kubelet was told to tolerate is still a warning, with another reason") {
  auto setup = plainSetup();
  auto facts = fitMachine();
  facts.swaps = {"/dev/sda2"};
  setup.cluster.kubelet.document["failSwapOn"] = false;
  const auto finding = theFinding("Swap", setup, facts);
  CHECK(finding.severity == Severity::warning);
  CHECK(mentions(finding.evidence, "tolerates"));
}

TEST_CASE("a node name that Kubernetes does not take is a warning") {
  auto setup = plainSetup();
  for (const auto& name : {std::string("-n1"), std::string("n 1"), std::string(64, 'a'), std::string()}) {
    setup.node.name = name;
    CHECK_MESSAGE(judged("Hostname", setup, fitMachine()).size() == 1, name);
  }
  for (const auto& name : {std::string("node-1.example.org"), std::string(63, 'a'), std::string("a")}) {
    setup.node.name = name;
    CHECK_MESSAGE(judged("Hostname", setup, fitMachine()).empty(), name);
  }
}

TEST_CASE("whether the machine's name resolves matters only while the node bears it") {
  auto setup = plainSetup();
  auto facts = fitMachine();
  facts.hostnameResolves = false;
  facts.hostname = "N1";
  CHECK(judged("Hostname", setup, facts).size() == 1);
  setup.node.name = "other";
  CHECK(judged("Hostname", setup, facts).empty());
}

TEST_CASE("OpenRC is enabled OpenRC's way") {
  auto facts = fitMachine();
  facts.initSystem = "openrc";
  facts.kubelet.enabled = false;
  CHECK(theFinding("Service-kubelet", plainSetup(), facts).remedy == "rc-update add kubelet default");
}

TEST_CASE("a firewalld that is installed and stopped does not matter") {
  auto facts = fitMachine();
  facts.firewalld = {.exists = true, .enabled = true, .active = false};
  CHECK(judgeInit(plainSetup(), facts).empty());
}

// ---- joining

TEST_CASE("each purpose has kubeadm's checks and no other") {
  // kubeadm 1.37.2: preflight/checks.go, RunJoinNodeChecks and addCommonChecks.
  const auto runs = [](std::string_view name, Purpose purpose) {
    for (const auto& row : checks())
      if (row.fullName(plainSetup()) == name) return row.on.runsFor(purpose);
    FAIL("no row " << name);
    return false;
  };
  for (const auto* name : {"NumCPU", "Mem", "KubernetesVersion", "Firewalld", "Port-6443", "Port-10259", "Port-10257",
                           "Port-2379", "Port-2380", "FileAvailable--etc-kubernetes-manifests-etcd.yaml",
                           "DirAvailable--var-lib-etcd", "HTTPProxyCIDR", "ExternalEtcdClientCertificates"}) {
    CHECK_MESSAGE(runs(name, Purpose::joinControlPlane), name);
    CHECK_MESSAGE(!runs(name, Purpose::joinWorker), name);
  }
  for (const auto* name : {"IsPrivilegedUser", "Port-10250", "HTTPProxy", "CRI", "ContainerRuntimeVersion", "Swap",
                           "FileExisting-losetup", "FileExisting-mount", "FileExisting-cp", "SystemVerification", "Hostname",
                           "KubeletVersion", "Service-kubelet", "FileContent--proc-sys-net-ipv4-ip_forward"})
    CHECK_MESSAGE(runs(name, Purpose::joinWorker), name);
  CHECK_FALSE(runs("FileExisting-conntrack", Purpose::joinControlPlane));
  CHECK_FALSE(runs("ExternalEtcdVersion", Purpose::joinControlPlane));
  CHECK_FALSE(runs("FileAvailable--etc-kubernetes-kubelet.conf", Purpose::init));
  CHECK_FALSE(runs("FileAvailable--etc-kubernetes-pki-ca.crt", Purpose::joinControlPlane));
}

TEST_CASE("a kubelet's kubeconfig that came of an earlier join is no obstacle to the next") {
  auto facts = fitMachine();
  facts.files["/etc/kubernetes/kubelet.conf"] = true;
  constexpr auto name = "FileAvailable--etc-kubernetes-kubelet.conf";
  CHECK(judged(name, plainSetup(), facts, Purpose::joinWorker).size() == 1);
  facts.recorded = {"/etc/kubernetes/bootstrap-kubelet.conf"};
  CHECK(judged(name, plainSetup(), facts, Purpose::joinWorker).empty());
}

TEST_CASE("a control plane that gets the certificates from the cluster needs no files of an external etcd") {
  auto setup = plainSetup();
  useExternalEtcd(setup);
  auto facts = fitMachine();
  facts.files.erase("/etc/etcd/client.key");
  constexpr auto check = "ExternalEtcdClientCertificates";
  CHECK(judged(check, setup, facts, Purpose::joinControlPlane).size() == 1);
  setup.request.certificateKey = Secret("00");
  CHECK(judged(check, setup, facts, Purpose::joinControlPlane).empty());
  CHECK(judged(check, setup, facts, Purpose::init).size() == 1);
}

TEST_CASE("a worker is asked whether the cluster's endpoint is reached without a proxy") {
  auto setup = plainSetup();
  setup.node.controlPlane = false;
  auto facts = fitMachine();
  useProxy(facts, "10.0.0.0/8");
  CHECK(judged("HTTPProxy", setup, facts, Purpose::joinWorker).empty()); // no endpoint is known
  setup.cluster.controlPlaneEndpoint = config::Endpoint{.host = "api.example.org", .port = 8443};
  const auto finding = theFinding("HTTPProxy", setup, facts, Purpose::joinWorker);
  CHECK(mentions(finding.evidence, "api.example.org:8443"));
  CHECK(finding.remedy == "add api.example.org to NO_PROXY");
}

// ---- questions

TEST_CASE("facts are asked for all that the checks look at") {
  auto setup = plainSetup();
  setup.node.bindPort = 8443;
  setup.cluster.etcd.local.dataDir = "/data/etcd";
  setup.cluster.pki.folder = "/srv/pki";
  const auto asked = questionsForInit(setup);
  const auto has = [](const auto& list, const auto& each) { return std::ranges::find(list, each) != list.end(); };
  for (const auto* name : {"kube-apiserver.yaml", "kube-controller-manager.yaml", "kube-scheduler.yaml", "etcd.yaml"})
    CHECK(has(asked.files, std::filesystem::path(manifests) / name));
  for (const auto* name : {"ca.crt", "ca.key", "front-proxy-ca.crt", "front-proxy-ca.key", "etcd/ca.crt", "etcd/ca.key",
                           "sa.key", "sa.pub"})
    CHECK(has(asked.files, std::filesystem::path("/srv/pki") / name));
  CHECK(asked.folders == std::vector<std::filesystem::path>{"/data/etcd"});
  CHECK(asked.programs == std::vector<std::string>{"losetup", "mount", "cp", "conntrack"});
  for (const auto* name : {"net.ipv4.ip_forward", "net.ipv6.conf.default.forwarding", "net.bridge.bridge-nf-call-iptables",
                           "vm.overcommit_memory"})
    CHECK(has(asked.sysctls, std::string(name)));
  for (const int port : {8443, 10259, 10257, 10250, 2379, 2380}) CHECK(has(asked.ports, port));

  useExternalEtcd(setup);
  for (const auto* file : {"/etc/etcd/ca.crt", "/etc/etcd/client.crt", "/etc/etcd/client.key"})
    CHECK(has(questionsForInit(setup).files, std::filesystem::path(file)));
}

TEST_CASE("before the configuration is known the default places are asked about") {
  const auto asked = questionsForInit();
  CHECK(asked.folders == std::vector<std::filesystem::path>{"/var/lib/etcd"});
  CHECK(std::ranges::find(asked.ports, 6443) != asked.ports.end());
  CHECK(std::ranges::find(asked.files, std::filesystem::path("/etc/kubernetes/pki/ca.crt")) != asked.files.end());
}

} // namespace kubestrap::phases
