// A control plane of layout hosted: in slots, behind the node's front, with standbys.
#include "tests/flow/machine.hpp"

#include "config/paths.hpp"
#include "kube/kubeconfig.hpp"
#include "manifests/front.hpp"
#include "manifests/hosted.hpp"
#include "phases/certificates.hpp"
#include "phases/workflows.hpp"
#include "support/text.hpp"
#include "support/yaml.hpp"

#include <doctest/doctest.h>

#include <map>

namespace kubestrap::flow {

namespace {

using Lines = std::vector<std::string>;
namespace paths = config::paths;

struct Hosted {
  Machine machine;

  Hosted() {
    machine.cri.images = {"kubestrap.io/kubestrap:v1"};
    machine.host.put("/etc/hosts", "127.0.0.1 localhost\n10.0.0.11 n1\n", 0644);
    machine.api.servers = {"https://10.0.0.11:6444", "https://api.kubernetes.internal:6443"};
    machine.adjust = [this](config::Setup& setup) {
      setup.cluster.kubestrap.layout = config::Layout::hosted;
      setup.cluster.kubestrap.endpointMode = config::EndpointMode::local;
      setup.cluster.controlPlaneEndpoint = config::Endpoint{"api.kubernetes.internal", 6443};
      setup.request.ownImage = "kubestrap.io/kubestrap:v1";
      setup.node.hostsFile = machine.host.text("/etc/hosts");
      setup.node.hosting = machine.host.read(paths::nodeState).value_or("");
      if (const auto manifest = machine.host.read(manifests::frontManifest("a"))) setup.node.fronts["a"] = *manifest;
    };
  }

  const manifests::Component& component(std::string_view name) { return manifests::component(name); }
  bool promoted(std::string_view name) { return machine.host.files.contains(manifests::rescueManifest(component(name), manifests::Slot::rescue)); }
  std::string standby(std::string_view name) { return machine.host.text(manifests::standby(component(name), manifests::Slot::rescue)); }
};

} // namespace

TEST_CASE("hosted components begin as static pods in the slot rescue, and the same stands by") {
  Hosted hosted;
  auto& machine = hosted.machine;
  machine.init();
  for (const auto name : manifests::hostedComponents) {
    CAPTURE(name);
    CHECK(hosted.promoted(name));
    CHECK(hosted.standby(name) == machine.host.text(manifests::rescueManifest(hosted.component(name), manifests::Slot::rescue)));
    CHECK_FALSE(machine.host.files.contains(manifests::manifestPath(hosted.component(name))));
  }
  CHECK_FALSE(machine.host.files.contains(paths::controllerManagerConf));
  CHECK(kube::parseKubeconfig(machine.host.text(paths::kubeletConf), "kubelet.conf").server == "https://api.kubernetes.internal:6443");
  CHECK(changesOf(machine.plan()) == Lines{});
  CHECK(machine.effectsOf([&] { machine.init(); }) == 0);
}

TEST_CASE("an upgrade of a hosted control plane's node is one of its kubelet: manifests, standbys and kubeconfigs stay, and what it keeps of the configuration is the cluster's") {
  Hosted hosted;
  auto& machine = hosted.machine;
  machine.init();
  auto setup = machine.setup();
  setup.node.controlPlane = true;
  setup.request.upgrading.upgradesEtcd = setup.request.upgrading.addonsNow = true;
  setup.cluster.images.etcd = "registry.k8s.io/etcd:9.9.9-0";
  auto kubelet = machine.host.text(paths::kubeletConfig.string());
  machine.host.put(paths::kubeletConfig.string(), kubelet + "maxPods: 40\n", 0644);
  const std::string copy = "/etc/kubernetes/kubestrap/cluster.yaml";
  auto kept = machine.host.text(copy);
  machine.host.put(copy, replaceAll(kept, "v1.37.2", "v1.36.3"), 0600);
  plan::World world{machine.host, machine.cri, *machine.http, machine.clock, machine.entropy};
  auto facts = machine.host.machine;
  facts.runtime = machine.cri.facts();
  const auto before = machine.effects().size();
  plan::run(phases::upgradeNodeWorkflow(), {.only = {}, .skip = {"preflight"}}, setup, facts, world, plan::Mode::apply, machine.listener, "upgrade node");
  Lines done(machine.effects().begin() + static_cast<std::ptrdiff_t>(before), machine.effects().end());
  std::erase_if(done, [](const auto& effect) { return effect.find("/var/lib/kubestrap/") != std::string::npos; });
  CHECK(done == Lines{"write /var/lib/kubelet/config.yaml", "restart kubelet", "write " + copy});
  CHECK(machine.host.text(paths::kubeletConfig.string()) == kubelet);
  CHECK(machine.host.text(copy) == kept);
}

TEST_CASE("renewal makes nothing of a hosted control plane anew: its components go by a file of credentials") {
  Hosted hosted;
  auto& machine = hosted.machine;
  machine.init();
  const std::string folder = "/etc/kubernetes/kubestrap/credentials/";
  const auto made = [&](const std::string& name) { return std::pair(machine.host.text(folder + name + "/kubeconfig"), machine.host.text(folder + name + "/client.pem")); };
  auto setup = machine.setup();
  std::map<std::string, std::pair<std::string, std::string>> before;
  for (const auto& row : phases::kubeconfigRows(setup.cluster)) {
    if (row.name == "kubelet") continue;
    const auto found = kube::parseKubeconfig(machine.host.text(phases::kubeconfigFile(row, setup.cluster).string()), "");
    setup.request.renewal.wanted[std::string(row.file)] = {.subject = {}, .names = {}, .server = found.server, .tlsServerName = found.tlsServerName,
                                                           .clusterName = found.clusterName, .user = found.user};
  }
  for (const auto* name : {"kube-controller-manager", "kube-scheduler", "kubestrap-guard"}) before[name] = made(name);
  const auto pods = machine.cri.effects;
  plan::World world{machine.host, machine.cri, *machine.http, machine.clock, machine.entropy};
  const auto outcome = plan::run(phases::renewWorkflow(), {}, setup, machine.host.machine, world, plan::Mode::apply, machine.listener, "certs renew");
  for (const auto& [name, pair] : before) {
    CAPTURE(name);
    CHECK(made(name).first == pair.first);
    CHECK(made(name).second != pair.second);
  }
  CHECK(machine.cri.effects == pods);
  CHECK(outcome.changed());
}

TEST_CASE("other nodes are told of the port for this node's own API servers") {
  Hosted hosted;
  hosted.machine.init();
  const auto info = hosted.machine.api.object("/api/v1/namespaces/kube-public/configmaps/cluster-info");
  REQUIRE(info);
  CHECK((*info)["data"]["api-server.n1"] == "10.0.0.11:6444");
}

TEST_CASE("once the guard governs, init brings no static pod back and leaves what stands by") {
  Hosted hosted;
  auto& machine = hosted.machine;
  machine.init();
  machine.host.put(paths::nodeState, R"({"mode":"selfhosted","held":[]})", 0644);
  for (const auto name : manifests::hostedComponents) {
    machine.host.files.erase(manifests::rescueManifest(hosted.component(name), manifests::Slot::rescue));
    machine.host.put(manifests::standby(hosted.component(name), manifests::Slot::rescue), "proved on this node\n", 0600);
  }
  // As pivot would have stored it.
  CHECK(changesOf(machine.plan()) ==
        Lines{"upload-config/kubeadm: update ConfigMap kube-system/kubestrap-config (differs in data.KubestrapConfiguration)"});
  machine.init();
  CHECK(changesOf(machine.plan()) == Lines{});
  for (const auto name : manifests::hostedComponents) {
    CHECK_FALSE(hosted.promoted(name));
    CHECK(hosted.standby(name) == "proved on this node\n");
  }
}

TEST_CASE("stopped after an effect, init of a hosted control plane goes on and ends as if nothing had happened") {
  Hosted undisturbed;
  undisturbed.machine.init();
  // Every effect of a plain one is tried elsewhere; this is a spread.
  for (std::size_t n = 1;; n += 29) {
    CAPTURE(n);
    Hosted hosted;
    if (!hosted.machine.initStoppedAt(n)) break;
    hosted.machine.init();
    for (const auto name : manifests::hostedComponents) {
      CHECK(hosted.promoted(name));
      CHECK(hosted.standby(name) == undisturbed.standby(name));
    }
    CHECK(changesOf(hosted.machine.plan()) == Lines{});
  }
}

} // namespace kubestrap::flow
