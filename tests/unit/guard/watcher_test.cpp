#include "guard/watcher.hpp"

#include "guard/report.hpp"
#include "tests/fakes/fake_api.hpp"

#include <doctest/doctest.h>

using namespace kubestrap;
using namespace kubestrap::guard;
using namespace kubestrap::phases::guard;

namespace {

const kube::Kubeconfig identity{.server = "https://10.0.0.11:6443", .authorities = "CA", .clientCertificate = "C", .clientKey = Secret("K")};
constexpr auto nobody = [] { return std::vector<kube::Client>(); };

struct Cluster {
  fakes::FakeApi api;
  kube::Client client{api, identity};
  Cluster() {
    api.put(Value::parse(R"({"apiVersion":"v1","kind":"Node","metadata":{"name":"n1","labels":{"kubestrap.io/self-hosted":"true"}}})"));
    api.page("https://10.0.0.11:6443/version", 200, R"({"gitVersion":"v1.37.2"})");
  }
};

} // namespace

TEST_CASE("a round learns what there is, and what there is not") {
  Cluster cluster;
  const auto told = askApi(cluster.client, "n1", nobody);
  CHECK(membershipIn(told.node) == Membership::labelled);
  REQUIRE(told.daemonSets[apiServer]);
  CHECK(!*told.daemonSets[apiServer]);
  CHECK(planIn(told.plan) == Plan::none);
  CHECK(told.leases);
  CHECK(!told.unlabelledAtPeer);
  for (const auto& record : cluster.api.records()) CHECK(record.request.method == "GET");
}

TEST_CASE("Leases are known by their names") {
  Cluster cluster;
  cluster.api.put(leaseOf("n2", Value::object({{"node", "n2"}}), parseRfc3339("2026-11-25T18:00:00Z")));
  const auto scheduler = Value::parse(R"({"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{"name":"kube-scheduler","namespace":"kube-system"},
    "spec":{"holderIdentity":"n2_1"}})");
  cluster.api.put(scheduler);
  const auto told = askApi(cluster.client, "n1", nobody);
  REQUIRE(told.leases);
  REQUIRE(told.leases->size() == 2);
  CHECK(stringAt(told.leases->at("kube-scheduler"), "spec.holderIdentity") == "n2_1");
  Seen seen;
  put(told, "n1", {}, seen);
  CHECK(seen.components[phases::guard::scheduler].lease != "");
  CHECK(seen.otherGuards.contains("n2"));
}

TEST_CASE("what is refused is not learned, and the rest is") {
  Cluster cluster;
  cluster.api.failNext(1, 429); // the Node
  const auto told = askApi(cluster.client, "n1", nobody);
  CHECK(!told.node);
  CHECK(told.leases);
}

TEST_CASE("an API that does not answer is asked one thing only") {
  Cluster cluster;
  cluster.api.reachable = [](const net::Request&) { return false; };
  const auto told = askApi(cluster.client, "n1", nobody);
  CHECK(!told.node);
  CHECK(!told.leases);
  CHECK(cluster.api.records().size() <= 1);
}

TEST_CASE("that a node has no part in the control plane any more is asked of another node, too") {
  Cluster here, there;
  here.api.remove("/api/v1/nodes/n1");
  const auto ask = [&] {
    return askApi(here.client, "n1", [&] {
      std::vector<kube::Client> peers;
      peers.emplace_back(there.api, identity);
      return peers;
    });
  };
  CHECK(ask().unlabelledAtPeer == false);
  there.api.remove("/api/v1/nodes/n1");
  CHECK(ask().unlabelledAtPeer == true);
  there.api.reachable = [](const net::Request&) { return false; };
  CHECK(ask().unlabelledAtPeer == false);
}

TEST_CASE("the Lease is made where there is none, and brought up to date where there is") {
  Cluster cluster;
  const auto lease = [](const char* text) { return leaseOf("n1", Value::object({{"node", text}}), parseRfc3339("2026-11-25T18:00:00Z")); };
  const std::string path = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/kubestrap-guard-n1";
  writeLease(cluster.client, lease("a"));
  REQUIRE(cluster.api.object(path));
  writeLease(cluster.client, lease("b"));
  CHECK(covers(*cluster.api.object(path), lease("b")));
}

TEST_CASE("peers are those that cluster-info tells of") {
  Cluster cluster;
  CHECK(askForPeers(cluster.client).empty());
  cluster.api.put(Value::parse(R"({"apiVersion":"v1","kind":"Namespace","metadata":{"name":"kube-public"}})"));
  cluster.api.put(Value::parse(R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"cluster-info","namespace":"kube-public"},
    "data":{"kubeconfig":"...","api-server.n1":"10.0.0.11:6444","api-server.n2":"10.0.0.12:6444"}})"));
  CHECK(askForPeers(cluster.client) == std::map<std::string, config::Endpoint>{{"n1", {"10.0.0.11", 6444}}, {"n2", {"10.0.0.12", 6444}}});
}
