#include "kube/client.hpp"
#include "tests/fakes/fake_api.hpp"

#include <doctest/doctest.h>

using namespace kubestrap;
using fakes::FakeApi;
using kube::ApiError;
using kube::Client;
using kube::ObjectKey;
using net::TransportError;

namespace {

struct Fixture {
  FakeApi api;
  Client client{api, {.server = "https://10.0.0.11:6443", .authorities = "CA", .token = Secret("t")}};

  net::Response apply(const Value& document, const std::string& manager, bool force = false) {
    return client.raw("PATCH",
                      kube::pathOf(kube::keyOf(document)) + "?fieldManager=" + manager + (force ? "&force=true" : ""),
                      document.dump(), "application/apply-patch+yaml");
  }
  Value data() { return (*client.get(key))["data"]; }
  std::string version() { return stringAt(*client.get(key), "metadata.resourceVersion"); }
  const ObjectKey key{"v1", "ConfigMap", "kube-system", "c"};
  static Value map(const Value& data) {
    return {{"apiVersion", "v1"},
            {"kind", "ConfigMap"},
            {"metadata", {{"name", "c"}, {"namespace", "kube-system"}}},
            {"data", data}};
  }
};

Value daemonSet(const Value& containers) {
  return {{"apiVersion", "apps/v1"},
          {"kind", "DaemonSet"},
          {"metadata", {{"name", "d"}, {"namespace", "kube-system"}}},
          {"spec", {{"template", {{"spec", {{"containers", containers}}}}}}}};
}

TransportError::Kind kindOf(const std::function<void()>& call) {
  try {
    call();
  } catch (const TransportError& error) {
    return error.kind();
  }
  FAIL("the call was answered");
  return TransportError::Kind::other;
}

} // namespace

TEST_CASE_FIXTURE(Fixture, "a manager's fields that it does not apply again go, others' stay") {
  apply(map({{"a", "1"}, {"b", "1"}}), "kubestrap");
  apply(map({{"b", "1"}, {"c", "1"}}), "user");
  apply(map({{"a", "1"}}), "kubestrap");
  CHECK(data() == Value{{"a", "1"}, {"b", "1"}, {"c", "1"}}); // b is the user's too
  apply(map({{"c", "1"}}), "user");
  CHECK(data() == Value{{"a", "1"}, {"c", "1"}});
}

TEST_CASE_FIXTURE(Fixture, "another's field is a conflict without force and taken over with it") {
  apply(map({{"a", "1"}}), "user");
  CHECK(apply(map({{"a", "2"}}), "kubestrap").status == 409);
  CHECK(data()["a"] == "1");
  CHECK(apply(map({{"a", "2"}}), "kubestrap", true).status == 200);
  CHECK(data()["a"] == "2");
  apply(map(Value::object()), "user");
  CHECK(data()["a"] == "2"); // it was not the user's any more
}

TEST_CASE_FIXTURE(Fixture, "to apply the same again changes no version") {
  apply(map({{"a", "1"}}), "kubestrap");
  const std::string before = version();
  apply(map({{"a", "1"}}), "kubestrap");
  CHECK(version() == before);
  apply(map({{"a", "2"}}), "kubestrap");
  CHECK(version() != before);
}

TEST_CASE_FIXTURE(Fixture, "a plain write takes the fields that it changes") {
  apply(map({{"a", "1"}, {"b", "1"}}), "kubestrap");
  client.raw("PATCH", kube::pathOf(key) + "?fieldManager=kubectl-edit", R"({"data":{"a":"2"}})",
             "application/merge-patch+json");
  CHECK(apply(map({{"a", "1"}, {"b", "1"}}), "kubestrap").status == 409);
  CHECK(apply(map({{"b", "1"}}), "kubestrap").status == 200);
  CHECK(data() == Value{{"a", "2"}, {"b", "1"}});
}

TEST_CASE_FIXTURE(Fixture, "managedFields say who owns what") {
  apply(map({{"a", "1"}}), "kubestrap");
  const Value fields = (*client.get(key))["metadata"]["managedFields"];
  REQUIRE(fields.size() == 1);
  CHECK(fields[0]["manager"] == "kubestrap");
  CHECK(fields[0]["operation"] == "Apply");
  CHECK(fields[0]["fieldsV1"] == Value{{"f:data", {{"f:a", Value::object()}}}});
}

TEST_CASE_FIXTURE(Fixture, "containers are merged by name") {
  apply(daemonSet({{{"name", "one"}, {"image", "a:1"}}, {{"name", "two"}, {"image", "b:1"}}}), "kubestrap");
  apply(daemonSet({{{"name", "side"}, {"image", "s:1"}}}), "user");
  apply(daemonSet({{{"name", "one"}, {"image", "a:2"}}}), "kubestrap");
  const Value containers =
      (*client.get({"apps/v1", "DaemonSet", "kube-system", "d"}))["spec"]["template"]["spec"]["containers"];
  REQUIRE(containers.size() == 2);
  CHECK(containers[0]["image"] == "a:2");
  CHECK(containers[0]["terminationMessagePath"] == "/dev/termination-log"); // filled in by the server
  CHECK(containers[1]["name"] == "side");
}

TEST_CASE_FIXTURE(Fixture, "a changed spec counts a generation up") {
  apply(daemonSet({{{"name", "one"}, {"image", "a:1"}}}), "kubestrap");
  const Value changed = parseJson(apply(daemonSet({{{"name", "one"}, {"image", "a:2"}}}), "kubestrap").body);
  CHECK(changed["metadata"]["generation"] == 2);
}

TEST_CASE_FIXTURE(Fixture, "a Secret's plain strings become data") {
  const Value made = client.create({{"apiVersion", "v1"},
                                    {"kind", "Secret"},
                                    {"metadata", {{"name", "s"}, {"namespace", "kube-system"}}},
                                    {"stringData", {{"a", "hello"}}}});
  CHECK(made["data"]["a"] == "aGVsbG8=");
  CHECK(made["type"] == "Opaque");
  CHECK_FALSE(made.contains("stringData"));
}

TEST_CASE_FIXTURE(Fixture, "a binding's role cannot be changed") {
  Value binding{{"apiVersion", "rbac.authorization.k8s.io/v1"},
                {"kind", "ClusterRoleBinding"},
                {"metadata", {{"name", "b"}}},
                {"roleRef", {{"apiGroup", "rbac.authorization.k8s.io"}, {"kind", "ClusterRole"}, {"name", "view"}}},
                {"subjects", Value::array({{{"kind", "Group"}, {"name", "g"}}})}};
  CHECK(client.apply(binding)["subjects"][0]["apiGroup"] == "rbac.authorization.k8s.io");
  binding["roleRef"]["name"] = "edit";
  CHECK(apply(binding, "kubestrap", true).status == 422);
}

TEST_CASE_FIXTURE(Fixture, "wrong bodies, places and media types are refused") {
  Value document = map({{"a", "1"}});
  CHECK(client.raw("POST", "/api/v1/namespaces/default/configmaps", document.dump()).status == 400);
  CHECK(client
            .raw("POST", "/api/v1/namespaces/nowhere/configmaps",
                 R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x"}})")
            .status == 404);
  CHECK(client.raw("POST", "/api/v1/namespaces/kube-system/secrets", document.dump()).status == 400);
  CHECK(client.raw("POST", "/api/v1/namespaces/kube-system/configmaps", document.dump(), "text/yaml").status == 415);
  CHECK(client.raw("GET", "/api/v1/gadgets").status == 404);
  CHECK(client.raw("PATCH", kube::pathOf(key), "{}", "application/merge-patch+json").status == 404);
  CHECK(api.paths().empty());
}

TEST_CASE_FIXTURE(Fixture, "a namespace takes what is in it along") {
  client.create({{"apiVersion", "v1"}, {"kind", "Namespace"}, {"metadata", {{"name", "n"}}}});
  Value inner = map({{"a", "1"}});
  inner["metadata"]["namespace"] = "n";
  client.create(inner);
  client.remove({"v1", "Namespace", "", "n"});
  CHECK(api.paths().empty());
}

TEST_CASE_FIXTURE(Fixture, "faults come as often as asked for") {
  api.failNext(2, 503);
  CHECK(client.raw("GET", "/livez").status == 503);
  CHECK(client.raw("GET", "/livez").status == 503);
  CHECK(client.raw("GET", "/livez").status == 200);
}

TEST_CASE_FIXTURE(Fixture, "a lost answer leaves its effect, a lost request none") {
  api.dropNext(1, FakeApi::Lost::request);
  CHECK(kindOf([&] { client.create(map({{"a", "1"}})); }) == TransportError::Kind::closed);
  CHECK(api.paths().empty());
  api.dropNext(1, FakeApi::Lost::answer);
  CHECK(kindOf([&] { client.create(map({{"a", "1"}})); }) == TransportError::Kind::closed);
  CHECK(api.paths() == std::vector<std::string>{"/api/v1/namespaces/kube-system/configmaps/c"});
}

TEST_CASE_FIXTURE(Fixture, "connections are refused until the time has come, and where nobody is") {
  TimePoint now{};
  api.now = [&] { return now; };
  api.refuseUntil(TimePoint{} + std::chrono::seconds(5));
  CHECK(kindOf([&] { client.raw("GET", "/livez"); }) == TransportError::Kind::refused);
  now += std::chrono::seconds(5);
  CHECK(client.raw("GET", "/livez").status == 200);
  CHECK(kindOf([&] { api.perform({.url = "http://127.0.0.1:10248/healthz"}); }) == TransportError::Kind::refused);
  api.page("http://127.0.0.1:10248/healthz", 200);
  CHECK(api.perform({.url = "http://127.0.0.1:10248/healthz"}).body == "ok");
  api.reachable = [](const net::Request&) { return false; };
  CHECK(kindOf([&] { client.raw("GET", "/livez"); }) == TransportError::Kind::refused);
}

TEST_CASE_FIXTURE(Fixture, "writes are told apart from reads in the record") {
  client.get(key);
  client.create(map({{"a", "1"}}));
  client.remove(key);
  CHECK(api.writes() == std::vector<std::string>{"POST /api/v1/namespaces/kube-system/configmaps",
                                                 "DELETE /api/v1/namespaces/kube-system/configmaps/c"});
  CHECK(api.records().front().status == 404);
}

TEST_CASE_FIXTURE(Fixture, "a watch that has told everything may be fed by the test") {
  int left = 3;
  api.onIdleWatch = [&] {
    if (left-- == 0) return false;
    api.put(map({{"n", std::to_string(left)}}));
    return true;
  };
  std::vector<std::string> seen;
  client.watch("/api/v1/configmaps", "", [&](const std::string& type, const Value& object) {
    if (type != "BOOKMARK") seen.push_back(type + " " + stringAt(object, "data.n"));
    return true;
  });
  CHECK(seen == std::vector<std::string>{"ADDED 2", "MODIFIED 1", "MODIFIED 0"});
}
