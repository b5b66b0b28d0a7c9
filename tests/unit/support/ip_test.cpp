#include "support/ip.hpp"

#include <doctest/doctest.h>

using namespace kubestrap;

namespace {
std::string canonical(std::string_view text) {
  auto address = IpAddress::parse(text);
  return address ? address->string() : "nothing";
}

IpAddress ip(std::string_view text) { return IpAddress::parse(text).value(); }
Cidr cidr(std::string_view text) { return Cidr::parse(text).value(); }

std::string nth(std::string_view range, std::uint64_t n) {
  auto address = cidr(range).nth(n);
  return address ? address->string() : "nothing";
}
} // namespace

TEST_CASE("addresses are written in canonical form") {
  CHECK(canonical("10.0.0.1") == "10.0.0.1");
  CHECK(canonical("FD00:0:0:0::0001") == "fd00::1");
  CHECK(canonical("2001:db8:0:1:1:1:1:1") == "2001:db8:0:1:1:1:1:1");
  CHECK(canonical("::") == "::");
  CHECK(canonical("::1") == "::1");
  CHECK(canonical("::1.2.3.4") == "::102:304");
  CHECK(canonical("64:ff9b::1.2.3.4") == "64:ff9b::102:304");
}

TEST_CASE("an IPv4-mapped address is an IPv4 address") {
  CHECK(canonical("::ffff:10.0.0.1") == "10.0.0.1");
  CHECK(ip("::ffff:10.0.0.1") == ip("10.0.0.1"));
}

TEST_CASE("what is no address is refused") {
  using namespace std::string_view_literals;
  for (auto text : {""sv, "10.0.0"sv, "10.0.0.256"sv, "010.0.0.1"sv, "10.0.0.1 "sv, "fe80::1%eth0"sv, "fd00::1::2"sv,
                    "[::1]"sv, "10.0.0.1/24"sv, "localhost"sv, "10.0.0.1\0x"sv}) {
    CAPTURE(text);
    CHECK_FALSE(IpAddress::parse(text));
  }
}

TEST_CASE("an IPv6 address has brackets in a URL") {
  CHECK(ip("10.0.0.1").inUrl() == "10.0.0.1");
  CHECK(ip("fd00::1").inUrl() == "[fd00::1]");
}

TEST_CASE("the octets are those of X.509") {
  CHECK(ip("1.2.3.4").octets() == "\x01\x02\x03\x04");
  CHECK(ip("fd00::1").octets() == std::string("\xfd\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01", 16));
}

TEST_CASE("kinds of addresses") {
  CHECK(IpAddress().isUnspecified());
  CHECK(ip("::").isUnspecified());
  CHECK(ip("127.8.8.8").isLoopback());
  CHECK(ip("::1").isLoopback());
  CHECK_FALSE(ip("::127").isLoopback());
  CHECK(ip("169.254.169.254").isLinkLocal());
  CHECK(ip("febf::1").isLinkLocal());
  CHECK_FALSE(ip("fec0::1").isLinkLocal());
  CHECK(ip("239.1.1.1").isMulticast());
  CHECK(ip("ff02::1").isMulticast());
}

TEST_CASE("global unicast is what a node can be reached at, private ranges included") {
  for (const char* text : {"10.0.0.1", "192.168.0.1", "8.8.8.8", "fd00::1", "2001:db8::1"})
    CHECK(ip(text).isGlobalUnicast());
  for (const char* text :
       {"0.0.0.0", "127.0.0.1", "169.254.0.1", "224.0.0.1", "255.255.255.255", "::", "::1", "fe80::1"})
    CHECK_FALSE(ip(text).isGlobalUnicast());
}

TEST_CASE("IPv4 comes before IPv6, and addresses are ordered as numbers") {
  CHECK(ip("9.0.0.0") < ip("10.0.0.0"));
  CHECK(ip("255.0.0.0") < ip("::"));
  CHECK(ip("fd00::1") < ip("fd00::2"));
}

TEST_CASE("a range is masked when it is parsed") {
  CHECK(cidr("10.96.7.8/12").string() == "10.96.0.0/12");
  CHECK(cidr("10.0.0.1/32").string() == "10.0.0.1/32");
  CHECK(cidr("10.0.0.1/0").string() == "0.0.0.0/0");
  CHECK(cidr("fd00:1:2:3::4/50").string() == "fd00:1:2::/50");
}

TEST_CASE("what is no range is refused") {
  for (const char* text : {"", "10.0.0.0", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/08", "10.0.0.0/",
                           "/8", "10.0.0.0/8/8", "fd00::/129", "::ffff:10.0.0.0/24", "10.0.0.0/8 "}) {
    CAPTURE(text);
    CHECK_FALSE(Cidr::parse(text));
  }
}

TEST_CASE("a range knows what it contains and overlaps") {
  CHECK(cidr("10.96.0.0/12").contains(ip("10.111.255.255")));
  CHECK_FALSE(cidr("10.96.0.0/12").contains(ip("10.112.0.0")));
  CHECK_FALSE(cidr("0.0.0.0/0").contains(ip("::")));
  CHECK(cidr("fd00::/65").contains(ip("fd00::7fff:0:0:1")));
  CHECK_FALSE(cidr("fd00::/65").contains(ip("fd00::8000:0:0:1")));
  CHECK(cidr("10.0.0.0/8").overlaps(cidr("10.96.0.0/12")));
  CHECK(cidr("10.96.0.0/12").overlaps(cidr("10.0.0.0/8")));
  CHECK_FALSE(cidr("10.0.0.0/16").overlaps(cidr("10.1.0.0/16")));
}

TEST_CASE("the size of a range is capped at 2^62") {
  CHECK(cidr("10.0.0.0/32").size() == 1);
  CHECK(cidr("10.0.0.0/24").size() == 256);
  CHECK(cidr("0.0.0.0/0").size() == std::uint64_t{1} << 32);
  CHECK(cidr("fd00::/67").size() == std::uint64_t{1} << 61);
  CHECK(cidr("fd00::/48").size() == std::uint64_t{1} << 62);
  CHECK(cidr("fd00::/108").hostBits() == 20);
}

TEST_CASE("the n-th address is counted with carry, and ends with the range") {
  CHECK(nth("10.96.0.0/12", 1) == "10.96.0.1");
  CHECK(nth("10.96.0.0/12", 10) == "10.96.0.10");
  CHECK(nth("10.96.0.0/12", 300) == "10.96.1.44");
  CHECK(nth("10.96.0.0/12", (1 << 20) - 1) == "10.111.255.255");
  CHECK(nth("10.96.0.0/12", 1 << 20) == "nothing");
  CHECK(nth("10.0.0.5/32", 0) == "10.0.0.5");
  CHECK(nth("10.0.0.5/32", 1) == "nothing");
  CHECK(nth("0.0.0.0/0", 0xffffffff) == "255.255.255.255");
  CHECK(nth("fd00::ff00/120", 255) == "fd00::ffff");
  CHECK(nth("fd00::/108", 65536) == "fd00::1:0");
  CHECK(nth("fd00::/64", ~std::uint64_t{0}) == "fd00::ffff:ffff:ffff:ffff");
  CHECK(nth("fd00::/48", ~std::uint64_t{0}) == "fd00::ffff:ffff:ffff:ffff");
}

TEST_CASE("host and port are joined with brackets where they are needed") {
  CHECK(joinHostPort("10.0.0.1", 6443) == "10.0.0.1:6443");
  CHECK(joinHostPort("fd00::1", 6443) == "[fd00::1]:6443");
  CHECK(joinHostPort("[fd00::1]", 6443) == "[fd00::1]:6443");
  CHECK(joinHostPort("api.example.org", 6443) == "api.example.org:6443");
}

TEST_CASE("host and port are split, the port may be missing") {
  auto check = [](std::string_view text, std::string_view host, std::optional<int> port) {
    CAPTURE(text);
    auto found = splitHostPort(text);
    REQUIRE(found);
    CHECK(found->host == host);
    CHECK(found->port == port);
  };
  check("10.0.0.1:6443", "10.0.0.1", 6443);
  check("10.0.0.1", "10.0.0.1", {});
  check("api.example.org:443", "api.example.org", 443);
  check("[fd00::1]:6443", "fd00::1", 6443);
  check("[fd00::1]", "fd00::1", {});
  check("fd00::1", "fd00::1", {});
}

TEST_CASE("a malformed host and port is nothing") {
  for (const char* text : {"", ":6443", "a:", "a:0", "a:65536", "a:x", "a:+1", "a:6443 ", "a b:1", "[fd00::1",
                           "[fd00::1]6443", "[]:1", "[10.0.0.1]:1", "fd00::1::2", "a:b:1", "https://a:1", "a]:1"}) {
    CAPTURE(text);
    CHECK_FALSE(splitHostPort(text));
  }
}
