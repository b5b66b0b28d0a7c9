#include "guard/put_back.hpp"

#include "tests/fakes/fake_api.hpp"
#include "tests/unit/guard/fixture.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

using namespace kubestrap;
using namespace kubestrap::guard;
using manifests::Slot;
using phases::guard::apiServer;
using phases::guard::Rolling;

namespace {

const std::string kPath = "/apis/apps/v1/namespaces/kube-system/daemonsets/kube-apiserver";

/// A DaemonSet at a revision, and what its controller has kept of it before.
struct Cluster {
  fakes::FakeApi api;
  kube::Client client{api, {.server = "https://10.0.0.11:6443", .authorities = "CA", .clientCertificate = "C", .clientKey = Secret("K")}};

  explicit Cluster(int present) {
    api.put(test::daemonSet(apiServer, present % 2 ? Slot::blue : Slot::green, present), "kubestrap");
    for (int revision = 3; revision <= present; ++revision) keep("kube-apiserver", revision);
    keep("kube-scheduler", 3);
    api.forgetRecords();
  }

  /// `count`: how many templates its controller had seen by then, where that is another number.
  void keep(const std::string& name, int revision, int count = 0, const std::string& image = {}) {
    auto podTemplate = test::daemonSet(apiServer, revision % 2 ? Slot::blue : Slot::green, revision)["spec"]["template"];
    podTemplate["$patch"] = "replace";
    if (!image.empty()) podTemplate["spec"]["containers"][0]["image"] = image;
    api.put({{"apiVersion", "apps/v1"}, {"kind", "ControllerRevision"},
             {"metadata", {{"name", fmt::format("{}-{}-{}", name, revision, count)}, {"namespace", "kube-system"}, {"labels", {{"kubestrap.io/component", name}}},
                           {"ownerReferences", Value::array({{{"kind", "DaemonSet"}, {"name", name}}})}}},
             {"revision", count > 0 ? count : revision}, {"data", {{"spec", {{"template", podTemplate}}}}}});
  }

  Value set() const { return *api.object(kPath); }
};

} // namespace

TEST_CASE("the revision before is in force again, as its DaemonSet has kept it, and nothing else is another") {
  Cluster cluster(4);
  const auto before = cluster.set();
  CHECK(putBack(cluster.client, {.component = apiServer, .to = "4", .from = "3"}));
  const auto after = cluster.set();
  const auto wanted = test::daemonSet(apiServer, Slot::blue, 3)["spec"]["template"];
  CHECK(covers(after["spec"]["template"], wanted));
  CHECK(after["spec"]["template"]["metadata"]["annotations"] == wanted["metadata"]["annotations"]);
  for (const auto* member : {"selector", "updateStrategy", "minReadySeconds"}) CHECK(after["spec"][member] == before["spec"][member]);
  CHECK(after["metadata"]["labels"] == before["metadata"]["labels"]);
  CHECK(cluster.api.writes() == std::vector<std::string>{"PATCH " + kPath});
}

TEST_CASE("another revision that is in force meanwhile stays") {
  Cluster cluster(5);
  CHECK_FALSE(putBack(cluster.client, {.component = apiServer, .to = "4", .from = "3"}));
  CHECK(cluster.api.writes().empty());
}

TEST_CASE("a revision that was not kept is an error, and nothing is written") {
  Cluster cluster(4);
  CHECK_THROWS_AS(putBack(cluster.client, {.component = apiServer, .to = "4", .from = "2"}), Error);
  CHECK(cluster.api.writes().empty());
}

TEST_CASE("of two templates with one number the one comes back that was in force later: the other was taken back") {
  Cluster cluster(5);
  cluster.keep("kube-apiserver", 6, 6, "bad:6");
  cluster.keep("kube-apiserver", 6, 8, "good:6");
  cluster.keep("kube-apiserver", 6, 7, "worse:6");
  const auto kept = cluster.client.list("apps/v1", "ControllerRevision", "kube-system", "kubestrap.io/component");
  const auto document = withRevision(cluster.set(), kept, "6");
  REQUIRE(document);
  CHECK((*document)["spec"]["template"]["spec"]["containers"][0]["image"] == "good:6");
}

TEST_CASE("a DaemonSet that was changed in between is not overwritten") {
  Cluster cluster(4);
  auto seen = cluster.set();
  auto touched = seen;
  touched["metadata"]["annotations"]["by"] = "somebody";
  cluster.api.put(touched, "somebody");
  const auto document = withRevision(seen, cluster.client.list("apps/v1", "ControllerRevision", "kube-system", "kubestrap.io/component"), "3");
  REQUIRE(document);
  CHECK_THROWS_AS(cluster.client.apply(*document), Conflict);
}
