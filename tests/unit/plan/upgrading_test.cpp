#include "plan/upgrading.hpp"
#include "tests/fakes/fake_etcd.hpp"
#include "tests/unit/plan/world.hpp"

#include "certs/x509.hpp"
#include "support/encoding.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

using namespace kubestrap;
using namespace kubestrap::plan;

namespace {

const std::string kManifest = "/etc/kubernetes/manifests/etcd.yaml";

std::string pod(const std::string& image) { return "spec:\n  containers:\n  - name: etcd\n    image: " + image + "\n"; }

/// A kubelet that, when it is started anew, runs what its folder says.
struct Kubelet : SmallWorld {
  Kubelet() {
    host.services["kubelet"].active = "active";
    host.put(kManifest, pod("etcd:3.6.8-0"));
    run();
    host.now += std::chrono::hours(1);
    host.onServiceAction = [this](const std::string&, host::Host::ServiceAction action) {
      if (action == host::Host::ServiceAction::stop) return;
      if (std::exchange(deaf, false)) return;
      for (auto& each : cri.found) each.state = host::Container::State::exited;
      run();
    };
  }
  void run() {
    cri.found.push_back({.id = std::to_string(cri.found.size()), .podNamespace = "kube-system", .name = "etcd", .state = host::Container::State::running, .createdAt = host.now});
  }
  ReplaceStaticPods wanted(const std::string& image) {
    return {.pods = {{.pod = {"etcd", image, kManifest}, .manifest = pod(image), .unlessHealthy = {}}}, .patience = std::chrono::minutes(1)};
  }
  bool deaf = false;
};

constexpr const char* kKubeconfig = "apiVersion: v1\nkind: Config\nclusters:\n- name: c\n  cluster:\n    server: https://10.0.0.11:6443\n";

/// A node that is drained for its kubelet; its pods leave when they are asked to.
struct Drained : SmallWorld {
  Drained() {
    host.put("/etc/kubernetes/admin.conf", kKubeconfig);
    api.put({{"apiVersion", "v1"}, {"kind", "Node"}, {"metadata", {{"name", "n1"}}}});
    pod("web-1", true);
  }
  void pod(const std::string& name, bool owned) {
    Value made{{"apiVersion", "v1"}, {"kind", "Pod"}, {"metadata", {{"name", name}, {"namespace", "default"}}}, {"spec", {{"nodeName", "n1"}}}};
    if (owned) made["metadata"]["ownerReferences"] = Value::array({{{"kind", "ReplicaSet"}, {"name", "web"}, {"controller", true}}});
    api.put(made);
  }
  void held() {
    api.intercept = [](const net::Request& request) -> std::optional<net::Response> {
      if (!request.url.ends_with("/eviction")) return std::nullopt;
      return net::Response{.status = 429, .headers = {}, .body = R"({"kind":"Status","details":{"causes":[{"message":"The disruption budget web needs 1"}]}})"};
    };
  }
  bool closed() const {
    const auto node = api.object("/api/v1/nodes/n1");
    const auto* found = find(*node, "spec.unschedulable");
    return found && *found == true;
  }
  Drain wanted(Drain::Alone alone = Drain::Alone::refused) {
    return {.access = {"/etc/kubernetes/admin.conf", {}}, .node = "n1", .patience = std::chrono::seconds(10), .alone = alone, .then = Drain::Node::returns};
  }
  Uncordon opened() { return {.access = {"/etc/kubernetes/admin.conf", {}}, .node = "n1"}; }
  void drain() {
    const Task task{wanted()};
    enact(task, diff(task, applying()), applying());
  }
};

/// A cluster as an upgrade sees it, from n1.
struct Cluster : SmallWorld {
  Cluster() {
    host.put("/etc/kubernetes/admin.conf", kKubeconfig);
    setup.node.name = "n1";
  }
  const config::Upgrading& look() {
    setup.request.upgrading = {};
    setup.request.upgrading.kubeletProgram = program;
    lookAtUpgrade(setup, {.api = {"/etc/kubernetes/admin.conf", {}}, .authority = {}, .certificate = {}, .key = {}}, world);
    return setup.request.upgrading;
  }
  config::Setup setup;
  std::string program;
};

/// A file that begins as bbolt's do.
std::string database(std::size_t size) {
  std::string bytes(size, 'x');
  bytes.replace(16, 4, "\xed\xda\x0c\xed");
  return bytes;
}

} // namespace

TEST_CASE("a static pod whose manifest differs is replaced, and once it runs by it there is nothing to do") {
  Kubelet world;
  CHECK(world.make(Task{world.wanted("etcd:3.7.0-0")}) == "update (the manifest of etcd differs)");
  CHECK(world.host.text(kManifest) == pod("etcd:3.7.0-0"));
  CHECK(std::ranges::count(world.cri.effects, "stop container 0") == 1);
}

TEST_CASE("a static pod that does not run by its manifest yet, since a run was killed, is waited for") {
  Kubelet world;
  world.host.put(kManifest, pod("etcd:3.7.0-0"));
  CHECK(world.make(Task{world.wanted("etcd:3.7.0-0")}) == "update (not all run by their files yet)");
}

TEST_CASE("a static pod that is not made anew ends the wait when patience is over") {
  Kubelet world;
  world.deaf = true;
  const Task task{world.wanted("etcd:3.7.0-0")};
  const auto change = diff(task, world.applying());
  const auto said = messageOf([&] { enact(task, change, world.applying()); });
  CHECK(said == "gave up after 60s waiting until static pod etcd is made anew: etcd does not run yet");
}

TEST_CASE("what an etcd has stored is copied while it does not run, and put back when it is to be as it was") {
  using Does = ReplaceStaticPods::Data::Does;
  Kubelet world;
  world.host.put("/var/lib/etcd/member/db", "as it was");
  bool ran = true;
  world.host.onRun = [&](const host::Command& command) -> host::CommandResult {
    REQUIRE(command.program == "cp");
    ran = std::ranges::any_of(world.cri.found, [](const auto& each) { return each.state == host::Container::State::running; });
    const auto to = command.arguments.back(), from = command.arguments[command.arguments.size() - 2];
    world.host.put(to + "/member/db", world.host.text(from + "/member/db"));
    return {};
  };
  auto wanted = world.wanted("etcd:3.7.0-0");
  wanted.data = {.component = "etcd", .folder = "/var/lib/etcd", .copy = "/kept/etcd", .health = "http://127.0.0.1:2381/readyz", .does = Does::keep};
  world.make(Task{wanted});
  CHECK_FALSE(ran);
  CHECK(world.host.text("/kept/etcd/whole/member/db") == "as it was");
  CHECK(world.host.list("/kept/etcd") == std::vector<std::string>{"whole"});

  world.host.put("/var/lib/etcd/member/db", "touched by the new one");
  world.host.put("/var/lib/etcd/member/more", "");
  auto former = world.wanted("etcd:3.6.8-0");
  former.data = wanted.data;
  former.data->does = Does::putBack;
  former.pods[0].unlessHealthy = "http://127.0.0.1:2381/readyz";
  world.api.page("http://127.0.0.1:2381/readyz", 200);
  world.make(Task{former});
  CHECK(world.host.text("/var/lib/etcd/member/db") == "touched by the new one");
  world.api.page("http://127.0.0.1:2381/readyz", 500);
  world.make(Task{former});
  CHECK(world.host.text("/var/lib/etcd/member/db") == "as it was");
  CHECK(world.host.list("/var/lib/etcd/member") == std::vector<std::string>{"db"});
}

TEST_CASE("a copy of what an etcd has stored stays while none is well; one that was cut off, or is older than what one that is well stores, is made anew") {
  Kubelet world;
  world.host.onRun = [&](const host::Command& command) -> host::CommandResult {
    const auto to = command.arguments.back(), from = command.arguments[command.arguments.size() - 2];
    world.host.put(to + "/member/db", world.host.text(from + "/member/db"));
    return {};
  };
  auto wanted = world.wanted("etcd:3.7.0-0");
  wanted.data = {.component = "etcd", .folder = "/var/lib/etcd", .copy = "/kept/etcd", .health = "http://127.0.0.1:2381/readyz"};
  world.host.put(kManifest, pod("etcd:3.7.0-0")); // a run was killed
  world.host.put("/var/lib/etcd/member/db", "touched");
  const auto copied = [&](const std::string& name, int health) {
    world.host.removeTree("/kept/etcd");
    world.host.put("/kept/etcd/" + name + "/member/db", "earlier");
    world.api.page("http://127.0.0.1:2381/readyz", health);
    world.host.now += std::chrono::seconds(1);
    world.host.put(kManifest, pod("etcd:3.7.0-0"));
    world.make(Task{wanted});
    return world.host.text("/kept/etcd/whole/member/db");
  };
  CHECK(copied("whole", 500) == "earlier");
  CHECK(copied("begun", 500) == "touched");
  CHECK(copied("whole", 200) == "touched");
}

TEST_CASE("a static pod that is well is left as it is where that is asked for") {
  Kubelet world;
  auto wanted = world.wanted("etcd:3.7.0-0");
  wanted.pods[0].unlessHealthy = "http://127.0.0.1:2381/readyz";
  world.api.page("http://127.0.0.1:2381/readyz", 200);
  CHECK_FALSE(diff(Task{wanted}, world.looking()).changes());
  world.api.page("http://127.0.0.1:2381/readyz", 503);
  CHECK(diff(Task{wanted}, world.looking()).changes());
}

TEST_CASE("a snapshot of etcd is kept whole, with the sum behind it, and taken anew for another upgrade") {
  SmallWorld world;
  fakes::FakeEtcd etcd(world.api);
  etcd.database = database(100000);
  for (const auto* file : {"/ca", "/crt", "/key"}) world.host.put(file, "pem");
  World outside{world.host, world.cri, etcd, world.clock, world.entropy};
  Context context{.world = outside, .applying = true, .phase = "test"};
  const Task task{SaveEtcdSnapshot{.access = {.api = {}, .authority = "/ca", .certificate = "/crt", .key = "/key"}, .endpoint = "https://10.0.0.11:2379",
                                   .file = "/kept/etcd.db", .newerThan = "/kept/begun"}};
  world.host.put("/kept/begun", "");
  const auto change = diff(task, context);
  CHECK(change.changes());
  enact(task, change, context);
  CHECK(world.host.text("/kept/etcd.db") == etcd.database + sha256(etcd.database));
  CHECK_FALSE(diff(task, context).changes());
  world.host.now += std::chrono::hours(1);
  world.host.put("/kept/begun", "");
  CHECK(diff(task, context).reason == "it is of an earlier time");

  etcd.sum = fakes::FakeEtcd::Sum::wrong;
  CHECK(messageOf([&] { enact(task, change, context); }) == "the snapshot of etcd did not come whole: it is not what etcd has added up");
  CHECK(world.host.text("/kept/etcd.db.part").empty());
  etcd.sum = fakes::FakeEtcd::Sum::right;
  etcd.database = std::string(100000, 'x');
  CHECK(messageOf([&] { enact(task, change, context); }) == "the snapshot of etcd did not come whole: it is not what etcd has added up");
}

TEST_CASE("whether etcd can do without a member for a while: the others have to be all well, or more than half") {
  struct Row {
    const char* members; ///< the first is its own; w: well, s: silent, l: a learner
    bool can;
  };
  const Row rows[] = {{"w", true}, {"ww", true}, {"ws", false}, {"wws", false}, {"wwwws", true}, {"wwwss", false}, {"wwl", true}, {"wwwl", true}, {"ss", true}};
  for (const auto& row : rows) {
    CAPTURE(row.members);
    SmallWorld world;
    fakes::FakeEtcd etcd(world.api);
    for (const auto* file : {"/ca", "/crt", "/key"}) world.host.put(file, "pem");
    for (const char* member = row.members; *member; ++member) {
      const auto id = etcd.members.size() + 1;
      etcd.members.push_back({.id = id, .name = fmt::format("n{}", id), .peerUrl = fmt::format("https://10.0.0.{}:2380", id), .clientUrl = fmt::format("https://10.0.0.{}:2379", id),
                              .learner = *member == 'l', .silent = *member == 's' || *member == 'l'});
    }
    World outside{world.host, world.cri, etcd, world.clock, world.entropy};
    const Context context{.world = outside, .applying = true, .phase = "test"};
    CHECK(lackOfOthers({.api = {}, .authority = "/ca", .certificate = "/crt", .key = "/key"}, "https://10.0.0.1:2379", context).has_value() != row.can);
  }
}

TEST_CASE("the API server's metrics say which outdated APIs are in use") {
  const auto found = deprecatedApis("# HELP apiserver_requested_deprecated_apis x\n"
                                    "apiserver_requested_deprecated_apis{group=\"flowcontrol.apiserver.k8s.io\",removed_release=\"1.37\",resource=\"flowschemas\","
                                    "subresource=\"\",version=\"v1beta3\"} 1\n"
                                    "apiserver_requested_deprecated_apis{group=\"\",removed_release=\"\",resource=\"endpoints\",subresource=\"\",version=\"v1\"} 1\n"
                                    "apiserver_request_total 7\n");
  REQUIRE(found.size() == 1); // what stays for good stands in nobody's way
  CHECK(found[0].name == "flowschemas.v1beta3.flowcontrol.apiserver.k8s.io");
  CHECK(found[0].removedIn == "1.37");
}

TEST_CASE("a webhook is told of unless its selector leaves out what kube-system is labelled with") {
  Cluster cluster;
  const std::string nameSpace = "/api/v1/namespaces/kube-system";
  auto system = *cluster.api.object(nameSpace);
  system["metadata"]["labels"]["team"] = "platform";
  cluster.api.put(system);
  struct Row {
    const char* selector;
    std::size_t told;
  };
  const Row rows[] = {
      {R"({})", 1},
      {R"({"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}})", 1},
      {R"({"matchLabels": {"team": "platform"}})", 1},
      {R"({"matchLabels": {"team": "shop"}})", 0},
      {R"({"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}, "matchExpressions": [{"key": "team", "operator": "DoesNotExist"}]})", 0},
      {R"({"matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["kube-system"]}]})", 0},
      {R"({"matchExpressions": [{"key": "team", "operator": "Exists"}]})", 1},
  };
  for (const auto& row : rows) {
    CAPTURE(row.selector);
    const Value webhook{{"name", "pods.example.org"}, {"namespaceSelector", parseJson(row.selector)}, {"rules", parseJson(R"([{"resources": ["pods"]}])")},
                        {"clientConfig", {{"service", {{"namespace", "policy"}, {"name", "webhook"}}}}}};
    cluster.api.put({{"apiVersion", "admissionregistration.k8s.io/v1"}, {"kind", "ValidatingWebhookConfiguration"}, {"metadata", {{"name", "policy"}}},
                     {"webhooks", Value::array({webhook})}});
    const auto& seen = cluster.look();
    CHECK(seen.unreachable == "");
    REQUIRE(seen.webhooks.size() == row.told);
    if (row.told) CHECK(seen.webhooks[0].unready);
  }
}

TEST_CASE_FIXTURE(Cluster, "another control plane that is away for its upgrade is seen, for as long as its turn lasts") {
  const auto takes = [&](const char* holder) {
    api.put({{"apiVersion", "coordination.k8s.io/v1"}, {"kind", "Lease"}, {"metadata", {{"name", "kubestrap-control-plane"}, {"namespace", "kube-system"}}},
             {"spec", {{"holderIdentity", holder}, {"leaseDurationSeconds", 60}, {"acquireTime", formatRfc3339(host.now)}}}});
  };
  CHECK(look().othersTurn == "");
  takes("n1");
  CHECK(look().othersTurn == "");
  takes("n2");
  CHECK(look().othersTurn == "n2");
  host.now += std::chrono::seconds(61);
  CHECK(look().othersTurn == "");
}

TEST_CASE("a roll looks at the certificate that each other control plane's API server shows; an upgrade of one node does not") {
  const auto key = certs::PrivateKey::generate(certs::KeyAlgorithm::ecdsaP256);
  for (const auto layout : {config::Layout::hosted, config::Layout::plain}) {
    Cluster cluster;
    cluster.setup.cluster.kubestrap.layout = layout;
    const auto end = cluster.host.now + std::chrono::hours(24);
    const auto pem = certs::issue({.name = "apiserver", .subject = {.commonName = "kube-apiserver"}, .names = {}}, key, certs::Issuer{.key = key},
                                  {.notBefore = cluster.host.now, .notAfter = end, .serialBytes = std::string(8, '\1')}).pem();
    for (const std::string name : {"n1", "n2", "n3"}) {
      cluster.api.put({{"apiVersion", "v1"}, {"kind", "Node"}, {"metadata", {{"name", name}, {"labels", {{"node-role.kubernetes.io/control-plane", ""}}}}}});
      cluster.api.put({{"apiVersion", "v1"}, {"kind", "Pod"},
                       {"metadata", {{"name", "kube-apiserver-" + name}, {"namespace", "kube-system"}, {"labels", {{"component", "kube-apiserver"}, {"tier", "control-plane"}}},
                                     {"annotations", {{"kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint", "10.0.0.1" + name.substr(1) + ":6443"}}}}},
                       {"spec", {{"nodeName", name}}}});
    }
    cluster.api.shows = [&](const std::string& host, int port) {
      if (host == "10.0.0.13" || port != 6443) throw Error("it shows none");
      return pem;
    };
    const auto& shown = cluster.look().shownCertificates;
    if (layout == config::Layout::plain) {
      CHECK(shown.empty());
      continue;
    }
    REQUIRE(shown.size() == 1);
    CHECK(shown.at("n2").endpoint == "10.0.0.12:6443");
    CHECK(shown.at("n2").end == end);
  }
}

TEST_CASE("every control plane's API server is asked which outdated APIs are in use, and the one that cannot be asked is named") {
  Cluster cluster;
  cluster.api.servers = {"https://10.0.0.11:6443", "https://10.0.0.12:6443"};
  for (const std::string name : {"n1", "n2", "n3", "w1"}) {
    Value node{{"apiVersion", "v1"}, {"kind", "Node"}, {"metadata", {{"name", name}}}};
    if (name != "w1") node["metadata"]["labels"]["node-role.kubernetes.io/control-plane"] = "";
    cluster.api.put(node);
    if (name == "w1" || name == "n3") continue;
    cluster.api.put({{"apiVersion", "v1"}, {"kind", "Pod"},
                     {"metadata", {{"name", "kube-apiserver-" + name}, {"namespace", "kube-system"}, {"labels", {{"component", "kube-apiserver"}, {"tier", "control-plane"}}},
                                   {"annotations", {{"kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint", name == "n1" ? "10.0.0.11:6443" : "10.0.0.12:6443"}}}}},
                     {"spec", {{"nodeName", name}}}});
  }
  cluster.api.intercept = [](const net::Request& request) -> std::optional<net::Response> {
    if (!request.url.ends_with("/metrics")) return std::nullopt;
    const bool second = request.url.find("10.0.0.12") != request.url.npos;
    return net::Response{.status = 200, .body = second ? "apiserver_requested_deprecated_apis{group=\"a.example.org\",removed_release=\"1.38\",resource=\"as\",version=\"v1beta1\"} 1\n" : ""};
  };
  const auto& seen = cluster.look();
  REQUIRE(seen.deprecated.size() == 1);
  CHECK(seen.deprecated[0].name == "as.v1beta1.a.example.org");
  CHECK(seen.unasked == std::map<std::string, std::string>{{"n3", "nobody says where it serves"}});
}

TEST_CASE_FIXTURE(Drained, "a node that was drained for its kubelet takes pods again; one that somebody else had closed before stays closed") {
  drain();
  CHECK(closed());
  CHECK(make(Task{opened()}) == "update (takes none now)");
  CHECK_FALSE(closed());

  pod("web-2", true);
  api.put({{"apiVersion", "v1"}, {"kind", "Node"}, {"metadata", {{"name", "n1"}}}, {"spec", {{"unschedulable", true}}}});
  drain();
  CHECK_FALSE(diff(Task{opened()}, looking()).changes());
  CHECK(closed());
}

TEST_CASE_FIXTURE(Drained, "a node whose kubelet could not be replaced takes pods again; one whose new kubelet is in place stays closed, and that is told") {
  auto after = opened();
  after.unlessInstalled = Uncordon::Unless{"/root/kubelet", "/usr/bin/kubelet"};
  bool installed = true;
  host.onRun = [&](const host::Command&) -> host::CommandResult { return {.exitCode = installed ? 0 : 1}; };
  drain();
  CHECK(messageOf([&] { diff(Task{after}, applying()); }) ==
        "node n1 takes no new pods, since its kubelet was replaced and is not well: mend it and run this again, or: kubectl uncordon n1");
  CHECK(closed());
  api.reachable = [](const net::Request&) { return false; };
  CHECK(messageOf([&] { diff(Task{after}, applying()); }).starts_with("node n1 may be closed for new pods ("));
  api.reachable = {};
  installed = false;
  CHECK(make(Task{after}) == "update (takes none now)");
  CHECK_FALSE(closed());
}

TEST_CASE_FIXTURE(Drained, "a node whose pods do not leave in time takes pods again, unless somebody else had closed it") {
  held();
  CHECK(messageOf([&] { drain(); }).find("The disruption budget web needs 1") != std::string::npos);
  CHECK_FALSE(closed());
  CHECK_FALSE(diff(Task{opened()}, looking()).changes());

  api.put({{"apiVersion", "v1"}, {"kind", "Node"}, {"metadata", {{"name", "n1"}}}, {"spec", {{"unschedulable", true}}}});
  messageOf([&] { drain(); });
  CHECK(closed());
}

TEST_CASE_FIXTURE(Drained, "pods that nobody makes anew elsewhere are named before a node is closed, unless they may end") {
  pod("held", false);
  CHECK(messageOf([&] { drain(); }) == "nobody makes these pods anew elsewhere when node n1 is drained: default/held");
  CHECK_FALSE(closed());
  CHECK(api.object("/api/v1/namespaces/default/pods/web-1"));
  make(Task{wanted(Drain::Alone::ended)});
  CHECK_FALSE(api.object("/api/v1/namespaces/default/pods/held"));
}

TEST_CASE_FIXTURE(Cluster, "pods that nobody makes anew elsewhere are looked for where a kubelet is to be put in place") {
  for (const std::string node : {"n1", "n2"})
    api.put({{"apiVersion", "v1"}, {"kind", "Pod"}, {"metadata", {{"name", "on-" + node}, {"namespace", "default"}}}, {"spec", {{"nodeName", node}}}});
  CHECK(look().alone.empty());
  program = "/root/kubelet";
  CHECK(look().alone == std::vector<std::string>{"default/on-n1"});
}
