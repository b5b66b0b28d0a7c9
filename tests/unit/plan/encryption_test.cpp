// What API servers encrypt: whether one goes by a file, and that every object is written anew.
#include "plan/encryption.hpp"
#include "support/encoding.hpp"
#include "tests/unit/plan/pki.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace kubestrap;
using namespace kubestrap::plan;

namespace {

struct Store : Cluster {
  Store() {
    for (const auto* name : {"a", "b", "c"})
      api.put({{"apiVersion", "v1"}, {"kind", "Secret"}, {"metadata", {{"name", name}, {"namespace", "team"}}}, {"data", {{"x", "eA=="}}}});
    api.forgetRecords();
  }
  StoreAnew wanted{.access = {.kubeconfig = "/admin.conf", .server = ""}, .resources = {"secrets"}};
  void store() { perform(wanted, needed(wanted, looking()), applying()); }
  /// Paths of what was written.
  std::vector<std::string> written() {
    std::vector<std::string> all;
    for (const auto& record : api.records())
      if (record.request.method == "PATCH") all.push_back(record.path);
    return all;
  }
};

const std::string kSecrets = "/api/v1/namespaces/team/secrets/";

} // namespace

TEST_CASE("every object is written anew as it was seen, without its content passing by again") {
  Store store;
  store.store();
  CHECK(store.written() == std::vector<std::string>{kSecrets + "a", kSecrets + "b", kSecrets + "c"});
  for (const auto& record : store.api.records())
    if (record.request.method == "PATCH") {
      CHECK(record.request.body.find("resourceVersion") != std::string::npos);
      CHECK(record.request.body.find("eA==") == std::string::npos);
    }
  CHECK(needed(store.wanted, store.looking()).verb == Verb::run); // nobody can see how an object lies in etcd
}

TEST_CASE("whoever was changed or deleted meanwhile has been written by somebody else") {
  Store store;
  store.api.intercept = [&](const net::Request& request) -> std::optional<net::Response> {
    if (request.method != "PATCH") return std::nullopt;
    if (request.url.ends_with("/a")) return net::Response{409, {}, R"({"kind": "Status", "reason": "Conflict"})"};
    if (request.url.ends_with("/b")) return net::Response{404, {}, R"({"kind": "Status", "reason": "NotFound"})"};
    return std::nullopt;
  };
  store.store();
  CHECK(store.written().size() == 3);
}

TEST_CASE("an object that may not be written is named") {
  Store store;
  store.api.intercept = [&](const net::Request& request) -> std::optional<net::Response> {
    if (request.method != "PATCH") return std::nullopt;
    return net::Response{400, {}, R"({"kind": "Status", "reason": "BadRequest", "message": "admission webhook says no"})"};
  };
  const auto message = messageOf([&] { store.store(); });
  CHECK(message.find("secrets/a cannot be written anew: admission webhook says no") != std::string::npos);
}

TEST_CASE("long lists come in pages, and one that has become too old goes on where it was") {
  Store store;
  std::vector<std::string> asked;
  store.api.intercept = [&](const net::Request& request) -> std::optional<net::Response> {
    if (request.method != "GET" || request.url.find("limit=") == std::string::npos) return std::nullopt;
    const auto mark = request.url.find("continue=");
    asked.push_back(mark == std::string::npos ? "" : request.url.substr(mark + 9));
    const auto page = [](const std::string& name, const std::string& next) {
      return Value{{"kind", "SecretList"}, {"metadata", {{"continue", next}, {"remainingItemCount", 1}}},
                   {"items", Value::array({Value{{"metadata", {{"name", name}, {"namespace", "team"}, {"resourceVersion", "1"}}}}})}}.dump();
    };
    if (asked.back().empty()) return net::Response{200, {}, page("a", "old")};
    if (asked.back() == "old") return net::Response{410, {}, R"({"kind": "Status", "reason": "Expired", "metadata": {"continue": "fresh"}})"};
    return net::Response{200, {}, page("c", "")};
  };
  store.store();
  CHECK(asked == std::vector<std::string>{"", "old", "fresh"});
  CHECK(store.written() == std::vector<std::string>{kSecrets + "a", kSecrets + "c"});
}

TEST_CASE("resources of a group are found by the version that it prefers") {
  Store store;
  store.wanted.resources = {"deployments.apps"};
  std::vector<std::string> asked;
  store.api.intercept = [&](const net::Request& request) -> std::optional<net::Response> {
    asked.push_back(request.method + " " + request.url.substr(request.url.find("/apis")));
    if (request.url.ends_with("/apis/apps")) return net::Response{200, {}, R"({"kind": "APIGroup", "preferredVersion": {"groupVersion": "apps/v1"}})"};
    if (request.method == "PATCH") return net::Response{200, {}, "{}"};
    return net::Response{200, {}, R"({"kind": "DeploymentList", "metadata": {}, "items": [{"metadata": {"name": "a", "namespace": "team"}}]})"};
  };
  store.store();
  CHECK(asked == std::vector<std::string>{"GET /apis/apps", "GET /apis/apps/v1/deployments?limit=50", "PATCH /apis/apps/v1/namespaces/team/deployments/a"});
}

TEST_CASE("of a resource, or a group, that is not there any more none is left to be written") {
  Store store;
  store.wanted.resources = {"widgets", "widgets.example.org"};
  store.api.intercept = [](const net::Request&) -> std::optional<net::Response> { return net::Response{404, {}, "404 page not found\n"}; };
  CHECK_NOTHROW(store.store());
  CHECK(store.written().empty());
}

TEST_CASE("what API servers do not have, or would not let be written, is known before") {
  Store store;
  store.api.intercept = [](const net::Request& request) -> std::optional<net::Response> {
    const auto is = [&](std::string_view path) { return request.url.ends_with(path); };
    if (is("/api/v1"))
      return net::Response{200, {}, R"({"resources": [{"name": "secrets", "verbs": ["list", "patch"]}, {"name": "secrets/x", "verbs": []}, {"name": "bindings", "verbs": ["create"]}]})"};
    if (is("/apis/apps")) return net::Response{200, {}, R"({"preferredVersion": {"groupVersion": "apps/v1"}})"};
    if (is("/apis/apps/v1")) return net::Response{200, {}, R"({"resources": [{"name": "deployments", "verbs": ["list", "patch"]}]})"};
    return net::Response{404, {}, "404 page not found\n"};
  };
  auto client = connect(store.wanted.access, store.looking());
  CHECK(unknownResources(client, {"secrets", "secret", "bindings", "deployments.apps", "deployments", "apps.apps", "widgets.example.org"}) ==
        std::vector<std::string>{"secret", "bindings", "deployments", "apps.apps", "widgets.example.org"});
}

TEST_CASE("an API server tells by which file it encrypts") {
  Store store;
  const EncryptsBy probe{.access = {.kubeconfig = "/admin.conf", .server = ""}, .file = "/pki/encryption.yaml"};
  CHECK(lackOf(probe, store.looking()) == "/pki/encryption.yaml is absent");
  store.host.put("/pki/encryption.yaml", "keys", 0600);
  std::string metrics = "# HELP a\nother 1\n";
  store.api.intercept = [&](const net::Request& request) -> std::optional<net::Response> {
    if (request.url.ends_with("/metrics")) return net::Response{200, {}, metrics};
    return std::nullopt;
  };
  CHECK(lackOf(probe, store.looking()) == "it does not encrypt yet");
  const auto says = [&](const std::string& text) {
    metrics = "# HELP a\napiserver_encryption_config_controller_last_config_info{apiserver_id_hash=\"sha256:" + sha256Hex("keys") + "\",hash=\"sha256:" + sha256Hex(text) + "\"} 1\n";
  };
  says("before");
  CHECK(lackOf(probe, store.looking()) == "it goes by what the file said before");
  says("keys");
  CHECK_FALSE(lackOf(probe, store.looking()));
}
