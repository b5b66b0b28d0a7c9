#include "guard/healer.hpp"

#include "support/text.hpp"
#include "tests/fakes/fake_api.hpp"

#include <doctest/doctest.h>

using namespace kubestrap;
using namespace kubestrap::guard;

namespace {

const std::string slicePath = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes",
                  endpointsPath = "/api/v1/namespaces/default/endpoints/kubernetes";

struct Cluster {
  fakes::FakeApi api;
  kube::Client client{api, {.server = "https://10.0.0.11:6443", .authorities = "CA", .clientCertificate = "C", .clientKey = Secret("K")}};

  void put(const std::string& endpoints, const std::string& subsets) {
    api.put(Value::parse(R"({"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","metadata":{"name":"kubernetes","namespace":"default"},
      "addressType":"IPv4","endpoints":)" + endpoints + R"(,"ports":[{"name":"https","port":6443,"protocol":"TCP"}]})"));
    api.put(Value::parse(R"({"apiVersion":"v1","kind":"Endpoints","metadata":{"name":"kubernetes","namespace":"default"},"subsets":)" + subsets + "}"));
    api.forgetRecords();
  }
  Value slice() const { return *api.object(slicePath); }
  Value endpoints() const { return *api.object(endpointsPath); }
};

} // namespace

TEST_CASE("an address that is missing comes back beside the others, in both objects") {
  Cluster cluster;
  cluster.put(R"([{"addresses":["10.0.0.12"],"conditions":{"ready":true}}])",
              R"([{"addresses":[{"ip":"10.0.0.12"}],"ports":[{"name":"https","port":6443,"protocol":"TCP"}]}])");
  CHECK(heal(cluster.client, "10.0.0.11", 6443) == std::vector<std::string>{"EndpointSlice default/kubernetes", "Endpoints default/kubernetes"});
  CHECK(cluster.slice()["endpoints"] == Value::parse(R"([{"addresses":["10.0.0.12"],"conditions":{"ready":true}},
                                                         {"addresses":["10.0.0.11"],"conditions":{"ready":true}}])"));
  CHECK(cluster.endpoints()["subsets"][0]["addresses"] == Value::parse(R"([{"ip":"10.0.0.12"},{"ip":"10.0.0.11"}])"));
  CHECK(heal(cluster.client, "10.0.0.11", 6443).empty());
}

TEST_CASE("lists that are empty are made anew, with their port") {
  Cluster cluster;
  cluster.put("[]", "[]");
  CHECK(namesNobody(cluster.slice()));
  heal(cluster.client, "10.0.0.11", 8443);
  CHECK(!namesNobody(cluster.slice()));
  CHECK(cluster.endpoints()["subsets"] == Value::parse(R"([{"addresses":[{"ip":"10.0.0.11"}],"ports":[{"name":"https","port":8443,"protocol":"TCP"}]}])"));
}

TEST_CASE("what is in order is not written") {
  Cluster cluster;
  cluster.put(R"([{"addresses":["10.0.0.11"]}])", R"([{"addresses":[{"ip":"10.0.0.11"}]}])");
  CHECK(heal(cluster.client, "10.0.0.11", 6443).empty());
  CHECK(cluster.api.writes().empty());
}

TEST_CASE("who has written in between is not undone") {
  Cluster cluster;
  cluster.put("[]", R"([{"addresses":[{"ip":"10.0.0.11"}]}])");
  bool once = true;
  cluster.api.intercept = [&](const net::Request& request) -> std::optional<net::Response> {
    if (request.method != "PATCH" || !once) return {};
    once = false;
    auto slice = cluster.slice();
    slice["endpoints"] = Value::parse(R"([{"addresses":["10.0.0.12"]}])");
    cluster.api.put(slice);
    return net::Response{.status = 409, .headers = {}, .body = R"({"kind":"Status","reason":"Conflict","message":"changed"})"};
  };
  CHECK(heal(cluster.client, "10.0.0.11", 6443).size() == 1);
  CHECK(cluster.slice()["endpoints"].size() == 2);
}

TEST_CASE("a patch names the version that it was made for") {
  Cluster cluster;
  cluster.put("[]", "[]");
  const auto patch = missingAddress(cluster.slice(), "10.0.0.11", 6443);
  CHECK(stringAt(patch, "metadata.resourceVersion") == stringAt(cluster.slice(), "metadata.resourceVersion"));
}
