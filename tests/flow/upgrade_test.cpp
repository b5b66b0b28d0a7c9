// Upgrade of a plain control plane: to the new version, or back to the old one.
#include "tests/fakes/fake_etcd.hpp"
#include "tests/flow/machine.hpp"
#include "tests/lines.hpp"

#include "config/store.hpp"
#include "kube/kubeconfig.hpp"
#include "manifests/front.hpp"
#include "phases/upgrade.hpp"
#include "support/text.hpp"
#include "support/yaml.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <map>
#include <set>

using namespace kubestrap;
using namespace kubestrap::flow;

namespace {

const std::string kManifests = "/etc/kubernetes/manifests/";
const std::string kKept = "/var/lib/kubestrap/upgrade/";
constexpr const char* kComponents[] = {"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"};

/// A control plane of 1.36.3 that runs, with a kubelet that makes pods as its manifests say.
class ControlPlane : public Machine {
public:
  ControlPlane() {
    version = "v1.36.3";
    host.machine.kubeletVersion = version;
    http = &etcd;
    etcd.database = std::string(4000, 'x').replace(16, 4, "\xed\xda\x0c\xed");
    etcd.members = {{.id = 1, .name = "n1", .peerUrl = "https://10.0.0.11:2380", .clientUrl = "https://10.0.0.11:2379"}};
    init();
    host.now += std::chrono::hours(24);
    makePods();
    serve();
    host.onServiceAction = [this](const std::string&, host::Host::ServiceAction) { makePods(); };
    clock.onSleep = [this] { settle(); serve(); };
    const auto reachable = api.reachable;
    api.reachable = [this, reachable](const net::Request& request) { return reachable(request) && runs("etcd") && runs("kube-apiserver"); };
    cri.effects.clear();
    host.put("/var/lib/etcd/member/db", "as it was");
    host.onRun = [this](const host::Command& command) -> host::CommandResult {
      if (command.program != "cp") return {.exitCode = 1};
      const auto& from = command.arguments[command.arguments.size() - 2];
      host.put(command.arguments.back() + "/member/db", host.text(from + "/member/db"));
      return {};
    };
  }

  fakes::FakeEtcd etcd{api};
  std::set<std::string> broken, hanging; ///< images: that never run; that have served, and do not any more
  Lines seen{"https://10.0.0.11:2379"}; ///< etcd's members, as an API server tells of them

  bool runs(const std::string& component) const {
    return std::ranges::any_of(cri.found, [&](const auto& each) { return each.name == component && each.state == host::Container::State::running; });
  }

  std::string image(const std::string& component) const {
    for (const auto& line : split(host.text(kManifests + component + ".yaml"), '\n'))
      if (const auto at = line.find("image: "); at != std::string::npos) return line.substr(at + 7);
    return {};
  }

  /// Every component with the tag that its manifest has.
  Lines tags() const {
    Lines all;
    for (const auto* component : kComponents) all.push_back(image(component).substr(image(component).rfind('/') + 1) + (runs(component) ? "" : " (does not run)"));
    return all;
  }

  config::Setup wanted() {
    version = "v1.37.2";
    auto made = setup();
    version = "v1.36.3";
    auto& upgrading = made.request.upgrading;
    upgrading.from = parseVersion("v1.36.3");
    upgrading.server = "v1.36.3";
    upgrading.configuration = "kind: ClusterConfiguration\n";
    upgrading.renewsCertificates = false;
    upgrading.goesOn = host.files.contains(kKept + "configuration.yaml");
    upgrading.etcd.members = seen.empty() ? phases::etcdMembersIn(host.text(kKept + "etcd-members")) : seen;
    for (const auto* component : kComponents) {
      auto former = host.text(kKept + "manifests/" + component + ".yaml");
      upgrading.manifests[component] = former.empty() ? host.text(kManifests + component + ".yaml") : former;
    }
    made.request.timeouts.upgradeManifests = std::chrono::minutes(1);
    return made;
  }

  plan::Outcome upgrade(plan::Mode mode = plan::Mode::apply) {
    plan::World world{host, cri, etcd, clock, entropy};
    auto facts = host.machine;
    facts.runtime = cri.facts();
    return plan::run(phases::upgradeApplyWorkflow(), {}, wanted(), facts, world, mode, listener, "upgrade apply");
  }

  /// The message of the Error with which it ends, with its contexts.
  std::string upgradeFails() {
    try {
      upgrade();
      return {};
    } catch (const Error& error) {
      auto said = error.message();
      for (const auto& context : error.contexts()) said += "; " + context;
      return said;
    }
  }

  bool toldThat(const std::string& text) const {
    return std::ranges::any_of(listener.lines, [&](const auto& line) { return line.find(text) != std::string::npos; });
  }

  std::string storedVersion() const {
    const auto stored = api.object("/api/v1/namespaces/kube-system/configmaps/kubeadm-config");
    return stringAt(parseYamlValue(stringAt(*stored, "data.ClusterConfiguration"), "kubeadm-config"), "kubernetesVersion");
  }

private:
  void makePods() {
    host.now += std::chrono::seconds(1);
    for (const auto* component : kComponents) {
      const auto& manifest = host.files.at(kManifests + component + ".yaml");
      for (auto& each : cri.found)
        if (each.name == component && each.createdAt < manifest.modified) each.state = host::Container::State::exited;
      if (runs(component) || broken.contains(image(component))) continue;
      const auto id = std::to_string(++count_), log = "/var/log/pods/" + id;
      host.put(log, std::string(component) == "etcd" ? "ready to serve client requests\n" : "");
      cri.found.push_back({.id = id, .podUid = id, .podName = std::string(component) + "-n1", .podNamespace = "kube-system", .name = component,
                           .image = image(component), .state = host::Container::State::running, .logPath = log, .createdAt = host.now});
    }
  }

  void serve() {
    const std::pair<const char*, const char*> pages[] = {{"etcd", "http://127.0.0.1:2381/readyz"},
                                                         {"kube-controller-manager", "https://127.0.0.1:10257/healthz"},
                                                         {"kube-scheduler", "https://127.0.0.1:10259/readyz"}};
    for (const auto& [component, url] : pages) api.page(url, runs(component) && !hanging.contains(image(component)) ? 200 : 500);
  }

  int count_ = 0;
};

/// In the moment in which the manifests are the new ones and nothing runs.
void killedWhenAllIsWritten(ControlPlane& machine) {
  machine.host.onEffect = [&](const std::string& effect) {
    if (effect != "restart kubelet") return;
    machine.host.onEffect = {};
    throw fakes::Killed{};
  };
  CHECK_THROWS_AS(machine.upgrade(), fakes::Killed);
}

const Lines kOld{"etcd:3.6.8-0", "kube-apiserver:v1.36.3", "kube-controller-manager:v1.36.3", "kube-scheduler:v1.36.3"};
const Lines kNew{"etcd:3.7.0-0", "kube-apiserver:v1.37.2", "kube-controller-manager:v1.37.2", "kube-scheduler:v1.37.2"};

/// What an upgrade that has come to its end has left.
void checkDone(ControlPlane& machine) {
  CHECK(machine.tags() == kNew);
  CHECK(machine.storedVersion() == "v1.37.2");
  CHECK(machine.host.text(kKept + "etcd.db").starts_with(machine.etcd.database));
  CHECK(machine.host.list(kKept) == Lines{"etcd.db"});
  const auto dns = machine.api.object("/apis/apps/v1/namespaces/kube-system/deployments/coredns");
  CHECK(stringAt((*dns)["spec"]["template"]["spec"]["containers"][0], "image") == "registry.k8s.io/coredns/coredns:v1.14.6");
}

} // namespace

TEST_CASE("an upgrade takes a snapshot, replaces etcd and the API server together and then the others, and leaves nothing else") {
  ControlPlane machine;
  CHECK(machine.tags() == kOld);
  const auto restarts = [&] { return std::ranges::count(machine.effects(), "restart kubelet"); };
  const auto before = restarts();
  machine.upgrade();
  checkDone(machine);
  CHECK(restarts() - before == 2); // for either group of pods
  CHECK(changesOf(machine.upgrade(plan::Mode::plan)) == Lines{});
}

TEST_CASE("a plan touches nothing, and shows what would be written") {
  ControlPlane machine;
  const auto before = machine.host.effects.size();
  machine.upgrade(plan::Mode::plan);
  CHECK(machine.host.effects.size() == before);
  CHECK(machine.listener.previews.find("+    image: registry.k8s.io/etcd:3.7.0-0") != std::string::npos);
  CHECK(machine.listener.previews.find("-    image: registry.k8s.io/kube-apiserver:v1.36.3") != std::string::npos);
}

TEST_CASE("an API server that does not run is taken back with what relies on it; etcd, which is well, stays") {
  ControlPlane machine;
  machine.broken = {"registry.k8s.io/kube-apiserver:v1.37.2"};
  CHECK(machine.upgradeFails().find("what this phase had begun was taken back") != std::string::npos);
  CHECK(machine.tags() == Lines{"etcd:3.7.0-0", kOld[1], kOld[2], kOld[3]});
  CHECK(machine.storedVersion() == "v1.36.3");
  CHECK(machine.host.list(kKept) == Lines{"etcd.db"});
  machine.broken.clear();
  CHECK(machine.upgradeFails() == "");
  checkDone(machine);
}

TEST_CASE("an etcd that does not run is taken back with its API server") {
  ControlPlane machine;
  machine.broken = {"registry.k8s.io/etcd:3.7.0-0"};
  machine.host.onEffect = [&](const std::string& effect) {
    if (effect == "restart kubelet") machine.host.put("/var/lib/etcd/member/db", "touched by the new one");
  };
  CHECK(machine.upgradeFails().find("what this phase had begun was taken back") != std::string::npos);
  CHECK(machine.tags() == kOld);
  CHECK(std::ranges::count(machine.effects(), "stop kubelet") == 1);
}

TEST_CASE("an etcd that has served and then hangs is left where it is: what it was told since would be lost, and the former does not start with its data") {
  ControlPlane machine;
  machine.hanging = {"registry.k8s.io/etcd:3.7.0-0"};
  CHECK(machine.upgradeFails().find("it could not be taken back") != std::string::npos);
  CHECK(machine.tags() == Lines{"etcd:3.7.0-0", kOld[1], kOld[2], kOld[3]});
  CHECK(machine.host.text("/var/lib/etcd/member/db") == "as it was");
  CHECK(std::ranges::count(machine.effects(), "stop kubelet") == 0);
  machine.hanging.clear();
  CHECK(machine.upgradeFails() == "");
  checkDone(machine);
}

TEST_CASE("a scheduler that does not run takes the whole control plane back") {
  ControlPlane machine;
  machine.broken = {"registry.k8s.io/kube-scheduler:v1.37.2"};
  CHECK(machine.upgradeFails().find("what this phase had begun was taken back") != std::string::npos);
  CHECK(machine.tags() == Lines{"etcd:3.7.0-0", kOld[1], kOld[2], kOld[3]});
}

TEST_CASE("addons wait for the last control plane, by what API servers say once this one is through") {
  struct Row {
    const char *serves, *dns;
  };
  for (const auto& row : {Row{"v1.36.3", "v1.14.2"}, Row{"v1.37.2", "v1.14.6"}}) {
    CAPTURE(row.serves);
    ControlPlane machine;
    machine.api.put({{"apiVersion", "v1"}, {"kind", "Node"}, {"metadata", {{"name", "n2"}, {"labels", {{"node-role.kubernetes.io/control-plane", ""}}}}}});
    machine.api.put({{"apiVersion", "v1"}, {"kind", "Pod"},
                     {"metadata", {{"name", "kube-apiserver-n2"}, {"namespace", "kube-system"}, {"labels", {{"component", "kube-apiserver"}, {"tier", "control-plane"}}},
                                   {"annotations", {{"kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint", "10.0.0.12:6443"}}}}},
                     {"spec", {{"nodeName", "n2"}, {"containers", Value::array({{{"name", "kube-apiserver"}, {"image", "registry.k8s.io/kube-apiserver:v1.36.3"}}})}}}});
    machine.api.page("https://10.0.0.12:6443/version", 200, Value::object({{"gitVersion", row.serves}}).dump());
    machine.adjust = [](config::Setup& setup) { setup.request.upgrading.addonsNow = false; }; // as it was seen at first
    machine.upgrade();
    CHECK(machine.tags() == kNew);
    const auto dns = machine.api.object("/apis/apps/v1/namespaces/kube-system/deployments/coredns");
    CHECK(stringAt((*dns)["spec"]["template"]["spec"]["containers"][0], "image") == std::string("registry.k8s.io/coredns/coredns:") + row.dns);
  }
}

TEST_CASE("the operator's Corefile stays") {
  ControlPlane machine;
  const std::string path = "/api/v1/namespaces/kube-system/configmaps/coredns";
  auto map = *machine.api.object(path);
  map["data"]["Corefile"] = ".:53 { errors }\n";
  machine.api.put(map, "kubectl-edit");
  machine.upgrade();
  CHECK(stringAt(*machine.api.object(path), "data.Corefile") == ".:53 { errors }\n");
}

TEST_CASE("an upgrade that is killed anywhere is carried to its end by the next one; before, each component is there as it was or shall be") {
  const auto effects = [] {
    ControlPlane machine;
    return machine.effectsOf([&] { machine.upgrade(); });
  }();
  CHECK(effects > 20);
  for (std::size_t n = 1; n <= effects; ++n) {
    ControlPlane machine;
    CAPTURE(n);
    machine.host.stopAtEffect = machine.host.effects.size() + n;
    CHECK_THROWS_AS(machine.upgrade(), fakes::Killed);
    machine.host.stopAtEffect.reset();
    for (std::size_t i = 0; i < std::size(kComponents); ++i) {
      const auto found = machine.image(kComponents[i]);
      CHECK((found.ends_with(kOld[i]) || found.ends_with(kNew[i])));
    }
    machine.host.now += std::chrono::seconds(5);
    CHECK(machine.upgradeFails() == "");
    checkDone(machine);
  }
}

TEST_CASE("an upgrade that was killed and then meets a broken API server goes back to what was there before the first run") {
  ControlPlane machine;
  machine.broken = {"registry.k8s.io/kube-apiserver:v1.37.2"};
  killedWhenAllIsWritten(machine);
  CHECK(machine.image("kube-apiserver").ends_with("v1.37.2"));
  CHECK(machine.upgradeFails().find("what this phase had begun was taken back") != std::string::npos);
  CHECK(machine.tags()[1] == kOld[1]);
}

TEST_CASE("an upgrade that was killed when the new etcd was about to serve keeps what that was told since, whatever becomes of the next run") {
  ControlPlane machine;
  killedWhenAllIsWritten(machine);
  CHECK(machine.host.text(kKept + "etcd/whole/member/db") == "as it was");
  machine.host.service("kubelet", host::Host::ServiceAction::restart); // which goes on by itself
  machine.host.put("/var/lib/etcd/member/db", "told since");
  machine.hanging = {"registry.k8s.io/etcd:3.7.0-0"};
  machine.api.page("http://127.0.0.1:2381/readyz", 500);
  CHECK(machine.upgradeFails().find("it could not be taken back") != std::string::npos);
  CHECK(machine.tags() == Lines{"etcd:3.7.0-0", kOld[1], kOld[2], kOld[3]});
  CHECK(machine.host.text("/var/lib/etcd/member/db") == "told since");
  machine.hanging.clear();
  CHECK(machine.upgradeFails() == "");
  checkDone(machine);
  CHECK(machine.host.text("/var/lib/etcd/member/db") == "told since");
}

namespace {

/// Killed when its etcd, which does not run, has touched the data.
void killedWithData(ControlPlane& machine) {
  machine.broken = {"registry.k8s.io/etcd:3.7.0-0"};
  machine.host.onEffect = [&](const std::string& effect) {
    if (effect != "restart kubelet") return;
    machine.host.put("/var/lib/etcd/member/db", "touched by the new one");
    machine.api.page("http://127.0.0.1:2381/readyz", 500);
    machine.host.onEffect = {};
    throw fakes::Killed{};
  };
  CHECK_THROWS_AS(machine.upgrade(), fakes::Killed);
}

} // namespace

TEST_CASE("an upgrade that was killed after the new etcd had touched the data puts back what was there before the first run") {
  ControlPlane machine;
  killedWithData(machine);
  CHECK(machine.upgradeFails().find("what this phase had begun was taken back") != std::string::npos);
  CHECK(machine.tags() == kOld);
  CHECK(machine.host.text("/var/lib/etcd/member/db") == "as it was");
  CHECK(machine.host.list(kKept) == Lines{"etcd.db"});
}

TEST_CASE("a run that finds no API server knows by the first one how many members etcd has: of one the data goes back, of several it never does") {
  for (const bool several : {false, true}) {
    CAPTURE(several);
    ControlPlane machine;
    if (several) machine.seen.push_back("https://10.0.0.12:2379");
    killedWithData(machine);
    machine.seen.clear();
    CHECK(machine.upgradeFails().find("what this phase had begun was taken back") != std::string::npos);
    CHECK(machine.tags() == kOld);
    CHECK(machine.host.text("/var/lib/etcd/member/db") == (several ? "touched by the new one" : "as it was"));
  }
}

TEST_CASE("what the first run has kept for the way back stays when the next one cannot take its snapshot; a first run that cannot keeps nothing") {
  ControlPlane machine;
  machine.etcd.sum = fakes::FakeEtcd::Sum::wrong;
  CHECK(machine.upgradeFails().find("did not come whole") != std::string::npos);
  CHECK(machine.host.list(kKept) == Lines{});
  machine.etcd.sum = fakes::FakeEtcd::Sum::right;
  killedWithData(machine);
  machine.broken.clear();
  machine.host.files.erase(kKept + "etcd.db");
  machine.etcd.sum = fakes::FakeEtcd::Sum::wrong;
  const auto said = machine.upgradeFails();
  CHECK(said.find("did not come whole") != std::string::npos);
  CHECK(said.find("taken back") == std::string::npos);
  CHECK(machine.host.text(kKept + "manifests/etcd.yaml").find("etcd:3.6.8-0") != std::string::npos);
  CHECK(machine.host.files.contains(kKept + "configuration.yaml"));
  machine.etcd.sum = fakes::FakeEtcd::Sum::right;
  CHECK(machine.upgradeFails() == "");
  checkDone(machine);
}

namespace {

const std::string kTurn = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/kubestrap-control-plane";

std::string holderOf(const ControlPlane& machine) {
  const auto lease = machine.api.object(kTurn);
  return lease ? stringAt(*lease, "spec.holderIdentity") : "nobody has ever had it";
}

} // namespace

TEST_CASE("nothing of a control plane ends while it is another one's turn; one that does not give it back has it no longer than it said") {
  ControlPlane machine;
  const auto begin = machine.host.now;
  machine.api.put({{"apiVersion", "coordination.k8s.io/v1"}, {"kind", "Lease"}, {"metadata", {{"name", "kubestrap-control-plane"}, {"namespace", "kube-system"}}},
                   {"spec", {{"holderIdentity", "n2"}, {"leaseDurationSeconds", 30}, {"acquireTime", formatRfc3339(begin)}}}});
  std::optional<TimePoint> written;
  machine.host.onEffect = [&](const std::string& effect) {
    if (effect.find("/etc/kubernetes/manifests/") != std::string::npos && !written) written = machine.host.now;
  };
  machine.upgrade();
  checkDone(machine);
  REQUIRE(written);
  CHECK(*written - begin >= std::chrono::seconds(29)); // the Lease says whole seconds
  const auto since = parseRfc3339(formatRfc3339(begin));
  CHECK(std::ranges::count(machine.listener.waits, fmt::format("it is this node's turn (kubestrap-control-plane): n2 has it since {}, until {} at the longest",
                                                               formatRfc3339(since), formatRfc3339(since + std::chrono::seconds(30)))) == 1);
  CHECK(holderOf(machine) == "");
}

TEST_CASE("a member of etcd is not ended while the others cannot do without it, and the turn passes on") {
  ControlPlane machine;
  for (const auto* address : {"10.0.0.12", "10.0.0.13"}) {
    const auto id = machine.etcd.members.size() + 1;
    machine.etcd.members.push_back({.id = id, .name = "n" + std::to_string(id), .peerUrl = fmt::format("https://{}:2380", address), .clientUrl = fmt::format("https://{}:2379", address)});
    machine.seen.push_back(machine.etcd.members.back().clientUrl);
  }
  machine.etcd.members.back().silent = true;
  const auto said = machine.upgradeFails();
  CHECK(said.find("waiting until etcd can do without the member of this node for a while: 1 of 2 other members are healthy: ") != std::string::npos);
  CHECK(machine.tags() == kOld);
  CHECK(std::ranges::none_of(machine.cri.effects, [](const auto& each) { return each.starts_with("stop"); }));
  CHECK(holderOf(machine) == "");
  machine.etcd.members.back().silent = false;
  machine.upgrade();
  checkDone(machine);
}

TEST_CASE("where no API server answers, since a run was stopped, the turn is not waited for, and that is told") {
  ControlPlane machine;
  killedWhenAllIsWritten(machine);
  CHECK(holderOf(machine) == "n1");
  CHECK_FALSE(machine.toldThat("no API server answers"));
  machine.upgrade();
  CHECK(machine.toldThat("warning: no API server answers"));
  checkDone(machine);
  CHECK(holderOf(machine) == "");
}

TEST_CASE("while one of two control planes is away its kubelet speaks to its own API server alone, and then to its balancer again, forward or back") {
  const std::string file = "/etc/kubernetes/kubelet.conf";
  for (const bool fails : {false, true}) {
    CAPTURE(fails);
    ControlPlane machine;
    machine.adjust = [](config::Setup& setup) { setup.cluster.kubestrap.endpointMode = config::EndpointMode::local; };
    const auto server = [&] { return kube::parseKubeconfig(machine.host.text(file), file).server; };
    const auto balancer = manifests::frontEndpoint(machine.wanted()).url();
    machine.host.put(file, replaceAll(machine.host.text(file), server(), balancer), 0600);
    machine.seen.push_back("https://10.0.0.12:2379");
    if (fails) machine.broken = {"registry.k8s.io/kube-apiserver:v1.37.2"};
    Lines servers;
    machine.host.onEffect = [&](const std::string& effect) {
      if (effect == "restart kubelet") servers.push_back(server());
    };
    CHECK((machine.upgradeFails() != "") == fails);
    REQUIRE_FALSE(servers.empty());
    CHECK(balancer != "https://10.0.0.11:6443");
    CHECK(servers.front() == "https://10.0.0.11:6443");
    CHECK(servers.back() == balancer);
    CHECK(server() == balancer);
  }
}

TEST_CASE("a kubelet that cannot be replaced leaves its node open for pods; one that was and is not well leaves it closed, and says so") {
  for (const bool replaced : {false, true}) {
    CAPTURE(replaced);
    ControlPlane machine;
    machine.host.put("/root/kubelet", "the new one");
    machine.api.put({{"apiVersion", "v1"}, {"kind", "Pod"},
                     {"metadata", {{"name", "web"}, {"namespace", "default"}, {"ownerReferences", Value::array({{{"kind", "ReplicaSet"}, {"name", "web"}, {"controller", true}}})}}},
                     {"spec", {{"nodeName", "n1"}}}});
    bool installed = false;
    machine.host.onRun = [&](const host::Command& command) -> host::CommandResult {
      if (command.program == "cmp") return {.exitCode = installed ? 0 : 1};
      if (!replaced || command.program != "install") return {.exitCode = 1, .errors = "no room"};
      machine.host.put(command.arguments.back(), "the new one");
      installed = true;
      machine.timetable.kubeletHealthy = kNever;
      machine.api.removePage("http://127.0.0.1:10248/healthz");
      return {};
    };
    auto wanted = machine.wanted();
    wanted.request.upgrading.kubeletProgram = "/root/kubelet";
    plan::World world{machine.host, machine.cri, machine.etcd, machine.clock, machine.entropy};
    std::string contexts;
    try {
      plan::run(phases::upgradeNodeWorkflow(), {.only = "kubelet", .skip = {}}, wanted, machine.host.machine, world, plan::Mode::apply, machine.listener, "upgrade node");
    } catch (const Error& error) {
      for (const auto& context : error.contexts()) contexts += context + "; ";
    }
    CHECK_FALSE(machine.api.object("/api/v1/namespaces/default/pods/web")); // it was drained
    CHECK(contexts.find(replaced ? "node n1 takes no new pods, since its kubelet was replaced and is not well" : "what this phase had begun was taken back") != std::string::npos);
    const auto node = machine.api.object("/api/v1/nodes/n1");
    const auto* closed = find(*node, "spec.unschedulable");
    CHECK((closed && *closed == true) == replaced);
  }
}
