#include "host/facts.hpp"

#include "host/local_host.hpp"
#include "tests/unit/host/fixture.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <zlib.h>

using namespace kubestrap;
using namespace kubestrap::host;

namespace {

using Names = std::vector<std::string>;

InterfaceAddress on(const std::string& interface, const std::string& address) {
  return {.interface = interface,
          .up = true,
          .loopback = interface == "lo",
          .pointToPoint = interface.starts_with("tun"),
          .address = *IpAddress::parse(address)};
}

std::string chosen(const Routes& routes, const std::vector<InterfaceAddress>& addresses) {
  auto address = chooseAddress(routes, addresses);
  return address ? address->string() : "none";
}

std::string gzip(const std::string& text) {
  z_stream stream{};
  REQUIRE(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string input = text, output(text.size() + 1000, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(input.data());
  stream.avail_in = static_cast<uInt>(input.size());
  stream.next_out = reinterpret_cast<Bytef*>(output.data());
  stream.avail_out = static_cast<uInt>(output.size());
  REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  output.resize(stream.total_out);
  deflateEnd(&stream);
  return output;
}

/// A socket that listens on a free port of 127.0.0.1.
struct ListeningSocket {
  ListeningSocket() {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    socket_ = Descriptor(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    REQUIRE(bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), size) == 0);
    REQUIRE(listen(socket_.get(), 1) == 0);
    REQUIRE(getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
    port = ntohs(address.sin_port);
  }
  int port = 0;

private:
  Descriptor socket_;
};

} // namespace

TEST_CASE("the interfaces of default routes are read from the kernel's tables") {
  CHECK(defaultInterfacesV4("Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
                            "eth1\t00000000\t0102A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n"
                            "eth0\t00000000\t0101A8C0\t0003\t0\t0\t200\t00000000\t0\t0\t0\n"
                            "eth0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n") == Names{"eth1", "eth0"});
  std::string zero(32, '0');
  CHECK(defaultInterfacesV6("fd000000000000000000000000000000 40 " + zero + " 00 " + zero +
                            " 00000100 00000001 00000000 00000001     eth0\n" + zero + " 00 " + zero +
                            " 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003     eth0\n" +
                            zero + " 00 " + zero + " 00 " + zero + " ffffffff 00000001 00000000 00200200       lo\n") ==
        Names{"eth0"});
  CHECK(defaultInterfacesV4("").empty());
}

TEST_CASE("the address is the first global one of the interface with the default route, IPv4 before IPv6") {
  auto addresses =
      std::vector{on("lo", "127.0.0.1"),  on("eth0", "fe80::1"),  on("eth0", "fd00::5"),    on("eth0", "169.254.1.1"),
                  on("eth0", "10.0.0.5"), on("eth0", "10.0.0.6"), on("eth1", "192.168.1.1")};
  CHECK(chosen({.v4 = {"eth0"}, .v6 = {"eth0"}}, addresses) == "10.0.0.5");
  CHECK(chosen({.v4 = {"eth1", "eth0"}}, addresses) == "192.168.1.1");
  CHECK(chosen({.v4 = {}, .v6 = {"eth0"}}, addresses) == "fd00::5");
  CHECK(chosen({}, addresses) == "none");
}

TEST_CASE("an interface that is down does not count, and a routed network's address lies on loopback") {
  auto down = on("eth0", "10.0.0.5");
  down.up = false;
  CHECK(chosen({.v4 = {"eth0"}}, {down}) == "none");
  CHECK(chosen({.v4 = {"eth0"}}, {on("eth0", "169.254.0.9"), on("lo", "127.0.0.1"), on("lo", "10.9.9.9")}) ==
        "10.9.9.9");
}

TEST_CASE("the addresses of loopback that others can reach are known, IPv4 first") {
  auto down = on("lo", "10.9.9.8");
  down.up = false;
  CHECK(globalOnLoopback({on("lo", "127.0.0.1"), on("lo", "::1"), on("lo", "fd00::9"), on("lo", "169.254.0.9"), down,
                          on("eth0", "10.0.0.5"), on("lo", "10.9.9.9")}) ==
        std::vector{*IpAddress::parse("10.9.9.9"), *IpAddress::parse("fd00::9")});
}

TEST_CASE("without a routing table any interface will do that is no loopback and no tunnel") {
  CHECK(chosen({.known = false}, {on("lo", "10.9.9.9"), on("tun0", "10.8.0.1"), on("eth0", "10.0.0.5")}) == "10.0.0.5");
}

TEST_CASE("a kernel configuration gives what is built in and what is a module") {
  auto text = "#\n# Linux/x86 6.1.0 Kernel Configuration\n#\nCONFIG_NAMESPACES=y\nCONFIG_EXT4_FS=m\n# CONFIG_AUFS_FS "
              "is not set\n"
              "CONFIG_HZ=250\nCONFIG_DEFAULT_HOSTNAME=\"(none)\"\nCONFIG_INET=n\nCONFIG_LAST=y";
  auto config = parseKernelConfig(text);
  CHECK(config ==
        std::map<std::string, std::string>{{"CONFIG_EXT4_FS", "m"}, {"CONFIG_LAST", "y"}, {"CONFIG_NAMESPACES", "y"}});
}

TEST_CASE("a packed kernel configuration is unpacked, and what is none gives nothing") {
  std::string text;
  for (int number = 0; number < 20000; ++number) text += "CONFIG_OPTION_" + std::to_string(number) + "=y\n";
  auto packed = gzip(text);
  CHECK(gunzip(packed) == text);
  CHECK(gunzip(packed.substr(0, packed.size() / 2)) == "");
  CHECK(gunzip("no gzip at all") == "");
  CHECK(gunzip("") == "");
}

TEST_CASE("swap areas are named") {
  CHECK(parseSwaps("Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n/dev/dm-1                               "
                   "partition\t999420\t\t0\t\t-2\n") == Names{"/dev/dm-1"});
  CHECK(parseSwaps("Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n").empty());
}

TEST_CASE("the version of cgroups is told by what is mounted") {
  auto v2 = parseCgroupMount("proc /proc proc rw 0 0\ncgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n", false);
  CHECK(v2.unified);
  CHECK(v2.path == "/sys/fs/cgroup");
  auto v1 = "tmpfs /sys/fs/cgroup tmpfs ro 0 0\ncgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\ncgroup2 "
            "/sys/fs/cgroup/unified cgroup2 rw 0 0\n";
  CHECK_FALSE(parseCgroupMount(v1, true).unified);
  CHECK(parseCgroupMount("cgroup /cg/cpu cgroup rw 0 0\ncgroup2 /cg/unified cgroup2 rw 0 0\n", false).path ==
        "/cg/unified");
  CHECK_FALSE(parseCgroupMount("cgroup /cg/cpu cgroup rw 0 0\n", false).unified);
  CHECK(parseCgroupsV1(
            "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpuset\t1\t1\t1\nmemory\t0\t1\t0\npids\t5\t9\t1\n") ==
        Names{"cpuset", "pids"});
}

TEST_CASE("listening sockets are told from connected ones, IPv6 too") {
  auto listeners = parseListeners(
      "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
      "   0: 0100007F:192B 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0 0 10 "
      "0\n"
      "   1: 0B00000A:D7A2 0B00000A:192B 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 20 4 30 10 "
      "-1\n");
  REQUIRE(listeners.size() == 1);
  CHECK(listeners[0].owner.port == 6443);
  CHECK(listeners[0].owner.address == "127.0.0.1");
  CHECK(listeners[0].inode == 4711);
  auto v6 = parseListeners(
      "   0: 00000000000000000000000000000000:280A 00000000000000000000000000000000:0000 0A 00000000:00000000 "
      "00:00000000 00000000     0        0 9 1 0 100 0 0 10 0\n");
  REQUIRE(v6.size() == 1);
  CHECK(v6[0].owner.port == 10250);
  CHECK(v6[0].owner.address == "::");
}

TEST_CASE("the unit of a process is the innermost service of its control group") {
  CHECK(unitOfCgroup("0::/system.slice/nginx.service\n") == "nginx.service");
  CHECK(unitOfCgroup("4:memory:/user.slice/user-0.slice/session-3.scope\n1:name=systemd:/user.slice/user-0.slice/"
                     "session-3.scope\n") == "session-3.scope");
  CHECK(unitOfCgroup("0::/user.slice/user-1000.slice/user@1000.service/app.slice/web.service\n") == "web.service");
  CHECK(unitOfCgroup("0::/\n") == "");
}

TEST_CASE("the owner of a port is named when that port was asked about, and only then") {
  ListeningSocket socket;
  auto findPort = [&](const std::vector<int>& asked) {
    auto all = listeners(asked);
    auto found = std::ranges::find(all, socket.port, &config::PortOwner::port);
    REQUIRE(found != all.end());
    return *found;
  };
  auto named = findPort({socket.port});
  CHECK(named.address == "127.0.0.1");
  CHECK(named.pid == getpid());
  CHECK(named.process == "test_host");
  CHECK(findPort({}).pid == 0);
}

TEST_CASE("the kubelet's version is taken from its answer") {
  CHECK(parseKubeletVersion("Kubernetes v1.37.2\n") == "v1.37.2");
  CHECK(parseKubeletVersion("Kubernetes v1.38.0-alpha.1+0a1b2c") == "v1.38.0-alpha.1+0a1b2c");
  CHECK(parseKubeletVersion("Kubernetes vNext") == "");
  CHECK(parseKubeletVersion("") == "");
}

TEST_CASE("a kubelet that is missing, fails or babbles is said so") {
  TempFolder temp;
  std::string before = getenv("PATH");
  setenv("PATH", (temp.folder.string() + ":" + before).c_str(), 1);
  auto factsWith = [&](const std::string& script) {
    temp.put("kubelet", "#!/bin/sh\n" + script);
    std::filesystem::permissions(temp.folder / "kubelet", std::filesystem::perms::owner_all);
    return LocalHost(temp.folder).facts({});
  };
  auto good = factsWith("echo Kubernetes v1.36.3");
  auto failing = factsWith("echo broken >&2; exit 3");
  auto babbling = factsWith("echo hello");
  setenv("PATH", before.c_str(), 1);
  CHECK(good.kubeletVersion == "v1.36.3");
  CHECK(good.kubeletVersionError.empty());
  CHECK(failing.kubeletVersion.empty());
  CHECK(failing.kubeletVersionError == "`kubelet --version` ended with code 3: broken");
  CHECK(babbling.kubeletVersionError == "`kubelet --version` says \"hello\", which is not a version");
}

TEST_CASE("for defaults alone no program is run but the init system's") {
  std::vector<std::string> ran;
  Root root("/");
  auto services = noServices();
  FactSources sources{root, *services, "", [&](const Command& command) {
                        ran.push_back(command.program);
                        return CommandResult{};
                      }};
  auto facts = gatherFacts({.depth = Host::Questions::Depth::defaults}, sources);
  CHECK(ran.empty());
  CHECK_FALSE(facts.hostname.empty());
  CHECK_FALSE(facts.addresses.empty());
}

TEST_CASE("facts of this machine are plausible") {
  setenv("kubestrap_test_proxy", "http://proxy:3128", 1);
  setenv("EMPTY_PROXY", "", 1);
  auto facts = LocalHost().facts({.programs = {"sh", "nope-nope"}, .sysctls = {"kernel.ostype", "no.such.setting"}});
  unsetenv("kubestrap_test_proxy");
  unsetenv("EMPTY_PROXY");
  CHECK(facts.operatingSystem == "Linux");
  CHECK_FALSE(facts.hostname.empty());
  CHECK_FALSE(facts.kernelRelease.empty());
  CHECK(facts.uid == geteuid());
  CHECK(facts.cpus >= 1);
  CHECK(facts.memoryBytes > (64u << 20));
  CHECK(std::ranges::find(facts.addresses, IpAddress::v4(127, 0, 0, 1)) != facts.addresses.end());
  CHECK(facts.programs == std::map<std::string, bool>{{"nope-nope", false}, {"sh", true}});
  CHECK(facts.sysctls == std::map<std::string, std::string>{{"kernel.ostype", "Linux"}});
  CHECK_FALSE(facts.cgroup.controllers.empty());
  CHECK(facts.proxyVariables.at("kubestrap_test_proxy") == "http://proxy:3128");
  CHECK_FALSE(facts.proxyVariables.contains("EMPTY_PROXY"));
}

TEST_CASE("folders of trusted certificates are looked for beneath the root") {
  TempFolder temp;
  temp.put("etc/pki/tls/certs/ca-bundle.crt", "x");
  temp.put("etc/ca-certificates", "a file, no folder");
  auto facts = LocalHost(temp.folder).facts({});
  CHECK(facts.caFolders == std::map<std::string, bool>{{"/etc/pki/tls/certs", true}});
}

TEST_CASE("a name that resolves and one that cannot") {
  LocalHost host;
  auto run = [&](const Command& command) { return host.run(command); };
  CHECK(resolves("localhost", run));
  CHECK_FALSE(resolves("no-such-host.invalid", run));
}
