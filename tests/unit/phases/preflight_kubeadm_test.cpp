// The finer points of checks that kubeadm has too.
#include "support/version.hpp"
#include "tests/unit/phases/judging.hpp"

#include <doctest/doctest.h>

namespace kubestrap::phases {

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

} // namespace kubestrap::phases
