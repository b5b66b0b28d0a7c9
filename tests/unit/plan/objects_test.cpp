// Objects of the cluster: what is compared, what is made, and what is refused.
#include "tests/unit/plan/pki.hpp"
#include "support/text.hpp"

#include <doctest/doctest.h>

using namespace kubestrap;
using namespace kubestrap::plan;

TEST_CASE("an object is made, kept, changed, and members that are not declared any more go") {
  Cluster cluster;
  CHECK(cluster.make(cluster.object({{"x", "1"}, {"y", "1"}})) == "create (missing)");
  CHECK(cluster.make(cluster.object({{"x", "1"}, {"y", "1"}})) == "keep");
  CHECK(cluster.make(cluster.object({{"x", "2"}, {"y", "1"}})) == "update (differs in data.x)");
  CHECK(cluster.make(cluster.object({{"x", "2"}})) == "update (no longer wanted: data.y)");
  CHECK(cluster.data() == Value{{"x", "2"}});
}

TEST_CASE("a plan shows what would become of an object, and of a secret one only a fingerprint") {
  Cluster cluster;
  cluster.make(cluster.object({{"x", "1"}, {"y", "1"}}));
  auto live = *cluster.api.object("/api/v1/namespaces/kube-system/configmaps/a");
  live["data"]["theirs"] = "1";
  cluster.api.put(live, "kubectl-edit");
  auto object = cluster.object({{"x", "2"}, {"z", "1"}});
  CHECK(diff(object, cluster.looking()).preview == "   name: a\n   namespace: kube-system\n data:\n-  x: \"1\"\n-  \"y\": \"1\"\n"
                                                   "+  x: \"2\"\n+  z: \"1\"\n");
  object.secrecy = Secrecy::secret;
  CHECK(diff(object, cluster.looking()).preview.starts_with("secret, fingerprint "));
  object.secrecy = Secrecy::open;
  object.document["kind"] = "Secret";
  CHECK(diff(object, cluster.looking()).preview.starts_with("secret, fingerprint "));
}

TEST_CASE("a member of a container that is not declared any more goes") {
  Cluster cluster;
  auto object = cluster.object({});
  object.document = {{"apiVersion", "apps/v1"},
                     {"kind", "Deployment"},
                     {"metadata", {{"name", "a"}, {"namespace", "kube-system"}}},
                     {"spec", {{"template", {{"spec", {{"containers", Value::array({{{"name", "c"}, {"image", "i"}, {"tty", true}}})}}}}}}}};
  CHECK(cluster.make(object) == "create (missing)");
  object.document["spec"]["template"]["spec"]["containers"][0].erase("tty");
  CHECK(cluster.make(object) == "update (no longer wanted: spec.template.spec.containers[0].tty)");
}

TEST_CASE("what is made once is never changed, and what must go goes") {
  Cluster cluster;
  CHECK(cluster.make(cluster.object({{"x", "1"}}, ApplyMode::createOnly)) == "create (missing)");
  CHECK(cluster.make(cluster.object({{"x", "2"}}, ApplyMode::createOnly)) == "keep");
  CHECK(cluster.data() == Value{{"x", "1"}});
  CHECK(cluster.make(cluster.object({}, ApplyMode::absent)) == "remove (not wanted any more)");
  CHECK(cluster.make(cluster.object({}, ApplyMode::absent)) == "keep");
}

TEST_CASE("an object that somebody else changes between look and write is not overwritten, unless it is in what is none of ours") {
  Cluster cluster;
  const auto put = [&](const char* member, const char* value) {
    auto live = *cluster.api.object("/api/v1/namespaces/kube-system/configmaps/a");
    live["data"][member] = value;
    cluster.api.put(live, "kubectl-edit");
  };
  cluster.make(cluster.object({{"x", "1"}}));
  const auto wanted = cluster.object({{"x", "2"}});
  auto change = diff(wanted, cluster.applying());
  put("theirs", "1");
  enact(wanted, change, cluster.applying());
  CHECK(cluster.data() == Value{{"x", "2"}, {"theirs", "1"}});

  put("x", "3");
  change = diff(wanted, cluster.applying());
  put("x", "4");
  CHECK(messageOf([&] { enact(wanted, change, cluster.applying()); }) ==
        "ConfigMap kube-system/a was changed by somebody else just now: it differs in data.x");
  CHECK(cluster.data()["x"] == "4");
  put("x", "2"); // as it should be: nothing is left to do
  enact(wanted, change, cluster.applying());

  const auto made = cluster.object({{"x", "1"}});
  cluster.api.remove("/api/v1/namespaces/kube-system/configmaps/a");
  change = diff(made, cluster.applying());
  cluster.make(cluster.object({{"x", "theirs"}}));
  CHECK(messageOf([&] { enact(made, change, cluster.applying()); }).starts_with("ConfigMap kube-system/a was changed by somebody else just now"));
}

TEST_CASE("members that are set at first only are the operator's afterwards") {
  Cluster cluster;
  auto object = cluster.object({{"x", "1"}, {"y", "1"}});
  object.initialOnly = {Pointer("/data/x")};
  cluster.make(object);
  auto live = *cluster.api.object("/api/v1/namespaces/kube-system/configmaps/a");
  live["data"]["x"] = "mine";
  cluster.api.put(live, "kubectl-edit");
  CHECK(cluster.make(object) == "keep");
  object.document["data"]["y"] = "2";
  CHECK(cluster.make(object) == "update (differs in data.y)");
  CHECK(cluster.data() == Value{{"x", "mine"}, {"y", "2"}});
}

TEST_CASE("an object without credentials to ask with is unknown to a plan, and an error to a run") {
  Cluster cluster;
  cluster.host.files.erase("/admin.conf");
  CHECK(verdict(diff(cluster.object({{"x", "1"}}), cluster.looking())) == "apply (/admin.conf is absent)");
  CHECK(messageOf([&] {
          diff(cluster.object({{"x", "1"}}), cluster.applying(std::chrono::seconds(1)));
        }) == "/admin.conf is absent");
}

TEST_CASE("an object that refers to one that is not there yet is unknown to a plan") {
  Cluster cluster;
  auto object = cluster.object({{"x", "1"}});
  object.document["metadata"]["ownerReferences"] = Value::array({{{"name", "b"}, {"uid", ""}}});
  object.fills = {{Pointer("/metadata/ownerReferences/0/uid"), UidOf{"v1", "ConfigMap", "kube-system", "b"}}};
  CHECK(verdict(diff(object, cluster.looking())) == "apply (ConfigMap kube-system/b is absent)");
}

TEST_CASE("a kubeconfig that is made anew is read anew") {
  Cluster cluster;
  Kubeconfigs kubeconfigs;
  CHECK(kubeconfigs.read("/nowhere.conf", cluster.host) == nullptr);
  CHECK(kubeconfigs.read("/admin.conf", cluster.host)->server == "https://10.0.0.11:6443");
  cluster.host.files["/admin.conf"].content =
      replaceAll(cluster.host.text("/admin.conf"), "https://10.0.0.11:6443", "https://api.example.org:6443");
  CHECK(kubeconfigs.read("/admin.conf", cluster.host)->server == "https://api.example.org:6443");
  cluster.host.files["/admin.conf"].content = "nonsense: [";
  CHECK(messageOf([&] { kubeconfigs.read("/admin.conf", cluster.host); }) != "");
  CHECK(messageOf([&] { kubeconfigs.read("/admin.conf", cluster.host); }) != "");
  cluster.host.files.erase("/admin.conf");
  CHECK(kubeconfigs.read("/admin.conf", cluster.host) == nullptr);
}
