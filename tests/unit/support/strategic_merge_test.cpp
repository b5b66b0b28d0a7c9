#include "support/value.hpp"

#include "tests/unit/support/message_of.hpp"

#include <doctest/doctest.h>

using namespace kubestrap;

namespace {
/// Results were taken from apimachinery v0.37.2, the order of list items included.
Value patched(const char* document, const char* patch) {
  return applyStrategicMergePatch(Value::parse(document), Value::parse(patch));
}

std::string refusal(const char* document, const char* patch) {
  return messageOf([&] { patched(document, patch); });
}

constexpr auto pod = R"({"metadata": {"name": "p", "finalizers": ["a", "b"]},
  "spec": {"containers": [{"name": "one", "image": "x", "command": ["run", "--a"]}, {"name": "two", "image": "y"}],
           "volumes": [{"name": "v", "hostPath": {"path": "/v", "type": "File"}}],
           "tolerations": [{"key": "a"}]}})";
} // namespace

TEST_CASE("a container is merged by its name and keeps its place") {
  auto result = patched(pod, R"({"spec": {"containers": [{"name": "two", "image": "z"}]}})");
  CHECK(result["spec"]["containers"].dump() ==
        R"([{"name":"one","image":"x","command":["run","--a"]},{"name":"two","image":"z"}])");
}

TEST_CASE("a new container comes first, as with kubectl patch") {
  auto result = patched(pod, R"({"spec": {"containers": [{"name": "new", "image": "z"}]}})");
  CHECK(result["spec"]["containers"][0]["name"] == "new");
  CHECK(result["spec"]["containers"][1]["name"] == "one");
  CHECK(result["spec"]["containers"][2]["name"] == "two");
}

TEST_CASE("items of a patch keep its order, other items stand where the document had them") {
  auto result = patched(R"({"spec": {"volumes": [{"name": "a"}, {"name": "b"}, {"name": "c"}]}})",
                        R"({"spec": {"volumes": [{"name": "c", "x": 1}, {"name": "new"}, {"name": "b"}]}})");
  CHECK(result["spec"]["volumes"].dump() == R"([{"name":"a"},{"name":"c","x":1},{"name":"new"},{"name":"b"}])");
}

TEST_CASE("commands and other plain lists are replaced") {
  auto result =
      patched(pod, R"({"spec": {"containers": [{"name": "one", "command": ["run"]}], "tolerations": [{"key": "b"}]}})");
  CHECK(result["spec"]["containers"][0]["command"].dump() == R"(["run"])");
  CHECK(result["spec"]["tolerations"].dump() == R"([{"key":"b"}])");
}

TEST_CASE("what a container has is merged by its own keys") {
  auto result = patched(
      R"({"spec": {"initContainers": [{"name": "a", "env": [{"name": "X", "value": "1"}, {"name": "Y", "value": "2"}],
          "volumeMounts": [{"mountPath": "/a", "name": "v"}], "ports": [{"containerPort": 1, "name": "p"}]}]}})",
      R"({"spec": {"initContainers": [{"name": "a", "env": [{"name": "Y", "value": "3"}],
          "volumeMounts": [{"mountPath": "/a", "readOnly": true}], "ports": [{"containerPort": 1, "name": "q"}]}]}})");
  CHECK(result["spec"]["initContainers"][0].dump() ==
        R"({"name":"a","env":[{"name":"X","value":"1"},{"name":"Y","value":"3"}],)"
        R"("volumeMounts":[{"mountPath":"/a","name":"v","readOnly":true}],"ports":[{"containerPort":1,"name":"q"}]})");
}

TEST_CASE("a service's ports are merged by their number") {
  auto result = patched(R"({"spec": {"ports": [{"port": 53, "protocol": "UDP"}]}})",
                        R"({"spec": {"ports": [{"port": 53, "name": "dns"}]}})");
  CHECK(result["spec"]["ports"].dump() == R"([{"port":53,"protocol":"UDP","name":"dns"}])");
}

TEST_CASE("the template of a Deployment is merged like a pod") {
  auto result = patched(R"({"spec": {"template": {"spec": {"containers": [{"name": "coredns", "image": "a"}]}}}})",
                        R"({"spec": {"template": {"spec": {"containers": [{"name": "coredns", "tty": true}]}}}})");
  CHECK(result["spec"]["template"]["spec"]["containers"].dump() == R"([{"name":"coredns","image":"a","tty":true}])");
}

TEST_CASE("the kubelet's configuration has no lists that are merged") {
  auto result = patched(R"({"clusterDNS": ["10.96.0.10"], "evictionHard": {"a": "1"}})",
                        R"({"clusterDNS": ["10.96.0.11"], "evictionHard": {"b": "2"}})");
  CHECK(result.dump() == R"({"clusterDNS":["10.96.0.11"],"evictionHard":{"a":"1","b":"2"}})");
}

TEST_CASE("null removes a member, and is not added where there is none") {
  auto result =
      patched(R"({"a": 1, "b": {"c": 1}})", R"({"a": null, "b": {"c": null, "d": null}, "e": {"f": null, "g": 1}})");
  CHECK(result.dump() == R"({"b":{},"e":{"g":1}})");
}

TEST_CASE("$patch: delete removes an item of a merged list") {
  auto result = patched(pod, R"({"spec": {"containers": [{"name": "one", "$patch": "delete"}]}})");
  CHECK(result["spec"]["containers"].dump() == R"([{"name":"two","image":"y"}])");
}

TEST_CASE("$patch: replace replaces a merged list") {
  auto result = patched(pod, R"({"spec": {"containers": [{"name": "new"}, {"$patch": "replace"}]}})");
  CHECK(result["spec"]["containers"].dump() == R"([{"name":"new"}])");
}

TEST_CASE("$patch: replace and delete work on mappings") {
  CHECK(patched(R"({"a": {"b": 1}})", R"({"a": {"$patch": "replace", "c": 2}})").dump() == R"({"a":{"c":2}})");
  CHECK(patched(R"({"a": {"b": 1}})", R"({"a": {"$patch": "delete"}})").dump() == R"({"a":{}})");
  CHECK(patched(R"({"a": {"b": 1}})", R"({"a": {"$patch": "merge", "c": 2}})").dump() == R"({"a":{"b":1,"c":2}})");
  CHECK(patched("{}", R"({"a": {"$patch": "delete"}, "b": {"$patch": "replace", "c": 1}})").dump() ==
        R"({"b":{"c":1}})");
}

TEST_CASE("$retainKeys drops what it does not name") {
  auto result =
      patched(pod, R"({"spec": {"volumes": [{"name": "v", "emptyDir": {}, "$retainKeys": ["name", "emptyDir"]}]}})");
  CHECK(result["spec"]["volumes"].dump() == R"([{"name":"v","emptyDir":{}}])");
}

TEST_CASE("finalizers are merged as a set, and deleted by a list of their own") {
  CHECK(patched(pod, R"({"metadata": {"finalizers": ["c", "b"]}})")["metadata"]["finalizers"].dump() ==
        R"(["c","a","b"])");
  CHECK(patched(pod, R"({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}})")["metadata"]["finalizers"]
            .dump() == R"(["b"])");
}

TEST_CASE("$setElementOrder tells where items go") {
  auto result =
      patched(pod, R"({"spec": {"$setElementOrder/containers": [{"name": "two"}, {"name": "new"}, {"name": "one"}],
                                          "containers": [{"name": "new"}]}})");
  CHECK(result["spec"]["containers"][0]["name"] == "two");
  CHECK(result["spec"]["containers"][1]["name"] == "new");
  CHECK(result["spec"]["containers"][2]["name"] == "one");
  CHECK_FALSE(result["spec"].contains("$setElementOrder/containers"));
}

TEST_CASE("directives never reach the result") {
  auto result = patched("{}", R"({"spec": {"containers": [{"name": "a", "$setElementOrder/env": [{"name": "X"}],
    "env": [{"name": "X", "value": null}, {"name": "Y", "$patch": "delete"}, {"$patch": "replace"}], "$retainKeys": ["name"]}]}})");
  CHECK(result.dump() == R"({"spec":{"containers":[{"name":"a","env":[{"name":"X"}]}]}})");
}

TEST_CASE("a value of another kind is replaced") {
  CHECK(patched(R"({"a": {"b": 1}, "c": [1]})", R"({"a": 5, "c": {"d": 1}})").dump() == R"({"a":5,"c":{"d":1}})");
}

TEST_CASE("a patch that does not apply says where, and why") {
  CHECK(refusal(pod, R"({"spec": {"containers": [{"image": "x"}]}})") ==
        "strategic merge patch, spec.containers: an item lacks \"name\", by which the list is merged");
  CHECK(refusal(pod, R"({"spec": {"containers": ["x"]}})") ==
        "strategic merge patch, spec.containers: an item is not a mapping");
  CHECK(refusal(pod, R"({"spec": {"$patch": "wish"}})") ==
        "strategic merge patch, spec: the directive $patch: \"wish\" is unknown");
  CHECK(refusal(pod, R"({"spec": {"volumes": [{"name": "v", "emptyDir": {}, "$retainKeys": ["name"]}]}})")
            .ends_with("$retainKeys does not name \"emptyDir\", which the patch sets"));
  CHECK(refusal(pod, R"({"spec": {"containers": [{"name": "b"}, {"name": "a"}],
                         "$setElementOrder/containers": [{"name": "a"}, {"name": "b"}]}})")
            .ends_with("the items' order does not fit $setElementOrder"));
  CHECK(refusal(pod, "[]") == "strategic merge patch: the document and the patch have to be mappings");
}
