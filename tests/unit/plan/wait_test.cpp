// How long a wait lasts by what its probe sees: until the condition holds, until patience ends, or until it is plain that no patience
// will help.
#include "tests/unit/plan/world.hpp"

#include "kube/kubeconfig.hpp"

#include <doctest/doctest.h>

using namespace kubestrap;
using namespace kubestrap::plan;
using namespace std::chrono_literals;
using net::TransportError;

namespace {

struct Waiting : SmallWorld {
  Waiting() {
    host.put("/admin.conf", kube::emitKubeconfig({.server = "https://10.0.0.11:6443",
                                                  .tlsServerName = "",
                                                  .clusterName = "kubernetes",
                                                  .user = "admin",
                                                  .authorities = "-----BEGIN CERTIFICATE-----\n",
                                                  .token = Secret("abcdef.0123456789abcdef")}));
  }

  Condition condition{.what = "it answers",
                      .probe = ApiServerAnswers{.access = {.kubeconfig = "/admin.conf", .server = ""}},
                      .patience = 60s,
                      .hint = "look",
                      .fatal = {}};
  TimePoint begin = host.now;

  std::string error() {
    return messageOf([&] { enact(condition, {}, applying()); });
  }
  /// Each call ends as `outcome` says, which gets the time since the beginning.
  void answers(std::function<std::optional<net::Response>(Duration)> outcome) {
    api.intercept = [this, outcome = std::move(outcome)](const net::Request&) { return outcome(host.now - begin); };
  }
  long seconds() const { return (host.now - begin) / 1s; }
};

auto throws(TransportError::Kind kind) {
  return [kind](Duration) -> std::optional<net::Response> { throw TransportError(kind, "curl's words", "curl's hint"); };
}
auto gives(int status) {
  return [status](Duration) { return std::optional(net::Response{.status = status, .headers = {}, .body = "{}"}); };
}

} // namespace

TEST_CASE("what may pass by itself is waited for as long as there is patience") {
  using Kind = TransportError::Kind;
  for (const auto kind : {Kind::refused, Kind::timeout, Kind::resolve, Kind::closed, Kind::other}) {
    Waiting wait;
    wait.answers(throws(kind));
    CHECK(wait.error().starts_with("gave up after 60s waiting until it answers: "));
  }
  for (const int status : {404, 429, 500, 503}) {
    Waiting wait;
    wait.answers(gives(status));
    CHECK(wait.error() == "gave up after 60s waiting until it answers: answers " + std::to_string(status));
  }
}

TEST_CASE("a server that cannot be trusted, or does not trust us, ends a wait within seconds") {
  Waiting wait;
  SUBCASE("a certificate of another authority, or for another name") {
    wait.answers(throws(TransportError::Kind::tls));
    CHECK(wait.error() == "waiting until it answers is in vain: who listens there cannot be trusted\n  evidence: curl's words");
  }
  SUBCASE("a client certificate that it refuses") {
    wait.answers(throws(TransportError::Kind::clientCertificateRefused));
    CHECK(wait.error() == "waiting until it answers is in vain: the server refuses our client certificate\n  evidence: curl's words");
  }
  SUBCASE("a health port that speaks something else") {
    wait.condition.probe = ComponentHealthy{"kube-scheduler", "https://127.0.0.1:10259/livez"};
    wait.api.servers = {"https://127.0.0.1:10259"};
    wait.answers(throws(TransportError::Kind::tls));
    CHECK(wait.error().find("who listens there speaks no TLS that we know\n  evidence: curl's words") != std::string::npos);
  }
  CHECK(wait.seconds() == 3);
}

TEST_CASE("rights that are not there after ten seconds end a wait") {
  Waiting wait;
  SUBCASE("who is not known") {
    wait.answers(gives(401));
    CHECK(wait.error() == "waiting until it answers is in vain: the server does not know whom /admin.conf speaks for\n"
                          "  evidence: https://10.0.0.11:6443/livez answers 401");
  }
  SUBCASE("who may not ask") {
    wait.answers(gives(403));
    CHECK(wait.error() == "waiting until it answers is in vain: the user of /admin.conf may not ask that\n"
                          "  evidence: https://10.0.0.11:6443/livez answers 403");
  }
  SUBCASE("who may not see an object") {
    wait.condition.probe = ObjectExists{{.kubeconfig = "/admin.conf", .server = ""}, "v1", "Node", "", "n1"};
    wait.answers(gives(403));
    CHECK(wait.error().starts_with("waiting until it answers is in vain: the user of /admin.conf may not ask that"));
  }
  CHECK(wait.seconds() == 10);
}

TEST_CASE("what was seen for a moment only ends no wait") {
  Waiting wait;
  SUBCASE("rights that come late") {
    wait.answers([](Duration elapsed) { return elapsed < 9s ? gives(403)(elapsed) : gives(200)(elapsed); });
  }
  SUBCASE("a stranger's certificate before the server that is waited for") {
    wait.answers([](Duration elapsed) { return elapsed < 2s ? throws(TransportError::Kind::tls)(elapsed) : gives(200)(elapsed); });
  }
  SUBCASE("refusals with other answers between") {
    wait.answers([](Duration elapsed) {
      if (elapsed > 40s) return gives(200)(elapsed);
      return elapsed / 1s % 3 == 2 ? gives(500)(elapsed) : throws(TransportError::Kind::tls)(elapsed);
    });
  }
  CHECK(wait.error() == "");
}
