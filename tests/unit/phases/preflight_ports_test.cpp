// Who holds a port, and what an earlier run of kubestrap itself made.
#include "tests/unit/phases/judging.hpp"

#include <doctest/doctest.h>
#include <set>

namespace kubestrap::phases {

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
    CHECK(mentions(theFinding("Port-6443", plainSetup(), facts).remedy, "kubestrap reset"));
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

} // namespace kubestrap::phases
