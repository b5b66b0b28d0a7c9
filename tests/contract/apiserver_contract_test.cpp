// kube::Client, and the FakeApi that other tests believe, against a real kube-apiserver; net::GrpcClient against a real
// etcd. KUBESTRAP_COMPONENTS is the folder of the binaries.

#include "kube/client.hpp"
#include "kube/kinds.hpp"
#include "net/grpc.hpp"
#include "net/http_curl.hpp"
#include "tests/contract/control_plane.hpp"
#include "tests/fakes/fake_api.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <set>

using namespace kubestrap;
using namespace kubestrap::contract;
using kube::ApiError;
using kube::Client;
using kube::ObjectKey;

namespace {

using Notes = std::vector<std::string>;

const ObjectKey configKey{"v1", "ConfigMap", "kube-system", "contract"};

Value configMap(const Value& data) {
  return {{"apiVersion", "v1"},
          {"kind", "ConfigMap"},
          {"metadata", {{"name", "contract"}, {"namespace", "kube-system"}}},
          {"data", data}};
}

Value daemonSet(const Value& containers) {
  const Value labels{{"app", "contract"}};
  return {{"apiVersion", "apps/v1"},
          {"kind", "DaemonSet"},
          {"metadata", {{"name", "contract"}, {"namespace", "kube-system"}}},
          {"spec",
           {{"selector", {{"matchLabels", labels}}},
            {"template", {{"metadata", {{"labels", labels}}}, {"spec", {{"containers", containers}}}}}}}};
}

/// What a call comes to, in a word.
std::string outcome(const std::function<void()>& call) {
  try {
    call();
    return "ok";
  } catch (const Conflict&) {
    return "Conflict";
  } catch (const ApiError& error) {
    return fmt::format("{} {}", error.status(), error.reason());
  }
}

std::string statusOf(const net::Response& response) {
  const Value body = Value::parse(response.body, nullptr, false);
  return fmt::format("{} {}", response.status, body.is_discarded() ? "" : stringAt(body, "reason"));
}

struct Story {
  Client& client;
  Notes notes{};

  void note(const std::string& what, const std::string& seen) { notes.push_back(what + ": " + seen); }
  std::string version() { return stringAt(*client.get(configKey), "metadata.resourceVersion"); }
  std::string data() {
    const auto found = client.get(configKey);
    if (!found) return "absent";
    return found->contains("data") ? sorted((*found)["data"]).dump() : "none";
  }
  net::Response applyAs(const std::string& manager, const Value& document, bool force = false) {
    return client.raw("PATCH",
                      kube::pathOf(kube::keyOf(document)) + "?fieldManager=" + manager + (force ? "&force=true" : ""),
                      document.dump(), "application/apply-patch+yaml");
  }
  void configMaps();
  void owners();
  void daemonSets();
  void refusals();
};

void Story::configMaps() {
  note("absent", data());
  note("remove what is absent", outcome([&] { client.remove(configKey); }));
  note("create", outcome([&] { client.create(configMap({{"a", "1"}})); }));
  note("create again", outcome([&] { client.create(configMap({{"a", "2"}})); }));
  std::string before = version();
  note("apply over a created one", outcome([&] { client.apply(configMap({{"a", "1"}, {"b", "1"}})); }));
  note("the version has changed", version() != before ? "yes" : "no");
  before = version();
  note("apply the same again", outcome([&] { client.apply(configMap({{"a", "1"}, {"b", "1"}})); }));
  note("the version has changed", version() != before ? "yes" : "no");
  note("apply with one member less", outcome([&] { client.apply(configMap({{"a", "1"}})); }));
  note("data", data());
  const std::string outdated = version();
  const Value patch{{"metadata", {{"resourceVersion", outdated}}}, {"data", {{"c", "1"}, {"a", nullptr}}}};
  note("merge patch", outcome([&] { client.mergePatch(configKey, patch); }));
  note("data", data());
  note("merge patch, outdated", outcome([&] { client.mergePatch(configKey, patch); }));
  Value document = configMap({{"z", "1"}});
  document["metadata"]["resourceVersion"] = outdated;
  note("apply, outdated", outcome([&] { client.apply(document); }));
  document["metadata"]["resourceVersion"] = version();
  note("apply, up to date", outcome([&] { client.apply(document); }));
  note("remove", outcome([&] { client.remove(configKey); }));
  note("data", data());
  note("apply with a version to what is absent", outcome([&] { client.apply(document); }));
  note("data", data());
}

void Story::owners() {
  client.remove(configKey);
  note("user applies", statusOf(applyAs("user", configMap({{"a", "1"}, {"b", "1"}}))));
  note("ours, without force", statusOf(applyAs("kubestrap", configMap({{"a", "2"}}))));
  note("ours, the same value", statusOf(applyAs("kubestrap", configMap({{"b", "1"}}))));
  note("ours, with force", statusOf(applyAs("kubestrap", configMap({{"a", "2"}, {"b", "1"}}), true)));
  note("user lets go", statusOf(applyAs("user", configMap(Value::object()))));
  note("data", data());
  const Value live = *client.get(configKey);
  for (const Value& entry : live["metadata"]["managedFields"])
    note("managed by " + stringAt(entry, "manager") + " " + stringAt(entry, "operation"),
         sorted(entry["fieldsV1"]).dump());
  note("no manager",
       statusOf(client.raw("PATCH", kube::pathOf(configKey), configMap({}).dump(), "application/apply-patch+yaml")));
  client.remove(configKey);
}

void Story::daemonSets() {
  const ObjectKey key{"apps/v1", "DaemonSet", "kube-system", "contract"};
  client.remove(key);
  client.apply(daemonSet({{{"name", "one"}, {"image", "a:1"}}, {{"name", "two"}, {"image", "b:1"}}}));
  applyAs("user", daemonSet({{{"name", "side"}, {"image", "s:1"}}}));
  client.apply(daemonSet({{{"name", "one"}, {"image", "a:2"}}}));
  const Value live = *client.get(key);
  for (const Value& container : *find(live, "spec.template.spec.containers"))
    note("container", container["name"].get<std::string>() + " " + container["image"].get<std::string>() + " " +
                          stringAt(container, "terminationMessagePath"));
  note("generation", live["metadata"]["generation"].dump());
  note("restart policy", stringAt(live, "spec.template.spec.restartPolicy"));
  note("covers what was applied",
       differences(live, daemonSet({{{"name", "one"}, {"image", "a:2"}}, {{"name", "side"}, {"image", "s:1"}}})).empty()
           ? "yes"
           : "no");
  client.remove(key);
}

void Story::refusals() {
  const std::string maps = "/api/v1/namespaces/kube-system/configmaps";
  note("unknown resource", statusOf(client.raw("GET", "/api/v1/gadgets")));
  note("missing namespace", statusOf(client.raw("POST", "/api/v1/namespaces/nowhere/configmaps",
                                                R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x"}})")));
  note("another kind", statusOf(client.raw("POST", "/api/v1/namespaces/kube-system/secrets", configMap({}).dump())));
  note("another namespace",
       statusOf(client.raw("POST", "/api/v1/namespaces/default/configmaps", configMap({}).dump())));
  note("no JSON", statusOf(client.raw("POST", maps, "{")));
  note("strange media type", statusOf(client.raw("POST", maps, configMap({}).dump(), "text/plain")));
  note("patch of what is absent", statusOf(client.raw("PATCH", maps + "/none", "{}", "application/merge-patch+json")));
  Value secret{{"apiVersion", "v1"},
               {"kind", "Secret"},
               {"metadata", {{"name", "contract"}, {"namespace", "kube-system"}}},
               {"stringData", {{"a", "hello"}}}};
  note("a secret's data", client.apply(secret)["data"].dump());
  client.remove(kube::keyOf(secret));
  Value binding{{"apiVersion", "rbac.authorization.k8s.io/v1"},
                {"kind", "ClusterRoleBinding"},
                {"metadata", {{"name", "contract:binding"}}},
                {"roleRef", {{"apiGroup", "rbac.authorization.k8s.io"}, {"kind", "ClusterRole"}, {"name", "view"}}},
                {"subjects", Value::array({{{"kind", "Group"}, {"name", "g"}}})}};
  note("a binding's subjects", sorted(client.apply(binding)["subjects"]).dump());
  binding["roleRef"]["name"] = "edit";
  note("another role", outcome([&] { client.apply(binding); }));
  client.remove(kube::keyOf(binding));
}

Notes tell(Client& client) {
  Story story{client};
  story.configMaps();
  story.owners();
  story.daemonSets();
  story.refusals();
  return story.notes;
}

/// etcdserverpb.CompactionRequest{revision: field 1}
std::string compactionAt(std::size_t revision) {
  std::string bytes = "\x08";
  for (; revision > 0x7f; revision >>= 7) bytes += static_cast<char>(0x80 | (revision & 0x7f));
  return bytes + static_cast<char>(revision);
}

std::string joined(const Notes& notes) {
  std::string text;
  for (const std::string& line : notes) text += line + "\n";
  return text;
}

} // namespace

TEST_CASE("the fake API server behaves as the real one") {
  auto* plane = controlPlane();
  if (!plane) return;
  net::CurlTransport transport;
  Client real(transport, plane->admin());
  fakes::FakeApi fake;
  Client imitated(fake, {.server = "https://10.0.0.11:6443", .authorities = "CA", .token = Secret("t")});
  const Notes seen = tell(real), imitation = tell(imitated);
  REQUIRE(seen.size() > 40);
  CHECK(joined(imitation) == joined(seen));
}

TEST_CASE("the table of kinds is what a real API server has") {
  auto* plane = controlPlane();
  if (!plane) return;
  net::CurlTransport transport;
  Client client(transport, plane->admin());
  for (const kube::Kind& row : kube::kinds()) {
    const std::string path = (kube::groupOf(row.apiVersion).empty() ? "/api/" : "/apis/") + std::string(row.apiVersion);
    const Value listed = parseJson(client.raw("GET", path).body);
    CAPTURE(row.apiVersion);
    CAPTURE(row.kind);
    const Value& resources = listed["resources"];
    const auto found = std::find_if(resources.begin(), resources.end(),
                                    [&](const Value& each) { return stringAt(each, "name") == row.plural; });
    REQUIRE(found != resources.end());
    CHECK(stringAt(*found, "kind") == row.kind);
    CHECK((*found)["namespaced"] == (row.scope == kube::Scope::nameSpaced));
    const std::string nameSpace = row.scope == kube::Scope::nameSpaced ? "default" : "";
    CHECK_FALSE(client.get({std::string(row.apiVersion), std::string(row.kind), nameSpace, "contract-none"}));
  }
}

TEST_CASE("a real watch tells changes, and the server may end it") {
  auto* plane = controlPlane();
  if (!plane) return;
  net::CurlTransport transport;
  Client client(transport, plane->admin());
  const std::string start = stringAt(client.create(configMap({{"a", "1"}})), "metadata.resourceVersion");
  client.mergePatch(configKey, {{"data", {{"a", "2"}}}});
  client.remove(configKey);
  Notes seen;
  const std::string path = "/api/v1/namespaces/kube-system/configmaps";
  client.watch(path + "?fieldSelector=metadata.name%3Dcontract", start,
               [&](const std::string& type, const Value& object) {
                 seen.push_back(type + " " + stringAt(object, "data.a"));
                 return type != "DELETED";
               });
  CHECK(seen == Notes{"MODIFIED 2", "DELETED 2"});
  seen.clear();
  client.watch(path + "?timeoutSeconds=1", start, [&](const std::string& type, const Value&) {
    seen.push_back(type);
    return true;
  });
  CHECK(std::count(seen.begin(), seen.end(), "DELETED") == 1);
}

TEST_CASE("a real watch that begins before etcd's history is told so by 410") {
  auto* plane = controlPlane();
  if (!plane) return;
  net::CurlTransport transport;
  Client client(transport, plane->admin());
  const std::string start = stringAt(client.create(configMap({{"a", "1"}})), "metadata.resourceVersion");
  client.remove(configKey);
  net::GrpcClient etcd(transport, {.url = plane->etcdUrl(), .tls = plane->etcdIdentity()});
  etcd.unary("/etcdserverpb.KV/Compact", compactionAt(std::stoul(start) + 1));
  const auto all = [](const std::string&, const Value&) { return true; };
  // Events are the kind that the API server keeps no cache of.
  CHECK(outcome([&] { client.watch("/api/v1/events?timeoutSeconds=5", "1", all); }) == "410 Expired");
}

TEST_CASE("a real list is whole over many pages") {
  auto* plane = controlPlane();
  if (!plane) return;
  net::CurlTransport transport;
  Client client(transport, plane->admin());
  std::set<std::string> wanted, found;
  for (int i = 0; i < 520; ++i) {
    const std::string name = fmt::format("contract-{:04}", i);
    client.create({{"apiVersion", "v1"},
                   {"kind", "ConfigMap"},
                   {"metadata", {{"name", name}, {"namespace", "default"}, {"labels", {{"many", "yes"}}}}}});
    wanted.insert(name);
  }
  for (const Value& each : client.list("v1", "ConfigMap", "", "many=yes")) {
    CHECK(each["kind"] == "ConfigMap");
    found.insert(stringAt(each, "metadata.name"));
  }
  CHECK(found == wanted);
}

TEST_CASE("a real API server tells strangers, and those without rights, what they are") {
  auto* plane = controlPlane();
  if (!plane) return;
  net::CurlTransport transport;
  const auto nobody = plane->authority().issue({"somebody", {}}, certs::ExtendedUsage::clientAuth);
  Client withoutRights(transport, plane->as(nobody));
  CHECK(outcome([&] { withoutRights.get(configKey); }) == "403 Forbidden");
  const auto stranger =
      net::tests::Authority("other").issue({"kubernetes-admin", {"system:masters"}}, certs::ExtendedUsage::clientAuth);
  Client unknown(transport, plane->as(stranger));
  CHECK(outcome([&] { unknown.get(configKey); }) == "401 Unauthorized");
  kube::Kubeconfig noName = plane->admin();
  noName.tlsServerName.clear();
  Client wrongName(transport, noName);
  try {
    wrongName.get(configKey);
    FAIL("a server of another name was trusted");
  } catch (const net::TransportError& error) {
    CHECK(error.kind() == net::TransportError::Kind::tls);
  }
}

TEST_CASE("a real etcd answers gRPC over TLS, and refuses strangers") {
  auto* plane = controlPlane();
  if (!plane) return;
  net::CurlTransport transport;
  net::GrpcClient client(transport, {.url = plane->etcdUrl(), .tls = plane->etcdIdentity()});
  for (int i = 0; i < 50; ++i) { // on one connection; the refusal often comes before the request is complete
    CHECK(client.unary("/etcdserverpb.Cluster/MemberList", "").find("contract") != std::string::npos);
    try {
      client.unary("/etcdserverpb.Cluster/NoSuchCall", "");
      FAIL("etcd has no such call");
    } catch (const net::GrpcError& error) {
      CHECK(error.code() == net::GrpcCode::unimplemented);
    }
  }
  std::size_t octets = 0, pieces = 0;
  client.serverStream("/etcdserverpb.Maintenance/Snapshot", "", std::chrono::seconds(30),
                      [&](std::string_view message) {
                        octets += message.size();
                        return ++pieces, true;
                      });
  CHECK(octets > 20'000);
  CHECK(pieces > 1);

  const auto strange = net::tests::Authority("other").issue({"stranger", {}}, certs::ExtendedUsage::clientAuth);
  net::TlsIdentity identity = plane->etcdIdentity();
  identity.certificate = strange.certificate;
  identity.key = strange.key;
  net::GrpcClient stranger(transport, {.url = plane->etcdUrl(), .tls = identity});
  try {
    stranger.unary("/etcdserverpb.Cluster/MemberList", "");
    FAIL("a stranger was let in");
  } catch (const net::TransportError& error) {
    CAPTURE(error.message());
    CHECK(error.kind() == net::TransportError::Kind::clientCertificateRefused);
  }
}
