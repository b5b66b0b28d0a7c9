// Conditions: what is waited for, and what is told meanwhile.
#include "tests/unit/plan/pki.hpp"

#include <doctest/doctest.h>

using namespace kubestrap;
using namespace kubestrap::plan;

TEST_CASE("a condition that holds is kept, another is waited for until it does") {
  SmallWorld small;
  const Condition condition{.what = "it is there",
                            .probe = FileExists{"/a"},
                            .patience = std::chrono::seconds(5),
                            .hint = "look",
                            .fatal = {}};
  const auto change = diff(condition, small.looking());
  CHECK(verdict(change) == "wait until (not there yet)");
  const auto begin = small.host.now;
  CHECK(messageOf([&] { enact(condition, change, small.applying()); }) ==
        "gave up after 5s waiting until it is there: not there yet");
  CHECK(small.host.now - begin >= std::chrono::seconds(5));
  small.host.put("/a", "");
  CHECK(verdict(diff(condition, small.looking())) == "keep");
  small.clock.sleeps = 0;
  enact(condition, change, small.applying());
  CHECK(small.clock.sleeps == 0);
}

TEST_CASE("a health port that answers with an error is told as it is") {
  SmallWorld small;
  small.api.page("https://127.0.0.1:10257/healthz", 500);
  CHECK(verdict(diff(Condition{.what = "",
                               .probe = ComponentHealthy{"kube-controller-manager", "https://127.0.0.1:10257/healthz"},
                               .patience = {},
                               .hint = "",
                               .fatal = {}},
                     small.looking())) == "wait until (answers 500)");
  small.api.page("https://127.0.0.1:10257/healthz", 200);
  CHECK(verdict(diff(Condition{.what = "",
                               .probe = ComponentHealthy{"kube-controller-manager", "https://127.0.0.1:10257/healthz"},
                               .patience = {},
                               .hint = "",
                               .fatal = {}},
                     small.looking())) == "keep");
}

TEST_CASE("a health port is asked without verifying the certificate that it signed itself, an API server never so") {
  Cluster cluster;
  cluster.api.page("https://127.0.0.1:10257/healthz", 200);
  diff(Condition{.what = "",
                 .probe = ComponentHealthy{"kube-controller-manager", "https://127.0.0.1:10257/healthz"},
                 .patience = {},
                 .hint = "",
                 .fatal = {}},
       cluster.looking());
  diff(Condition{.what = "",
                 .probe = ApiServerAnswers{.access = {.kubeconfig = "/admin.conf", .server = ""}},
                 .patience = {},
                 .hint = "",
                 .fatal = {}},
       cluster.looking());
  const auto& records = cluster.api.records();
  REQUIRE(records.size() == 2);
  CHECK(records[0].request.tls.verify == net::TlsIdentity::Verify::no);
  CHECK(records[0].request.bearerToken.empty());
  CHECK(records[1].request.tls.verify == net::TlsIdentity::Verify::yes);
  CHECK_FALSE(records[1].request.tls.authorities.empty());
}
