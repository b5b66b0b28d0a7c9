#include "guard/disk.hpp"

#include "tests/fakes/fake_host.hpp"
#include "tests/unit/guard/fixture.hpp"

#include <doctest/doctest.h>

using namespace kubestrap;
using namespace kubestrap::guard;
using phases::guard::apiServer;
using phases::guard::controllerManager;
using phases::guard::scheduler;

namespace {

const std::string current = "/etc/kubernetes/kubestrap/standby/current/kube-scheduler.yaml",
                  previous = "/etc/kubernetes/kubestrap/standby/previous/kube-scheduler.yaml",
                  promoted = "/etc/kubernetes/manifests/rescue-kube-scheduler.yaml",
                  promotedPrevious = "/etc/kubernetes/manifests/rescue-prev-kube-scheduler.yaml";

struct Node {
  fakes::FakeHost host;
  Disk disk{host};
  Node() { host.put(current, emitYaml(test::rescuePod(scheduler))); }
};

std::string activationIn(const std::string& text) {
  return parseYamlValue(text, "pod").at("metadata").at("annotations").at("kubestrap.io/activation").get<std::string>();
}

} // namespace

TEST_CASE("each promotion is a new pod to the kubelet, and the standby stays as it was") {
  Node node;
  const auto before = node.host.text(current);
  node.disk.promote(scheduler, Slot::rescue);
  CHECK(activationIn(node.host.text(promoted)) == "1");
  CHECK(node.disk.promoted(scheduler).activations == std::set<std::string>{"1"});
  node.disk.demote(scheduler);
  CHECK(!node.disk.promoted(scheduler).rescue);
  node.disk.promote(scheduler, Slot::rescue);
  CHECK(activationIn(node.host.text(promoted)) == "2");
  CHECK(node.host.text(current) == before);
}

TEST_CASE("an API server that is promoted while etcd is on its way to another version knows both of its places") {
  Node node;
  node.host.put("/etc/kubernetes/kubestrap/standby/current/kube-apiserver.yaml", emitYaml(test::rescuePod(apiServer)));
  const std::string file = "/etc/kubernetes/manifests/rescue-kube-apiserver.yaml", own = "--etcd-servers=https://127.0.0.1:2379", both = own + ",https://127.0.0.1:2383";
  node.disk.promote(apiServer, Slot::rescue);
  CHECK(node.host.text(file).find(own + "\n") != std::string::npos);
  node.host.put("/etc/kubernetes/manifests/etcd-second.yaml", "kind: Pod\n");
  node.disk.promote(apiServer, Slot::rescue);
  CHECK(node.host.text(file).find(both + "\n") != std::string::npos);
  CHECK(unfitStandby(apiServer, Slot::rescue, parseYamlValue(node.host.text(file), "pod")) == "");
}

TEST_CASE("the count goes up before the manifest is there") {
  Node node;
  node.disk.promote(scheduler, Slot::rescue);
  std::vector<std::string> writes;
  for (const auto& effect : node.host.effects)
    if (effect.starts_with("write ")) writes.push_back(effect);
  CHECK(writes == std::vector<std::string>{"write /etc/kubernetes/kubestrap/activation", "write " + promoted});
}

TEST_CASE("a guard that is killed in any moment of a promotion leaves a whole manifest or none") {
  Node whole;
  whole.disk.promote(scheduler, Slot::rescue);
  for (std::size_t stop = 1; stop <= whole.host.effects.size(); ++stop) {
    Node node;
    node.host.stopAtEffect = stop;
    CHECK_THROWS_AS(node.disk.promote(scheduler, Slot::rescue), fakes::Killed);
    CHECK(!node.disk.promoted(scheduler).rescue);
    node.host.stopAtEffect.reset();
    node.disk.promote(scheduler, Slot::rescue);
    CHECK(unfitStandby(scheduler, Slot::rescue, parseYamlValue(node.host.text(promoted), "pod")) == "");
  }
}

TEST_CASE("a new standby makes the one until now the one before, in its own slot and under its own name") {
  Node node;
  const auto next = manifests::rescuePodOf(test::rowOf(scheduler), test::daemonSet(scheduler, Slot::green, 7)["spec"]["template"]);
  node.disk.writeStandby(scheduler, next);
  CHECK(sameDocument(*node.disk.standby(scheduler, Slot::rescue), next));
  const auto before = node.disk.standby(scheduler, Slot::previous);
  REQUIRE(before);
  CHECK(stringAt(*before, "metadata.name") == "kube-scheduler-rescue-prev");
  node.disk.promote(scheduler, Slot::rescue);
  node.disk.promote(scheduler, Slot::previous);
  CHECK(node.disk.promoted(scheduler).previous);
  CHECK(node.disk.promoted(scheduler).activations == std::set<std::string>{"1", "2"});
  node.disk.demote(scheduler);
  CHECK(node.host.text(promoted).empty());
  CHECK(node.host.text(promotedPrevious).empty());
}

TEST_CASE("a standby that was cut off is none, wherever the cut is") {
  Node node;
  const auto whole = node.host.text(current);
  for (std::size_t line = whole.find('\n'); line + 1 < whole.size(); line = whole.find('\n', line + 1)) {
    CAPTURE(whole.substr(line > 30 ? line - 30 : 0, 30));
    node.host.now += std::chrono::seconds(1);
    node.host.put(current, whole.substr(0, line + 1));
    // The last lines may go without harm where what they say was only said for clarity.
    if (const auto found = node.disk.standby(scheduler, Slot::rescue)) CHECK(found->at("spec").at("volumes").size() == 1);
  }
  node.host.now += std::chrono::seconds(1);
  node.host.put(current, whole);
  CHECK(node.disk.standby(scheduler, Slot::rescue));
}

TEST_CASE("a standby of another component or slot is none") {
  CHECK(unfitStandby(scheduler, Slot::rescue, test::rescuePod(scheduler)) == "");
  CHECK(unfitStandby(controllerManager, Slot::rescue, test::rescuePod(scheduler)) != "");
  CHECK(unfitStandby(scheduler, Slot::previous, test::rescuePod(scheduler)) != "");
  auto pod = test::rescuePod(apiServer);
  CHECK(unfitStandby(apiServer, Slot::rescue, pod) == "");
  pod["spec"]["serviceAccountName"] = "default";
  CHECK(unfitStandby(apiServer, Slot::rescue, pod) != "");
}

TEST_CASE("an unfit standby replaces nothing") {
  Node node;
  const auto before = node.host.text(current);
  auto pod = test::rescuePod(scheduler);
  pod["spec"].erase("volumes");
  CHECK_THROWS_AS(node.disk.writeStandby(scheduler, pod), Error);
  CHECK(node.host.text(current) == before);
}

TEST_CASE("node.json is kept when it says something new, and believed as it last could be read") {
  Node node;
  const std::string path = "/etc/kubernetes/kubestrap/node.json";
  CHECK(node.disk.nodeState() == NodeState{});
  node.host.put(path, R"({"mode":"bootstrap","held":["kube-apiserver","kube-scheduler"]})");
  const NodeState held{"bootstrap", {apiServer, scheduler}};
  CHECK(node.disk.nodeState() == held);
  node.disk.keep(NodeState{"selfhosted", {}});
  CHECK(node.host.text(path) == "{\"mode\":\"selfhosted\",\"held\":[]}\n");
  const auto effects = node.host.effects.size();
  node.disk.keep(NodeState{"selfhosted", {}});
  CHECK(node.host.effects.size() == effects);
  CHECK(node.disk.nodeState() == NodeState{"selfhosted", {}});
  node.host.put(path, "{\"mode\":");
  CHECK(node.disk.nodeState() == NodeState{"selfhosted", {}});
}

TEST_CASE("names that are no components hold nothing") {
  CHECK(componentsIn("kube-apiserver, kube-scheduler,etcd") == std::set<Component>{apiServer, scheduler});
  CHECK(componentsIn("").empty());
}

TEST_CASE("peers outlive the API") {
  Node node;
  CHECK(node.disk.peers().empty());
  const std::map<std::string, config::Endpoint> peers{{"n1", {"10.0.0.11", 6444}}, {"n2", {"fd00::12", 6444}}};
  node.disk.keep(peers);
  CHECK(Disk(node.host).peers() == peers);
}
