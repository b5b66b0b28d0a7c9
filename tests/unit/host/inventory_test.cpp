// What a machine's inventory holds: what would be seen to be left of a cluster, and nothing that changes by itself.
#include "host/inventory.hpp"
#include "support/text.hpp"
#include "tests/fakes/fake_host.hpp"

#include <doctest/doctest.h>

using namespace kubestrap;
using namespace kubestrap::host;

namespace {

/// A machine in memory, and what its programs say by command line; others fail.
struct Looked {
  fakes::FakeHost host;
  std::map<std::string, std::string> says;

  Value inventory() {
    return takeInventory({host, [this](const Command& command) {
                            const auto said = says.find(std::string(trim(command.program + " " + join(command.arguments, " "))));
                            return said == says.end() ? CommandResult{.exitCode = 1} : CommandResult{.exitCode = 0, .output = said->second};
                          }});
  }
};

std::vector<std::string> namesIn(const Value& part) {
  std::vector<std::string> names;
  for (const auto& [name, text] : part.items()) names.push_back(name);
  return names;
}
using Names = std::vector<std::string>;

} // namespace

TEST_CASE("files are known by type, mode and digest, never by content") {
  Looked looked;
  looked.host.put("/etc/kubernetes/pki/ca.key", "secret", 0600);
  looked.host.put("/opt/cni/bin/bridge", std::string(300 * 1024, 'x'), 0755);
  const auto files = looked.inventory()["files"];
  CHECK(files["/etc/kubernetes/pki"] == "folder 0755");
  CHECK(files["/etc/kubernetes/pki/ca.key"].get<std::string>().starts_with("file 0600 "));
  CHECK(files["/opt/cni/bin/bridge"] == "file 0755, 307200 octets");
  CHECK(files.dump().find("secret") == std::string::npos);
  auto other = looked;
  other.host.put("/etc/kubernetes/pki/ca.key", "Secret", 0600);
  CHECK(other.inventory()["files"] != files);
}

TEST_CASE("what is mounted is told and not entered") {
  Looked looked;
  looked.host.put("/var/lib/kubelet/pods/1/data/theirs", "x");
  looked.host.put("/proc/self/mounts", "/dev/vda / ext4 rw 0 0\n/dev/vdb /var/lib/kubelet/pods/1/data ext4 rw 0 0\ntmpfs /run/user/0 tmpfs rw 0 0\n"
                                       "/dev/vdc /mnt/a\\040b ext4 rw 0 0\n");
  const auto inventory = looked.inventory();
  CHECK(namesIn(inventory["mounts"]) == Names{"/", "/var/lib/kubelet/pods/1/data", "/mnt/a b"});
  CHECK(inventory["files"].contains("/var/lib/kubelet/pods/1/data"));
  CHECK_FALSE(inventory["files"].contains("/var/lib/kubelet/pods/1/data/theirs"));
}

TEST_CASE("what is new below /etc, /opt and /var/lib is seen by name, but for kubestrap's own record") {
  Looked looked;
  looked.host.put("/opt/something/deep/file", "x");
  looked.host.put("/var/lib/kubestrap/journal", "x");
  const auto files = looked.inventory()["files"];
  CHECK(files["/opt/something"] == "is there");
  CHECK_FALSE(files.contains("/opt/something/deep/file"));
  CHECK_FALSE(files.dump().find("/var/lib/kubestrap\"") != std::string::npos);
}

TEST_CASE("packet filter rules are those of every program that there is, without counters") {
  Looked looked;
  for (const auto* program : {"/usr/sbin/iptables-nft-save", "/usr/sbin/iptables-legacy-save", "/usr/sbin/ip6tables-save"}) looked.host.put(program, "");
  looked.says["iptables-nft-save"] = "*nat\n:PREROUTING ACCEPT [3:180]\n:KUBE-SERVICES - [0:0]\n-A PREROUTING -j KUBE-SERVICES\nCOMMIT\n";
  looked.says["ip6tables-save"] = "*filter\n:KUBE-A - [7:9]\nCOMMIT\n";
  CHECK(namesIn(looked.inventory()["rules"]) ==
        Names{"iptables-nft nat :KUBE-SERVICES", "iptables-nft nat -A PREROUTING -j KUBE-SERVICES", "ip6tables filter :KUBE-A"});
}

TEST_CASE("tables of nftables are told, but for those that iptables shows") {
  Looked looked;
  looked.host.put("/usr/sbin/nft", "");
  looked.says["nft list tables"] = "table ip kube-proxy\ntable ip filter\ntable ip6 nat\ntable inet theirs\n";
  CHECK(namesIn(looked.inventory()["rules"]) == Names{"nft table ip kube-proxy", "nft table inet theirs"});
}

TEST_CASE("routes and services of IPVS are told without what counts") {
  Looked looked;
  looked.host.put("/proc/net/route", "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n"
                                     "cni0 0000F40A 00000000 0001 0 5 0 00FFFFFF 0 0 0\n"
                                     "eth0 0001F40A 0C00000A 0003 0 5 0 00FFFFFF 0 0 0\n");
  looked.host.put("/proc/net/ip_vs", "IP Virtual Server version 1.2.1 (size=4096)\nProt LocalAddress:Port Scheduler Flags\n  -> RemoteAddress:Port\nTCP  0A600001:01BB rr\n");
  const auto inventory = looked.inventory();
  CHECK(namesIn(inventory["routes"]) == Names{"10.244.0.0/24 dev cni0", "10.244.1.0/24 via 10.0.0.12 dev eth0"});
  CHECK(namesIn(inventory["ipvs"]) == Names{"TCP 0A600001:01BB"});
}

TEST_CASE("routes that the kernel makes for every interface, when it has come up, are left out") {
  Looked looked;
  looked.host.put("/proc/net/ipv6_route", "fe80000000000000f80af7fffeb77efc 80 00000000000000000000000000000000 00 00000000000000000000000000000000 00000000 00000003 00000000 80200001 eth0\n"
                                          "ff000000000000000000000000000000 08 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000003 00000000 00000001 eth0\n"
                                          "fd000000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000003 00000000 00000001 eth0\n");
  CHECK(namesIn(looked.inventory()["routes"]) == Names{"fd00::/64 dev eth0"});
}

TEST_CASE("components that run are counted; the kubelet that its unit runs is told by the unit") {
  Looked looked;
  looked.host.put("/proc/70/comm", "kubelet\n");
  looked.host.put("/proc/71/comm", "etcd\n");
  looked.host.put("/proc/72/comm", "etcd\n");
  looked.host.put("/proc/73/comm", "bash\n");
  looked.host.put("/proc/74/comm", "containerd-shim\n");
  looked.host.put("/proc/74/cmdline", std::string("containerd-shim\0-namespace\0k8s.io", 33));
  auto& unit = looked.host.services["kubelet"];
  for (const auto* state : {"active", "activating"}) {
    unit.active = state;
    CHECK(looked.inventory()["processes"] == Value{{"etcd", "2"}, {"pods in the runtime", "1"}});
    CHECK(looked.inventory()["units"]["kubelet"] == "active, enabled");
  }
  unit.active = "inactive";
  CHECK(looked.inventory()["processes"]["kubelet"] == "1");
  CHECK(looked.inventory()["units"]["kubelet"] == "inactive, enabled");
}

TEST_CASE("a program that cannot be asked takes nothing else away from the inventory") {
  Looked looked;
  looked.host.put("/usr/sbin/iptables-save", "");
  looked.host.put("/proc/sys/net/ipv4/ip_forward", "1\n");
  const auto inventory = looked.inventory();
  CHECK(inventory["rules"].empty());
  CHECK(inventory["sysctls"] == Value{{"net.ipv4.ip_forward", "1"}});
}
