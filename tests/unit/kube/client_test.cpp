#include "kube/client.hpp"
#include "kube/kinds.hpp"
#include "support/encoding.hpp"
#include "support/log.hpp"
#include "tests/fakes/fake_api.hpp"

#include <doctest/doctest.h>

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>

using namespace kubestrap;
using namespace kubestrap::kube;
using fakes::FakeApi;

namespace {

const Kubeconfig admin{.server = "https://10.0.0.11:6443",
                       .clusterName = "kubernetes",
                       .user = "kubernetes-admin",
                       .authorities = "CA",
                       .clientCertificate = "CERT",
                       .clientKey = Secret("KEY")};

struct Fixture {
  FakeApi api;
  Client client{api, admin};
  const FakeApi::Record& last() const { return api.records().back(); }
};

const ObjectKey configKey{"v1", "ConfigMap", "kube-system", "kubeadm-config"};
Value configMap(const Value& data) {
  return {{"apiVersion", "v1"},
          {"kind", "ConfigMap"},
          {"metadata", {{"name", "kubeadm-config"}, {"namespace", "kube-system"}}},
          {"data", data}};
}

std::string headerOf(const net::Request& request, const std::string& name) {
  for (const auto& [key, value] : request.headers)
    if (key == name) return value;
  return {};
}

ApiError failureOf(const std::function<void()>& call) {
  try {
    call();
  } catch (const ApiError& error) {
    return error;
  }
  FAIL("the call succeeded");
  throw std::logic_error("not reached");
}

/// What is written to standard error meanwhile.
std::string errorsOf(const std::function<void()>& call) {
  std::FILE* file = std::tmpfile();
  const int before = dup(2);
  dup2(fileno(file), 2);
  call();
  dup2(before, 2);
  close(before);
  std::fseek(file, 0, SEEK_END);
  std::string text;
  text.resize(static_cast<std::size_t>(std::ftell(file)));
  std::rewind(file);
  text.resize(std::fread(text.data(), 1, text.size(), file));
  std::fclose(file);
  return text;
}

} // namespace

TEST_CASE("objects have the paths of the API server") {
  CHECK(pathOf(configKey) == "/api/v1/namespaces/kube-system/configmaps/kubeadm-config");
  CHECK(pathOf({"v1", "Node", "", "n1"}) == "/api/v1/nodes/n1");
  CHECK(pathOf({"apps/v1", "DaemonSet", "kube-system", "kube-proxy"}) ==
        "/apis/apps/v1/namespaces/kube-system/daemonsets/kube-proxy");
  CHECK(pathOf({"rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "", "kubeadm:get-nodes"}) ==
        "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/kubeadm%3Aget-nodes");
}

TEST_CASE("a key that has no path is an error") {
  CHECK_THROWS_WITH_AS(pathOf({"v1", "Gadget", "", "x"}), "Gadget of v1 is not a kind that kubestrap knows", Error);
  CHECK_THROWS_WITH_AS(pathOf({"v1", "Secret", "", "x"}), "Secret x has no namespace", Error);
  CHECK_THROWS_WITH_AS(pathOf({"v1", "Node", "", ""}), "a Node has no name", Error);
}

TEST_CASE("the identity of the kubeconfig goes with every call") {
  FakeApi api;
  Kubeconfig kubeconfig = admin;
  kubeconfig.tlsServerName = "kubernetes";
  kubeconfig.token = Secret("t");
  api.servers = {"https://127.0.0.1:6445"};
  Client client(api, kubeconfig, "https://127.0.0.1:6445/");
  CHECK_FALSE(client.get(configKey));
  const net::Request& sent = api.records().back().request;
  CHECK(sent.url == "https://127.0.0.1:6445/api/v1/namespaces/kube-system/configmaps/kubeadm-config");
  CHECK(sent.tls.authorities == "CA");
  CHECK(sent.tls.certificate == "CERT");
  CHECK(sent.tls.key.reveal() == "KEY");
  CHECK(sent.tls.serverName == "kubernetes");
  CHECK(sent.tls.verify == net::TlsIdentity::Verify::yes);
  CHECK(sent.bearerToken.reveal() == "t");
}

TEST_CASE("a kubeconfig whose identity lies elsewhere is refused rather than used as nobody") {
  FakeApi api;
  const auto complaint = [&](const Kubeconfig& kubeconfig) -> std::string {
    try {
      Client client(api, kubeconfig);
      return "none";
    } catch (const Error& error) {
      return error.message();
    }
  };
  CHECK(complaint({.server = "s", .authorities = "CA", .clientCertificateFile = "/a.pem"}).find("/a.pem") !=
        std::string::npos);
  CHECK(complaint({.server = "s", .authorityFile = "/ca.crt"}).find("/ca.crt") != std::string::npos);
  CHECK(complaint({.server = "s", .authorities = "CA", .otherCredential = "exec"}).find("\"exec\"") !=
        std::string::npos);
  CHECK(complaint({.server = "s", .authorities = "CA"}) == "none"); // cluster-info is read as nobody
}

TEST_CASE_FIXTURE(Fixture, "apply is server-side apply in kubestrap's name, by force") {
  const Value made = client.apply(configMap({{"a", "1"}}));
  CHECK(last().request.method == "PATCH");
  CHECK(last().query == std::map<std::string, std::string>{{"fieldManager", "kubestrap"}, {"force", "true"}});
  CHECK(headerOf(last().request, "Content-Type") == "application/apply-patch+yaml");
  CHECK(stringAt(made, "metadata.uid") != "");
  CHECK(stringAt(*client.get(configKey), "data.a") == "1");
}

TEST_CASE_FIXTURE(Fixture, "an object that is absent is nothing, and to remove it is fine") {
  CHECK_FALSE(client.get(configKey));
  CHECK_NOTHROW(client.remove(configKey));
  client.create(configMap({{"a", "1"}}));
  client.remove(configKey);
  CHECK_FALSE(client.get(configKey));
}

TEST_CASE_FIXTURE(Fixture, "a 404 that no API server gave is not taken for an absent object") {
  api.intercept = [](const net::Request&) { return net::Response{.status = 404, .body = "<html>not here</html>"}; };
  const auto error = failureOf([&] { client.get(configKey); });
  CHECK(error.status() == 404);
  CHECK(error.message().find("<html>not here</html>") != std::string::npos);
  CHECK(failureOf([&] { client.remove(configKey); }).status() == 404);
}

TEST_CASE_FIXTURE(Fixture, "create refuses to overwrite") {
  client.create(configMap({{"a", "1"}}));
  CHECK(last().query.at("fieldManager") == "kubestrap");
  const auto error = failureOf([&] { client.create(configMap({{"a", "2"}})); });
  CHECK(error.status() == 409);
  CHECK(error.reason() == "AlreadyExists");
  CHECK_FALSE(error.retriable());
}

TEST_CASE_FIXTURE(Fixture, "a merge patch with an outdated version is a conflict and changes nothing") {
  const Value made = client.create(configMap({{"a", "1"}}));
  const Value patch{{"metadata", {{"resourceVersion", stringAt(made, "metadata.resourceVersion")}}},
                    {"data", {{"b", "2"}}}};
  client.mergePatch(configKey, patch);
  CHECK_THROWS_AS(client.mergePatch(configKey, patch), Conflict);
  CHECK((*client.get(configKey))["data"] == Value{{"a", "1"}, {"b", "2"}});
}

TEST_CASE_FIXTURE(Fixture, "an apply with an outdated version is a conflict") {
  Value document = configMap({{"a", "1"}});
  document["metadata"]["resourceVersion"] = stringAt(client.apply(document), "metadata.resourceVersion");
  api.put(configMap({{"a", "other"}}));
  CHECK_THROWS_AS(client.apply(document), Conflict);
}

TEST_CASE_FIXTURE(Fixture, "a list is whole over many pages, and its items say what they are") {
  for (int i = 0; i < 1203; ++i) {
    Value each = configMap({{"n", std::to_string(i)}});
    each["metadata"]["name"] = "c" + std::to_string(i);
    each["metadata"]["labels"]["odd"] = i % 2 ? "yes" : "no";
    api.put(each);
  }
  const auto all = client.list("v1", "ConfigMap", "kube-system");
  CHECK(all.size() == 1203);
  CHECK(api.records().size() == 3);
  CHECK(all.front()["kind"] == "ConfigMap");
  CHECK(all.front()["apiVersion"] == "v1");
  CHECK(client.list("v1", "ConfigMap", "", "odd=yes").size() == 601);
  CHECK(client.list("v1", "ConfigMap", "default").empty());
}

TEST_CASE_FIXTURE(Fixture, "a refusal names call, reason and remedy") {
  api.failNext(1, 403);
  const auto error = failureOf([&] { client.get(configKey); });
  CHECK(error.status() == 403);
  CHECK(error.reason() == "Forbidden");
  CHECK(error.message().starts_with(
      "GET https://10.0.0.11:6443/api/v1/namespaces/kube-system/configmaps/kubeadm-config: "));
  CHECK(error.message().ends_with("(403 Forbidden)"));
  CHECK_FALSE(error.hint().empty());
}

TEST_CASE_FIXTURE(Fixture, "what passes by itself is retriable, what does not is not") {
  for (const int status : {429, 500, 502, 503, 504}) {
    api.failNext(1, status);
    const auto error = failureOf([&] { client.get(configKey); });
    CHECK(error.retriable());
    CHECK_FALSE(error.hint().empty());
  }
  for (const int status : {400, 401, 403, 422}) {
    api.failNext(1, status);
    CHECK_FALSE(failureOf([&] { client.get(configKey); }).retriable());
  }
}

TEST_CASE_FIXTURE(Fixture, "any status of a raw call is a value") {
  api.health["/livez"] = 503;
  CHECK(client.raw("GET", "/livez").status == 503);
  CHECK(client.raw("GET", "/readyz").body == "ok");
  CHECK(parseJson(client.raw("GET", "/version").body)["gitVersion"] == "v1.37.2");
}

TEST_CASE_FIXTURE(Fixture, "an answer that is no JSON is an error that names the call") {
  api.intercept = [](const net::Request&) { return net::Response{.status = 200, .body = "<html>"}; };
  CHECK_THROWS_AS(client.get(configKey), Error);
}

TEST_CASE_FIXTURE(Fixture, "text that is not UTF-8 is refused before it is sent") {
  CHECK_THROWS_WITH_AS(client.apply(configMap({{"a", "\xff"}})),
                       "ConfigMap kube-system/kubeadm-config contains text that is not UTF-8", Error);
  CHECK(api.records().empty());
}

TEST_CASE_FIXTURE(Fixture, "a watch tells changes in order, bookmarks too, until its reader has enough") {
  const Value made = client.create(configMap({{"a", "1"}}));
  const std::string version = stringAt(made, "metadata.resourceVersion");
  client.mergePatch(configKey, {{"data", {{"a", "2"}}}});
  client.remove(configKey);
  std::vector<std::string> seen;
  const std::string path = "/api/v1/namespaces/kube-system/configmaps?fieldSelector=metadata.name%3Dkubeadm-config";
  client.watch(path, version, [&](const std::string& type, const Value& object) {
    seen.push_back(type + " " + stringAt(object, "data.a", "-"));
    return true;
  });
  CHECK(seen == std::vector<std::string>{"MODIFIED 2", "DELETED 2", "BOOKMARK -"});
  CHECK(last().query.at("allowWatchBookmarks") == "true");
  CHECK(last().request.timeout == Duration::zero());
  seen.clear();
  client.watch(path, version, [&](const std::string& type, const Value&) { return seen.push_back(type), false; });
  CHECK(seen == std::vector<std::string>{"MODIFIED"});
}

TEST_CASE_FIXTURE(Fixture, "a watch from a version that is forgotten is told by 410") {
  const Value made = client.create(configMap({{"a", "1"}}));
  client.mergePatch(configKey, {{"data", {{"a", "2"}}}});
  api.forgetHistory();
  const auto error = failureOf([&] {
    client.watch("/api/v1/configmaps", stringAt(made, "metadata.resourceVersion"),
                 [](const std::string&, const Value&) { return true; });
  });
  CHECK(error.status() == 410);
}

TEST_CASE("events are put together from any pieces") {
  struct Pieces : net::Transport {
    net::Response perform(const net::Request&) override { throw std::logic_error("not asked"); }
    net::Response stream(const net::Request&, const std::function<bool(std::string_view)>& onData) override {
      const std::string text =
          "{\"type\":\"ADDED\",\"object\":{\"n\":1}}\n\n{\"type\":\"MODIFIED\",\"object\":{\"n\":2}}\n";
      for (const char octet : text)
        if (!onData({&octet, 1})) break;
      return {.status = 200};
    }
  } transport;
  std::vector<int> seen;
  Client(transport, admin).watch("/api/v1/nodes", "", [&](const std::string&, const Value& object) {
    seen.push_back(object["n"].get<int>());
    return true;
  });
  CHECK(seen == std::vector<int>{1, 2});
}

TEST_CASE_FIXTURE(Fixture, "secrets, tokens and keys never reach the log, other objects do") {
  log::setLevel(8);
  const std::string text = errorsOf([&] {
    Value secret{{"apiVersion", "v1"},
                 {"kind", "Secret"},
                 {"metadata", {{"name", "bootstrap-token-abcdef"}, {"namespace", "kube-system"}}},
                 {"stringData", {{"token-secret", "0123456789abcdef"}}}};
    client.apply(secret);
    client.list("v1", "Secret", "kube-system");
    client.apply(configMap({{"visible", "yes"}}));
    client.watch("/api/v1/secrets", "", [](const std::string&, const Value&) { return true; });
  });
  log::setLevel(0);
  CHECK(text.find("0123456789abcdef") == std::string::npos);
  CHECK(text.find(base64("0123456789abcdef")) == std::string::npos);
  CHECK(text.find("KEY") == std::string::npos);
  CHECK(text.find("bootstrap-token-abcdef") != std::string::npos);
  CHECK(text.find("\"visible\":\"yes\"") != std::string::npos);
}

TEST_CASE("every row of the table is found by kind and by plural") {
  CHECK(kinds().size() > 30);
  // Kinds of manifests that may leave their namespace out.
  for (const auto& [apiVersion, kind] : {std::pair{"networking.k8s.io/v1", "Ingress"}, {"batch/v1", "CronJob"}, {"autoscaling/v2", "HorizontalPodAutoscaler"}, {"v1", "ResourceQuota"}, {"v1", "LimitRange"}}) {
    REQUIRE_MESSAGE(findKind(apiVersion, kind), kind);
    CHECK(findKind(apiVersion, kind)->scope == Scope::nameSpaced);
  }
  for (const Kind& row : kinds()) {
    CHECK(findKind(row.apiVersion, row.kind) == &row);
    CHECK(findPlural(row.apiVersion, row.plural) == &row);
  }
}

TEST_CASE("a kind that the table does not have is asked of the API server") {
  Fixture f;
  const Value gadget{{"apiVersion", "example.org/v1"}, {"kind", "Gadget"}, {"metadata", {{"name", "g"}, {"namespace", "default"}}}, {"spec", {{"size", 1}}}};
  CHECK(!f.client.get(keyOf(gadget))); // nobody serves it, so there is none
  CHECK(failureOf([&] { f.client.apply(gadget); }).status() == 404);
  f.client.apply({{"apiVersion", "apiextensions.k8s.io/v1"},
                  {"kind", "CustomResourceDefinition"},
                  {"metadata", {{"name", "gadgets.example.org"}}},
                  {"spec", {{"group", "example.org"}, {"scope", "Namespaced"}, {"names", {{"kind", "Gadget"}, {"plural", "gadgets"}}}, {"versions", Value::array({Value{{"name", "v1"}, {"served", true}}})}}}});
  f.client.apply(gadget);
  CHECK(f.last().path == "/apis/example.org/v1/namespaces/default/gadgets/g");
  CHECK(f.client.get(keyOf(gadget))->at("spec").at("size") == 1);
  f.client.remove(keyOf(gadget));
  CHECK(!f.client.get(keyOf(gadget)));
}

TEST_CASE("a dry run of an apply answers and changes nothing") {
  Fixture f;
  CHECK(f.client.apply(configMap({{"a", "1"}}), DryRun::yes).at("data").at("a") == "1");
  CHECK(f.last().query.at("dryRun") == "All");
  CHECK(!f.client.get(configKey));
}
