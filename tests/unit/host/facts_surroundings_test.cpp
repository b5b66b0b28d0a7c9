// What is around a node: networks, disks, clocks, filters, other machines.
#include "host/facts.hpp"
#include "host/facts_remote.hpp"
#include "host/process.hpp"
#include "tests/unit/host/fixture.hpp"

#include <doctest/doctest.h>

#include <sys/statvfs.h>

using namespace kubestrap;
using namespace kubestrap::host;
using namespace std::chrono_literals;

namespace {

std::vector<std::string> texts(const std::vector<config::RouteFacts>& routes) {
  std::vector<std::string> lines;
  for (const auto& each : routes) lines.push_back(each.destination.string() + " " + each.interface);
  return lines;
}

/// Answers as told, and remembers what it was asked.
struct CannedWeb : net::Transport {
  net::Response response{.status = 200};
  std::optional<net::TransportError::Kind> failure;
  std::vector<net::Request> asked;

  net::Response perform(const net::Request& request) override {
    asked.push_back(request);
    if (failure) throw net::TransportError(*failure, "no way there");
    return response;
  }
  net::Response stream(const net::Request& request, const std::function<bool(std::string_view)>&) override {
    return perform(request);
  }
};

/// Programs of the test's own before all others, and trials without their namespaces.
struct FakeIptables {
  FakeIptables() : path(std::getenv("PATH")) {
    setenv("PATH", (temp.folder.string() + ":" + path).c_str(), 1);
    program("mount", "");
    program("iptables", "echo \"$*\" >>\"$0.calls\"");
  }
  ~FakeIptables() { setenv("PATH", path.c_str(), 1); }

  void program(const std::string& name, const std::string& script) const {
    temp.put(name, "#!/bin/sh\n" + script + "\n");
    std::filesystem::permissions(temp.folder / name, std::filesystem::perms::owner_all);
  }

  TempFolder temp;
  std::string path;
  Runner runner = [](const Command& command) -> CommandResult {
    if (command.program != "unshare") return {.exitCode = 0, .output = "iptables v1.8.9 (nf_tables)\n", .errors = {}};
    return runProcess({.program = "sh", .arguments = {"-c", command.arguments.back()}, .input = {}});
  };
};

constexpr auto routesV4 =
    "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
    "eth0\t00000000\t0202000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
    "eth0\t0002000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
    "eth1\t0000640A\t0138A8C0\t0003\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
    "eth1\t0000FEA9\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
    "eth1\t0538A8C0\t00000000\t0005\t0\t0\t0\tFFFFFFFF\t0\t0\t0\n";

} // namespace

TEST_CASE("routes are networks that packets go to, without default, link-local and host routes") {
  CHECK(texts(parseRoutesV4(routesV4)) == std::vector<std::string>{"10.0.2.0/24 eth0", "10.100.0.0/16 eth1"});
  CHECK(parseGatewayV4(routesV4) == IpAddress::parse("10.0.2.2"));
  CHECK_FALSE(parseGatewayV4("Iface\tDestination\n"));
  CHECK(texts(parseRoutesV6(
            "fd000005000000000000000000000000 40 00000000000000000000000000000000 00 "
            "00000000000000000000000000000000 00000100 00000001 00000000 00000001 eth0\n"
            "fe800000000000000000000000000000 40 00000000000000000000000000000000 00 "
            "00000000000000000000000000000000 00000100 00000001 00000000 00000001 eth0\n"
            "00000000000000000000000000000000 00 00000000000000000000000000000000 00 "
            "fd000005000000000000000000000001 00000400 00000001 00000000 00000003 eth0\n"
            "fd000005000000000000000000000011 80 00000000000000000000000000000000 00 "
            "00000000000000000000000000000000 00000000 00000003 00000000 80200001 eth0\n")) ==
        std::vector<std::string>{"fd00:5::/64 eth0"});
}

TEST_CASE("an IPv6 address that the kernel found to be taken is known by its flag") {
  const auto failed = parseFailedDuplicates("fd000005000000000000000000000011 02 40 00 88    eth0\n"
                                            "fd000005000000000000000000000012 02 40 00 80    eth0\n");
  REQUIRE(failed.size() == 1);
  CHECK(failed[0] == IpAddress::parse("fd00:5::11"));
}

TEST_CASE("iptables tells its version and kind") {
  config::PacketFilterFacts facts;
  parseIptablesVersion("iptables v1.8.9 (nf_tables)\n", facts);
  CHECK(facts.version == "v1.8.9");
  CHECK(facts.backend == "nf_tables");
  parseIptablesVersion("iptables v1.8.7 (legacy)\n", facts);
  CHECK(facts.backend == "legacy");
  parseIptablesVersion("iptables v1.6.1\n", facts); // from before there were two
  CHECK(facts.version == "v1.6.1");
  CHECK(facts.backend == "legacy");
  config::PacketFilterFacts none;
  parseIptablesVersion("", none);
  CHECK(none.version.empty());
}

TEST_CASE("containerd's program tells the sandbox image that its answers leave out") {
  CHECK(parseContainerdDump("version = 3\n[plugins.'io.containerd.cri.v1.images'.pinned_images]\nsandbox = 'a/pause:1'\n") ==
        "a/pause:1");
  CHECK(parseContainerdDump("version = 2\n[plugins.\"io.containerd.grpc.v1.cri\"]\nsandbox_image = \"b/pause:2\"\n") ==
        "b/pause:2");
  CHECK(parseContainerdDump("version = 3\n").empty());
  CHECK(parseContainerdDump("not TOML").empty());
}

TEST_CASE("a folder that is not there yet lies on the disk of the nearest one that is") {
  TempFolder temp;
  const auto disk = diskOf(temp.folder / "not" / "yet");
  struct statvfs real {};
  REQUIRE(statvfs(temp.folder.c_str(), &real) == 0);
  REQUIRE(disk);
  CHECK(disk->bytes == std::uint64_t{real.f_blocks} * real.f_frsize);
  CHECK(disk->freeBytes <= disk->bytes);
  CHECK(temp.folder.string().starts_with(disk->mountPoint));
  CHECK_FALSE(disk->readOnly);
}

TEST_CASE("what cannot be tried is not said to fail") {
  const auto refused = [](const Command&) { return CommandResult{.exitCode = 1, .output = {}, .errors = "not permitted"}; };
  CHECK(tryKernelFeatures(refused).empty());
  const auto absent = [](const Command&) -> CommandResult { throw Error("cannot run unshare: it is not in PATH"); };
  CHECK(tryKernelFeatures(absent).empty());
}

TEST_CASE("a trial that ran says of each feature whether it works") {
  const auto overlayOnly = [](const Command& command) {
    return command.arguments.front() == "--mount" ? CommandResult{.exitCode = 0, .output = "works\n", .errors = {}}
                                                  : CommandResult{.exitCode = 1, .output = {}, .errors = {}};
  };
  const auto tried = tryKernelFeatures(overlayOnly);
  CHECK(tried.at("an overlay mount"));
  CHECK(tried.size() == 2);
  CHECK(std::count_if(tried.begin(), tried.end(), [](const auto& each) { return each.second; }) == 1);
}

TEST_CASE_FIXTURE(FakeIptables, "the rules of kube-proxy are tried together, and one by one only where not all of them work") {
  program("iptables-restore", "cat >\"$0.rules\"");
  auto facts = lookAtPacketFilter(runner);
  CHECK(facts.tried.size() == 10);
  for (const auto& [what, works] : facts.tried) CHECK_MESSAGE(works, what);
  CHECK(temp.text("iptables.calls") == "-w 5 -t nat -S\n");
  CHECK(temp.text("iptables-restore.rules").starts_with("*nat\n-A POSTROUTING -j MASQUERADE\n"));
  CHECK(temp.text("iptables-restore.rules").ends_with("COMMIT\n*filter\n-A FORWARD -m conntrack --ctstate INVALID -j DROP\n"
                                                     "-A FORWARD -p tcp -j REJECT\nCOMMIT\n"));

  program("iptables-restore", "exit 1");
  program("iptables", "case \"$*\" in *recent*) exit 1; esac");
  facts = lookAtPacketFilter(runner);
  CHECK(facts.tried.size() == 10);
  for (const auto& [what, works] : facts.tried) CHECK_MESSAGE(works == (what != "-m recent"), what);
  program("iptables", "exit 1");
  CHECK(lookAtPacketFilter(runner).tried.empty());
}

TEST_CASE("an etcd is asked for its version with the credentials that were given") {
  CannedWeb web;
  web.response.body = R"({"etcdserver":"3.6.8","etcdcluster":"3.6.0"})";
  const auto answers = askEtcd(web, {"https://10.9.0.1:2379"}, {.authorities = "CA", .certificate = "CERT"});
  CHECK(answers.at("https://10.9.0.1:2379").text == "3.6.8");
  REQUIRE(web.asked.size() == 1);
  CHECK(web.asked[0].url == "https://10.9.0.1:2379/version");
  CHECK(web.asked[0].tls.authorities == "CA");
  web.response = {.status = 503};
  CHECK(askEtcd(web, {"u"}, {}).at("u").error == "it answers 503");
  web.response = {.status = 200, .body = "hello"};
  CHECK(askEtcd(web, {"u"}, {}).at("u").error == "the answer is no JSON");
  for (const auto* version : {"\"\"", "\"3.6.8\\u001b[2J\"", "7"}) {
    web.response.body = R"({"etcdserver":)" + std::string(version) + "}";
    CHECK(askEtcd(web, {"u"}, {}).at("u").error == "the answer names no version");
  }
  web.response.body = R"({"etcdserver":")" + std::string(1 << 20, '3') + "\"}";
  CHECK(askEtcd(web, {"u"}, {}).at("u").error == "the answer names no version");
  CHECK(web.asked.back().largestAnswer <= 1 << 20);
  web.failure = net::TransportError::Kind::refused;
  CHECK(askEtcd(web, {"u"}, {}).at("u").error == "no way there");
}

TEST_CASE("a registry answers with whatever it says, and with a certificate that only the runtime trusts") {
  CannedWeb web;
  web.response = {.status = 401};
  CHECK(askRegistries(web, {"registry.k8s.io"}).at("registry.k8s.io").error.empty());
  CHECK(web.asked[0].url == "https://registry.k8s.io/v2/");
  CHECK(web.asked[0].method == "HEAD"); // a page without an end would be none the less an answer
  CHECK(web.asked[0].proxy == net::Request::Proxy::environment);
  web.failure = net::TransportError::Kind::tls;
  CHECK(askRegistries(web, {"a"}).at("a").error.empty());
  web.failure = net::TransportError::Kind::timeout;
  CHECK(askRegistries(web, {"docker.io"}).at("docker.io").error == "no way there");
  CHECK(web.asked.back().url == "https://registry-1.docker.io/v2/");
}

TEST_CASE("a clock is compared by the Date of an answer, as exactly as that can be") {
  config::ClockFacts clock;
  const auto asked = parseRfc3339("2026-11-24T12:00:10Z");
  compareClock(clock, parseRfc3339("2026-11-24T12:00:00Z"), asked, asked + 200ms, "n1");
  CHECK(clock.ahead == Duration(9600ms));
  CHECK(clock.uncertainty == Duration(600ms));
  CHECK(clock.comparedWith == "n1");
}
