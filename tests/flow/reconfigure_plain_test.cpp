// Other settings of a plain control plane: to the new ones, or back to the old ones, whatever stops it.
#include "tests/flow/machine.hpp"
#include "tests/lines.hpp"

#include "certs/x509.hpp"
#include "cmd/own_cluster.hpp"
#include "cmd/reconfigure_wish.hpp"
#include "config/reconfiguring.hpp"
#include "kube/reading.hpp"
#include "manifests/security.hpp"
#include "phases/upgrade.hpp"
#include "support/text.hpp"
#include "support/yaml.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace kubestrap;
using namespace kubestrap::flow;

namespace {

const std::string kManifests = "/etc/kubernetes/manifests/", kKept = "/var/lib/kubestrap/upgrade/";
constexpr const char* kComponents[] = {"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"};
constexpr const char* kNew = "api.example.org";
constexpr const char* kOld = "old.example.org";
/// No component knows it.
constexpr const char* kWrong = "no-such-flag";

/// A control plane that runs, one of two, with a kubelet that makes pods as its manifests say.
class ControlPlane : public Machine {
public:
  ControlPlane() {
    adjust = [](config::Setup& setup) { setup.cluster.apiServerCertSANs = {kOld}; };
    init();
    host.now += std::chrono::hours(24);
    makePods();
    serve();
    api.shows = [this](const std::string&, int) { return host.text("/etc/kubernetes/pki/apiserver.crt"); };
    host.onServiceAction = [this](const std::string&, host::Host::ServiceAction) { makePods(); };
    clock.onSleep = [this] { settle(); serve(); };
    const auto reachable = api.reachable;
    api.reachable = [this, reachable](const net::Request& request) { return reachable(request) && runs("etcd") && runs("kube-apiserver"); };
    cri.effects.clear();
    api.put({{"apiVersion", "v1"}, {"kind", "Node"}, {"metadata", {{"name", "n2"}, {"labels", {{"node-role.kubernetes.io/control-plane", ""}}}}}});
  }

  std::function<void(config::Cluster&)> change; ///< what is wished, of what the cluster keeps

  config::Setup wanted() {
    auto made = setup();
    const auto documents = keptDocuments();
    const auto present = cmd::clusterOf(documents);
    made.cluster = present;
    if (change) change(made.cluster);
    auto& request = made.request;
    request.reconfiguring = {.goingNames = cmd::goingNames(present, made.cluster), .formerNames = present.apiServerCertSANs, .addons = present.images.coreDns != made.cluster.images.coreDns, .stores = cmd::isStoredOtherwise(present, made.cluster)};
    auto& upgrading = request.upgrading;
    upgrading.renewsCertificates = upgrading.upgradesEtcd = false;
    upgrading.etcd.members = {"https://10.0.0.11:2379"};
    upgrading.goesOn = host.files.contains(kKept + "configuration.yaml");
    std::vector<Value> values;
    for (const auto& document : documents) values.push_back(document.value);
    upgrading.configuration = emitYamlStream(values);
    for (const auto* component : kComponents) {
      auto former = host.text(kKept + "manifests/" + component + ".yaml");
      upgrading.manifests[component] = former.empty() ? host.text(kManifests + component + ".yaml") : former;
    }
    request.timeouts.upgradeManifests = std::chrono::minutes(1);
    return made;
  }

  plan::Outcome reconfigure(plan::Mode mode = plan::Mode::apply) { return run(phases::reconfigureWorkflow(), wanted(), mode); }

  /// By what the cluster keeps, and what is noted of this node.
  plan::Outcome follow(plan::Mode mode = plan::Mode::apply) {
    change = nullptr;
    auto made = wanted();
    const auto note = noteOf("n1");
    made.request.upgrading.nodes = {{.name = "n1", .kubelet = {}, .controlPlane = true, .settingsFollow = note, .versions = {}}};
    if (note && !note->empty()) made.request.reconfiguring.goingNames = split(*note, ',');
    return run(phases::reconfigureNodeWorkflow(), made, mode);
  }

  /// The message of the Error with which it ends, with its contexts.
  std::string fails() {
    try {
      reconfigure();
      return {};
    } catch (const Error& error) {
      auto said = error.message();
      for (const auto& context : error.contexts()) said += "; " + context;
      return said;
    }
  }

  bool runs(const std::string& component) const { return !containerOf(component).empty(); }
  std::string containerOf(const std::string& component) const {
    const auto found = std::ranges::find_if(cri.found, [&](const auto& each) { return each.name == component && each.state == host::Container::State::running; });
    return found == cri.found.end() ? "" : found->id;
  }
  std::string manifest(const std::string& component) const { return host.text(kManifests + component + ".yaml"); }
  std::string certificate() const { return host.text("/etc/kubernetes/pki/apiserver.crt"); }
  bool isNamed(const std::string& name) const {
    const auto names = certs::X509Certificate::parse(certificate(), "apiserver.crt").names().dns;
    return std::ranges::find(names, name) != names.end();
  }
  std::string stored() const { return stringAt(*api.object("/api/v1/namespaces/kube-system/configmaps/kubeadm-config"), "data.ClusterConfiguration"); }
  std::optional<std::string> noteOf(const std::string& node) const { return kube::annotationOf(*api.object("/api/v1/nodes/" + node), config::settingsFollowNotice); }
  void note(const std::string& node, const std::string& names) {
    auto object = *api.object("/api/v1/nodes/" + node);
    object["metadata"]["annotations"][std::string(config::settingsFollowNotice)] = names;
    api.put(object);
  }

private:
  /// As long as no API server answers those that a run which was stopped has kept.
  std::vector<Document> keptDocuments() {
    if (runs("kube-apiserver") && runs("etcd")) {
      kube::Client client(*http, kube::parseKubeconfig(host.text("/etc/kubernetes/admin.conf"), "admin.conf"), "https://10.0.0.11:6443");
      return cmd::storedDocuments(client);
    }
    return parseYaml(host.text(kKept + "configuration.yaml"), "configuration.yaml");
  }

  plan::Outcome run(const plan::Workflow& workflow, const config::Setup& wanted, plan::Mode mode) {
    plan::World world{host, cri, *http, clock, entropy};
    auto facts = host.machine;
    facts.runtime = cri.facts();
    return plan::run(workflow, {}, wanted, facts, world, mode, listener, std::string(workflow.command));
  }

  void makePods() {
    host.now += std::chrono::seconds(1);
    for (const auto* component : kComponents) {
      const auto& manifest = host.files.at(kManifests + component + ".yaml");
      for (auto& each : cri.found)
        if (each.name == component && each.createdAt < manifest.modified) each.state = host::Container::State::exited;
      if (runs(component) || manifest.content.find(kWrong) != std::string::npos) continue;
      const auto id = std::to_string(++count_);
      cri.found.push_back({.id = id, .podUid = id, .podName = std::string(component) + "-n1", .podNamespace = "kube-system", .name = component,
                           .image = "image", .state = host::Container::State::running, .logPath = {}, .createdAt = host.now});
    }
  }

  void serve() {
    const std::pair<const char*, const char*> pages[] = {{"etcd", "http://127.0.0.1:2381/readyz"},
                                                         {"kube-controller-manager", "https://127.0.0.1:10257/healthz"},
                                                         {"kube-scheduler", "https://127.0.0.1:10259/readyz"}};
    for (const auto& [component, url] : pages) api.page(url, runs(component) ? 200 : 500);
  }

  int count_ = 0;
};

Value policy() { return Value{{"apiVersion", "audit.k8s.io/v1"}, {"kind", "Policy"}, {"rules", Value::array({{{"level", "Metadata"}}})}}; }

/// A flag of the API server, another name in place of the old one, and an audit log.
void all(config::Cluster& cluster) {
  cluster.apiServer.extraArgs = {{"event-ttl", "2h"}};
  cluster.apiServerCertSANs = {kNew};
  cluster.kubestrap.audit = config::Audit{.policyFile = {}, .policy = policy()};
}

void wrong(config::Cluster& cluster) {
  all(cluster);
  cluster.apiServer.extraArgs.push_back({kWrong, "1"});
}

bool isStored(ControlPlane& machine) { return machine.stored().find("event-ttl") != std::string::npos; }

void checkDone(ControlPlane& machine) {
  CHECK(machine.manifest("kube-apiserver").find("--event-ttl=2h") != std::string::npos);
  CHECK(machine.manifest("kube-apiserver").find("--audit-policy-file=") != std::string::npos);
  for (const auto* component : kComponents) CHECK(machine.runs(component));
  CHECK(machine.isNamed(kNew));
  CHECK_FALSE(machine.isNamed(kOld));
  CHECK(isStored(machine));
  CHECK(machine.noteOf("n2") == std::optional<std::string>(kOld));
  CHECK_FALSE(machine.noteOf("n1"));
  CHECK(machine.host.list(kKept) == Lines{});
}

struct Before {
  explicit Before(ControlPlane& machine) : certificate(machine.certificate()), stored(machine.stored()) {
    for (const auto* component : kComponents) manifests.push_back(machine.manifest(component));
  }
  std::string certificate, stored;
  Lines manifests;
};

void checkAsBefore(ControlPlane& machine, const Before& before) {
  const Before now(machine);
  CHECK(now.certificate == before.certificate);
  CHECK(now.stored == before.stored);
  for (std::size_t i = 0; i < std::size(kComponents); ++i) CHECK(sameDocument(parseYamlValue(now.manifests[i], "now"), parseYamlValue(before.manifests[i], "before")));
  for (const auto* component : kComponents) CHECK(machine.runs(component));
  CHECK_FALSE(machine.noteOf("n2"));
  CHECK(machine.host.list(kKept) == Lines{});
}

/// In the moment in which the manifest is the new one and nothing runs by it.
void killedWhenWritten(ControlPlane& machine) {
  machine.host.onEffect = [&](const std::string& effect) {
    if (effect != "restart kubelet") return;
    machine.host.onEffect = {};
    throw fakes::Killed{};
  };
  CHECK_THROWS_AS(machine.reconfigure(), fakes::Killed);
}

/// As if another one had been given the settings.
void hasToFollow(ControlPlane& machine) {
  const auto former = machine.host.files;
  machine.change = all;
  machine.reconfigure();
  for (const auto* path : {"/etc/kubernetes/pki/apiserver.crt", "/etc/kubernetes/pki/apiserver.key", "/etc/kubernetes/manifests/kube-apiserver.yaml"}) machine.host.put(path, former.at(path).content, 0600);
  machine.host.service("kubelet", host::Host::ServiceAction::restart);
  machine.host.now += std::chrono::seconds(5);
  machine.note("n1", kOld);
}

} // namespace

TEST_CASE("a flag, a name and an audit log come to a plain control plane; only what differs is replaced, the cluster keeps them, and the other node is noted") {
  ControlPlane machine;
  machine.change = all;
  const auto etcd = machine.containerOf("etcd"), apiServer = machine.containerOf("kube-apiserver"), scheduler = machine.containerOf("kube-scheduler");
  machine.reconfigure();
  checkDone(machine);
  CHECK(machine.containerOf("etcd") == etcd);
  CHECK(machine.containerOf("kube-scheduler") == scheduler);
  CHECK(machine.containerOf("kube-apiserver") != apiServer);
  CHECK(changesOf(machine.reconfigure(plan::Mode::plan)) == Lines{});
}

TEST_CASE("another name alone ends no pod of a plain control plane") {
  ControlPlane machine;
  machine.change = [](config::Cluster& cluster) { cluster.apiServerCertSANs = {kOld, kNew}; };
  const auto apiServer = machine.containerOf("kube-apiserver");
  machine.reconfigure();
  CHECK(machine.isNamed(kNew));
  CHECK(machine.isNamed(kOld));
  CHECK(machine.containerOf("kube-apiserver") == apiServer);
  CHECK(machine.noteOf("n2") == std::optional<std::string>(""));
}

TEST_CASE("a plan of other settings touches nothing of a plain control plane, and shows what would be written") {
  ControlPlane machine;
  machine.change = all;
  const auto before = machine.effects().size();
  machine.reconfigure(plan::Mode::plan);
  CHECK(machine.effects().size() == before);
  CHECK(machine.listener.previews.find("+    - --event-ttl=2h") != std::string::npos);
  CHECK(std::ranges::any_of(machine.listener.lines, [](const auto& line) { return line.find(std::string("lacks SAN ") + kNew) != std::string::npos; }));
}

TEST_CASE("a flag that no API server knows is taken back with the certificate, and the cluster has heard nothing of it") {
  ControlPlane machine;
  const Before before(machine);
  machine.change = wrong;
  CHECK(machine.fails().find("what this phase had begun was taken back") != std::string::npos);
  checkAsBefore(machine, before);
  machine.change = all;
  CHECK(machine.fails() == "");
  checkDone(machine);
}

TEST_CASE("a scheduler that does not get ready goes back, and the API server, which nobody changed, is not ended") {
  ControlPlane machine;
  const Before before(machine);
  const auto apiServer = machine.containerOf("kube-apiserver");
  machine.change = [](config::Cluster& cluster) { cluster.scheduler.extraArgs = {{kWrong, "1"}}; };
  CHECK(machine.fails().find("what this phase had begun was taken back") != std::string::npos);
  checkAsBefore(machine, before);
  CHECK(machine.containerOf("kube-apiserver") == apiServer);
}

TEST_CASE("other settings of a plain control plane that are stopped anywhere are carried to their end by the next run") {
  const auto effects = [] {
    ControlPlane machine;
    machine.change = all;
    return machine.effectsOf([&] { machine.reconfigure(); });
  }();
  CHECK(effects > 10);
  for (std::size_t n = 1; n <= effects; ++n) {
    ControlPlane machine;
    CAPTURE(n);
    machine.change = all;
    machine.host.stopAtEffect = machine.host.effects.size() + n;
    CHECK_THROWS_AS(machine.reconfigure(), fakes::Killed);
    machine.host.stopAtEffect.reset();
    if (isStored(machine)) CHECK(machine.host.list(kKept) == Lines{}); // nobody may run it again
    machine.host.now += std::chrono::seconds(5);
    CHECK(machine.fails() == "");
    checkDone(machine);
  }
}

TEST_CASE("a run that was killed with a wrong flag written goes back to what there was before it, or on with a right one") {
  for (const bool mended : {false, true}) {
    CAPTURE(mended);
    ControlPlane machine;
    const Before before(machine);
    machine.change = wrong;
    killedWhenWritten(machine);
    machine.host.service("kubelet", host::Host::ServiceAction::restart); // which goes on by itself, and finds nothing that it can run
    CHECK_FALSE(machine.runs("kube-apiserver"));
    if (mended) machine.change = all;
    const auto said = machine.fails();
    if (mended) {
      CHECK(said == "");
      checkDone(machine);
    } else {
      CHECK(said.find("what this phase had begun was taken back") != std::string::npos);
      CHECK(machine.runs("kube-apiserver"));
      CHECK(machine.manifest("kube-apiserver").find(kWrong) == std::string::npos);
      CHECK(machine.stored() == before.stored);
      CHECK(machine.isNamed(kOld));
      CHECK_FALSE(machine.isNamed(kNew));
    }
  }
}

TEST_CASE("a further plain control plane takes what the cluster keeps, lets names go that it was told of, and is noted no more") {
  ControlPlane machine;
  hasToFollow(machine);
  CHECK(machine.isNamed(kOld));
  machine.follow();
  checkDone(machine);
  CHECK(changesOf(machine.follow(plan::Mode::plan)) == Lines{});
}

TEST_CASE("a further plain control plane that is stopped anywhere is noted until nothing is left of its way back, and follows with the next run") {
  const auto effects = [] {
    ControlPlane machine;
    hasToFollow(machine);
    return machine.effectsOf([&] { machine.follow(); });
  }();
  CHECK(effects > 10);
  for (std::size_t n = 1; n <= effects; ++n) {
    ControlPlane machine;
    CAPTURE(n);
    hasToFollow(machine);
    machine.host.stopAtEffect = machine.host.effects.size() + n;
    CHECK_THROWS_AS(machine.follow(), fakes::Killed);
    machine.host.stopAtEffect.reset();
    CHECK((machine.noteOf("n1") || machine.host.list(kKept) == Lines{}));
    machine.host.now += std::chrono::seconds(5);
    machine.follow();
    checkDone(machine);
  }
}

TEST_CASE("settings are not kept in the cluster as long as it cannot be seen who has to follow") {
  ControlPlane machine;
  machine.change = all;
  const auto intercept = machine.api.intercept;
  machine.api.intercept = [intercept](const net::Request& request) -> std::optional<net::Response> {
    if (request.method == "GET" && request.url.find("/api/v1/nodes?") != std::string::npos) return net::Response{.status = 403, .headers = {}, .body = "{}"};
    return intercept ? intercept(request) : std::nullopt;
  };
  CHECK(machine.fails().find("the cluster's nodes cannot be seen") != std::string::npos);
  CHECK_FALSE(isStored(machine));
  machine.api.intercept = intercept;
  CHECK(machine.fails() == "");
  checkDone(machine);
}

TEST_CASE("names that a node has not let go yet are not forgotten by further settings, but for those that are wished again") {
  ControlPlane machine;
  machine.note("n2", "first.example.org,second.example.org");
  machine.change = [](config::Cluster& cluster) { cluster.apiServerCertSANs = {"second.example.org"}; };
  machine.reconfigure();
  CHECK(machine.noteOf("n2") == std::optional<std::string>(std::string(kOld) + ",first.example.org"));
}
