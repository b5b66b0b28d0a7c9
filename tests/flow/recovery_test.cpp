// What helps a control plane that does not help itself, on a machine in memory: a component held as a static pod, etcd's members asked.
#include "tests/flow/machine.hpp"

#include "config/paths.hpp"
#include "etcd/health.hpp"
#include "kube/reading.hpp"
#include "manifests/guard.hpp"
#include "manifests/hosted.hpp"
#include "phases/rescue.hpp"
#include "support/yaml.hpp"
#include "tests/fakes/fake_etcd.hpp"

#include <doctest/doctest.h>

namespace kubestrap::flow {

namespace {

namespace paths = config::paths;
namespace rescue = phases::rescue;
using manifests::Slot;

const manifests::Component& apiServer() { return manifests::component("kube-apiserver"); }

struct Node {
  Machine machine;
  config::Setup setup;
  rescue::Seen seen;

  Node() {
    setup = machine.setup();
    setup.cluster.kubestrap.layout = config::Layout::hosted;
    setup.cluster.kubestrap.endpointMode = config::EndpointMode::local;
    seen.standbys["kube-apiserver"] = {.slot = Slot::rescue, .pod = manifests::rescuePod(apiServer(), setup), .promoted = false, .besides = false};
    // A kubelet that runs what it finds.
    machine.clock.onSleep = [this] {
      if (machine.host.files.contains(manifests::rescueManifest(apiServer(), Slot::rescue))) machine.api.page("https://127.64.43.3:6443/readyz", 200);
    };
    machine.api.reachable = [](const net::Request&) { return true; };
    auto& kubelet = machine.host.services["kubelet"];
    kubelet.active = "active";
  }

  void enact(const plan::Resources& resources) {
    plan::World world{machine.host, machine.cri, machine.api, machine.clock, machine.entropy};
    plan::enactAll(resources, "held", "rescue", world, machine.listener);
  }
};

} // namespace

TEST_CASE("without an API server and a guard a component is promoted by hand, and waited for") {
  Node node;
  node.enact(rescue::hold(node.setup, {"kube-apiserver"}, node.seen));
  const auto promoted = parseYamlValue(node.machine.host.text(manifests::rescueManifest(apiServer(), Slot::rescue)), "pod");
  CHECK(kube::annotationOf(promoted, manifests::activationAnnotation) == "1");
  CHECK(parseJson(node.machine.host.text(paths::nodeState))["held"] == Value::array({"kube-apiserver"}));
}

TEST_CASE("a second rescue changes nothing") {
  Node node;
  node.enact(rescue::hold(node.setup, {"kube-apiserver"}, node.seen));
  node.seen.standbys["kube-apiserver"].promoted = true;
  node.seen.held = {"kube-apiserver"};
  node.seen.activation = 1;
  CHECK(node.machine.effectsOf([&] { node.enact(rescue::hold(node.setup, {"kube-apiserver"}, node.seen)); }) == 0);
}

TEST_CASE("etcd's members are asked one by one; one that is off is told of, and its alarms too") {
  Machine machine;
  fakes::FakeEtcd etcd(machine.api);
  etcd.members = {{.id = 1, .name = "n1", .peerUrl = "https://10.0.0.11:2380", .clientUrl = "https://10.0.0.11:2379"},
                  {.id = 2, .name = "n2", .peerUrl = "https://10.0.0.12:2380", .clientUrl = "https://10.0.0.12:2379", .silent = true},
                  {.id = 3, .name = "n3", .peerUrl = "https://10.0.0.13:2380", .clientUrl = "https://10.0.0.13:2379", .full = true},
                  {.id = 4, .name = "", .peerUrl = "https://10.0.0.14:2380", .clientUrl = "", .learner = true}};
  etcd::Client client(etcd, {"https://10.0.0.12:2379", "https://10.0.0.11:2379"}, {});
  const auto found = etcd::look(client);
  REQUIRE(found.size() == 4);
  CHECK(found[0].leads());
  CHECK(found[0].well());
  CHECK_FALSE(found[1].status);
  CHECK(found[1].silent.find("refuses") != std::string::npos);
  CHECK(found[2].alarms == std::vector<std::string>{"NOSPACE"});
  CHECK_FALSE(found[2].well());
  CHECK(found[3].silent == "it has not started yet");
}

} // namespace kubestrap::flow
