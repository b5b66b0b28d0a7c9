#include "support/text.hpp"
#include "support/version.hpp"
#include "tests/unit/phases/judging.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>

namespace kubestrap::phases {

namespace {

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
     "kubestrap reset"},
    {"FileAvailable--etc-kubernetes-manifests-kube-controller-manager.yaml",
     Severity::error,
     [](Facts& f) { f.files["/etc/kubernetes/manifests/kube-controller-manager.yaml"] = true; },
     {"/etc/kubernetes/manifests/kube-controller-manager.yaml"},
     "kubestrap reset"},
    {"FileAvailable--etc-kubernetes-manifests-kube-scheduler.yaml",
     Severity::error,
     [](Facts& f) { f.files["/etc/kubernetes/manifests/kube-scheduler.yaml"] = true; },
     {"/etc/kubernetes/manifests/kube-scheduler.yaml"},
     "kubestrap reset"},
    {"FileAvailable--etc-kubernetes-manifests-etcd.yaml",
     Severity::error,
     [](Facts& f) { f.files["/etc/kubernetes/manifests/etcd.yaml"] = true; },
     {"/etc/kubernetes/manifests/etcd.yaml"},
     "kubestrap reset"},
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
     "kubestrap reset",
     nullptr,
     nullptr,
     Purpose::joinControlPlane},
    {"FileAvailable--etc-kubernetes-bootstrap-kubelet.conf",
     Severity::error,
     [](Facts& f) { f.files["/etc/kubernetes/bootstrap-kubelet.conf"] = true; },
     {"/etc/kubernetes/bootstrap-kubelet.conf"},
     "kubestrap reset",
     nullptr,
     nullptr,
     Purpose::joinWorker},
    {"FileAvailable--etc-kubernetes-pki-ca.crt",
     Severity::error,
     [](Facts& f) { f.files["/etc/kubernetes/pki/ca.crt"] = true; },
     {"/etc/kubernetes/pki/ca.crt"},
     "kubestrap reset",
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

} // namespace kubestrap::phases
