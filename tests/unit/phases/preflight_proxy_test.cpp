#include "phases/preflight_proxy.hpp"

#include <doctest/doctest.h>

namespace kubestrap::phases {

namespace {

struct ProxyCase {
  std::string noProxy;
  std::string_view host;
  int port;
  bool overProxy;
};

/// What Go itself answers (golang.org/x/net v0.57.0, http/httpproxy) with HTTPS_PROXY set.
const ProxyCase answersOfGo[] = {
    {"", "10.0.0.9", 6443, true},
    {"10.0.0.9", "10.0.0.9", 6443, false},
    {"10.0.0.8", "10.0.0.9", 6443, true},
    {"10.0.0.0/24", "10.0.0.9", 6443, false},
    {"10.0.1.0/24", "10.0.0.9", 6443, true},
    {"10.0.0.0/8:6443", "10.0.0.9", 6443, true},
    {"10.0.0.9:6443", "10.0.0.9", 6443, false},
    {"10.0.0.9:443", "10.0.0.9", 6443, true},
    {"10.0.0.9:https", "10.0.0.9", 443, true},
    {"::ffff:10.0.0.9", "10.0.0.9", 6443, false},
    {"http://10.0.0.9", "10.0.0.9", 6443, true},
    {"*", "10.0.0.9", 6443, false},
    {"a.b, *", "x.y", 443, false},
    {"*.0.0.9", "10.0.0.9", 6443, true},
    {"10.0.0", "10.0.0.9", 6443, true},
    {" 10.0.0.9 ,x", "10.0.0.9", 6443, false},
    {":6443", "10.0.0.9", 6443, true},
    {"example.org", "example.org", 443, false},
    {"example.org", "api.example.org", 443, false},
    {"example.org", "myexample.org", 443, true},
    {".example.org", "example.org", 443, true},
    {".example.org", "api.example.org", 443, false},
    {"*.example.org", "api.example.org", 443, false},
    {"*.example.org", "example.org", 443, true},
    {"Example.ORG", "API.example.org", 443, false},
    {"example.org:6443", "example.org", 443, true},
    {"example.org:443", "api.example.org", 443, false},
    {"fd00::/64", "fd00::9", 6443, false},
    {"fd00::9", "fd00::9", 6443, false},
    {"fd00:0:0::9", "fd00::9", 6443, false},
    {"[fd00::9]:6443", "fd00::9", 6443, false},
    {"[fd00::9]:443", "fd00::9", 6443, true},
    {"[fd00::9]", "fd00::9", 6443, true},
    {"0.0.0.0/0", "fd00::9", 6443, true},
    {"", "localhost", 443, false},
    {"", "127.0.0.7", 443, false},
    {"", "::1", 443, false},
};

} // namespace

TEST_CASE("NO_PROXY exempts what Go says that it exempts") {
  for (const auto& each : answersOfGo) {
    CAPTURE(each.noProxy);
    CAPTURE(each.host);
    CAPTURE(each.port);
    const auto proxy =
        httpsProxyFor({{"HTTPS_PROXY", "http://proxy:3128"}, {"NO_PROXY", each.noProxy}}, each.host, each.port);
    CHECK(proxy.has_value() == each.overProxy);
  }
}

TEST_CASE(
    "only the variable for https counts, in capitals before small letters, and never an empty or mixed-case one") {
  CHECK_FALSE(httpsProxyFor({{"HTTP_PROXY", "http://proxy"}, {"ALL_PROXY", "http://proxy"}}, "10.0.0.9", 443));
  CHECK_FALSE(httpsProxyFor({{"Https_Proxy", "http://proxy"}}, "10.0.0.9", 443));
  CHECK(httpsProxyFor({{"HTTPS_PROXY", "http://big"}, {"https_proxy", "http://small"}}, "10.0.0.9", 443) ==
        "http://big");
  CHECK(httpsProxyFor({{"HTTPS_PROXY", ""}, {"https_proxy", "http://small"}}, "10.0.0.9", 443) == "http://small");
  CHECK(httpsProxyFor({{"https_proxy", "http://proxy"}, {"NO_PROXY", "10.0.0.8"}, {"no_proxy", "10.0.0.9"}}, "10.0.0.9",
                      443));
  CHECK_FALSE(
      httpsProxyFor({{"https_proxy", "http://proxy"}, {"NO_PROXY", ""}, {"no_proxy", "10.0.0.9"}}, "10.0.0.9", 443));
}

TEST_CASE("a proxy's user and password are never shown") {
  CHECK(withoutCredentials("http://user:s3cret@proxy:3128/x") == "http://xxxxx@proxy:3128/x");
  CHECK(withoutCredentials("http://user:s3c@ret/2@proxy:3128") == "http://xxxxx@proxy:3128");
  CHECK(withoutCredentials("user:s3cret@proxy:3128") == "xxxxx@proxy:3128");
  CHECK(withoutCredentials("http://token@proxy:3128") == "http://xxxxx@proxy:3128");
  CHECK(withoutCredentials("http://proxy:3128") == "http://proxy:3128");
  CHECK(withoutCredentials("proxy") == "proxy");
}

} // namespace kubestrap::phases
