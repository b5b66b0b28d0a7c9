// What joining machines are asked, and which facts are gathered for the checks.
#include "tests/unit/phases/judging.hpp"

#include <doctest/doctest.h>

#include <algorithm>

namespace kubestrap::phases {

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

TEST_CASE("control planes that do not reach each other are told, each direction and port by itself") {
  const auto setup = plainSetup();
  auto facts = fitMachine();
  facts.reach = {{.peer = "n1", .address = "10.0.0.11", .closed = {}, .unheard = {}, .unasked = {}}};
  CHECK(judged("PeersReachable", setup, facts, Purpose::joinControlPlane).empty());
  facts.reach[0].closed[2380] = "no answer in 3s";
  auto finding = theFinding("PeersReachable", setup, facts, Purpose::joinControlPlane);
  CHECK(finding.severity == Severity::error);
  CHECK(finding.evidence == "port 2380 of n1 (10.0.0.11), where members of etcd speak to each other, cannot be reached from this machine: no answer in 3s");
  CHECK(mentions(finding.remedy, "in both directions"));
  facts.reach[0].closed.clear();
  facts.reach[0].unheard = {2380};
  finding = theFinding("PeersReachable", setup, facts, Purpose::joinControlPlane);
  CHECK(finding.evidence == "port 2380 of this machine (192.168.5.11), where members of etcd speak to each other, cannot be reached from n1 (10.0.0.11)");
  facts.reach[0].unheard = {2379, 6444};
  CHECK(judged("PeersReachable", setup, facts, Purpose::joinControlPlane).size() == 2);
  facts.reach[0].unheard.clear();
  facts.reach[0].unasked = "its pod did not begin";
  CHECK(theFinding("PeersReachable", setup, facts, Purpose::joinControlPlane).severity == Severity::warning);
  CHECK(judged("PeersReachable", setup, facts, Purpose::joinWorker).empty());
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
