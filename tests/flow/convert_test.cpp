// A control plane of one node goes from layout plain to hosted and back, whatever stops it.
#include "tests/flow/machine.hpp"

#include "cmd/convert_look.hpp"
#include "config/paths.hpp"
#include "kube/kubeconfig.hpp"
#include "manifests/front.hpp"
#include "manifests/hosted.hpp"
#include "phases/conversion.hpp"
#include "plan/operation.hpp"
#include "plan/run.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>

using namespace kubestrap;
using namespace kubestrap::flow;
namespace conversion = kubestrap::phases::conversion;
namespace paths = kubestrap::config::paths;
using config::EndpointMode;
using config::Layout;

namespace {

using Lines = std::vector<std::string>;

const std::string kManifests = "/etc/kubernetes/manifests/";
/// Each kill takes a third of a second. The tests begin at different effects.
constexpr std::size_t stride = 13;

const conversion::Goal kHosted{.layout = Layout::hosted}, kPlain{.layout = Layout::plain, .endpointMode = EndpointMode::single};

/// A control plane as kubeadm leaves it, with a kubelet whose containers come and go some seconds after their manifests.
class Converted : public Machine {
public:
  Converted() {
    cri.images = {"kubestrap.io/kubestrap:v1"};
    host.put("/etc/hosts", "127.0.0.1 localhost\n10.0.0.11 n1\n", 0644);
    api.servers = {"https://10.0.0.11:6443", "https://10.0.0.11:6444", "https://api.kubernetes.internal:6443"};
    init();
    api.put(Value::object({{"apiVersion", "apps/v1"}, {"kind", "DaemonSet"}, {"metadata", Value::object({{"name", "kube-proxy"}, {"namespace", "kube-system"}})},
                           {"spec", Value::object({{"template", Value::object({{"metadata", Value::object()}})}})}}));
    clock.onSleep = [this] {
      settle();
      followManifests();
    };
    followManifests();
  }

  config::Setup wanted(const conversion::Goal& goal) {
    auto wanted = setup();
    wanted.cluster = conversion::converted(std::move(wanted.cluster), goal, 6443);
    wanted.request.ownImage = "kubestrap.io/kubestrap:v1";
    wanted.node.hostsFile = host.text("/etc/hosts");
    wanted.node.hosting = host.read(paths::nodeState).value_or("");
    for (const auto slot : manifests::frontSlots)
      if (auto manifest = host.read(manifests::frontManifest(slot))) wanted.node.fronts[std::string(slot)] = std::move(*manifest);
    return wanted;
  }

  bool isConverted(const conversion::Goal& goal) {
    plan::World world{host, cri, *http, clock, entropy};
    const auto setup = wanted(goal);
    auto here = cmd::here(setup, host);
    here.record.clear();
    return !host.status(conversion::underWay) && cmd::isAsWanted(conversion::onNode(setup, here), world);
  }

  void convert(const conversion::Goal& goal) {
    plan::World world{host, cri, *http, clock, entropy};
    const auto here = [&](const config::Setup& setup) { return cmd::here(setup, host); };
    if (host.status(conversion::underWay)) { // as cmd/convert.cpp does
      const auto setup = wanted(goal);
      plan::enactAll(conversion::onNode(setup, here(setup)), "n1", "convert", world, listener);
    }
    const auto next = [&]() -> plan::Next {
      conversion::Intent intent{.setup = wanted(goal), .here = {}, .nodes = {.access = {paths::adminConf, "https://10.0.0.11:6443"}, .image = "kubestrap"},
                                .endpoint = "https://10.0.0.11:6443", .kubeProxy = true};
      intent.here = here(intent.setup);
      conversion::Seen seen{.nodes = {{.name = "n1", .controlPlane = true, .converted = isConverted(goal)}}};
      seen.rights = cmd::isAsWanted(conversion::rights(intent, seen.nodes), world);
      seen.told = cmd::isAsWanted(conversion::told(intent), world);
      seen.stored = cmd::isAsWanted(conversion::stored(intent), world);
      return conversion::next(intent, seen);
    };
    plan::perform({.name = "convert", .access = {paths::adminConf, "https://10.0.0.11:6443"}, .holder = "n1", .next = next}, world, listener);
  }

  bool has(const std::string& manifest) { return host.files.contains(kManifests + manifest); }

private:
  /// Whoever listens on a port that is taken ends at once, and is away for long: it must not come to that.
  void followManifests() {
    const auto runs = [&](const std::string& pod) { return std::ranges::find(cri.found, pod, &host::Container::podName); };
    const auto has = [&](const std::string& manifest) { return this->has(manifest); };
    for (const auto& [manifest, pod, port] : {std::tuple<std::string, std::string, bool>{"kube-apiserver.yaml", "kube-apiserver-n1", true},
                                              {"rescue-kube-apiserver.yaml", "kube-apiserver-rescue-n1", false},
                                              {"kubestrap-front-a.yaml", "kubestrap-front-a-n1", false},
                                              {"kubestrap-front-b.yaml", "kubestrap-front-b-n1", false},
                                              {"kubestrap-guard.yaml", "kubestrap-guard-n1", false},
                                              {"kube-controller-manager.yaml", "kube-controller-manager-n1", false},
                                              {"rescue-kube-controller-manager.yaml", "kube-controller-manager-rescue-n1", false}}) {
      const auto found = runs(pod);
      if (has(manifest) && found == cri.found.end()) {
        if (port) CHECK_MESSAGE((runs("kube-apiserver-rescue-n1") == cri.found.end() && !listens("a") && !listens("b")), "the port is taken");
        else if (pod.starts_with("kube-apiserver-rescue")) CHECK_MESSAGE(runs("kube-apiserver-n1") == cri.found.end(), pod);
        else if (listens("a") || listens("b")) CHECK_MESSAGE(runs("kube-apiserver-n1") == cri.found.end(), pod);
        for (const auto slot : manifests::frontSlots)
          if (pod == fmt::format("kubestrap-front-{}-n1", slot)) host.put(manifests::frontMarker(slot), "", 0644);
        cri.found.push_back({.id = pod, .podUid = pod, .podName = pod, .podNamespace = "kube-system", .name = pod, .state = host::Container::State::running, .createdAt = host.now});
      } else if (!has(manifest) && found != cri.found.end() && ++ending_[pod] > 2) {
        cri.found.erase(found);
        ending_.erase(pod);
      }
    }
  }

  /// A balancer of layout hosted lets go of the port as soon as its manifest is gone.
  bool listens(const std::string& slot) {
    const auto manifest = host.read(manifests::frontManifest(slot));
    return manifest && manifest->find("--slots=true") != std::string::npos;
  }

  std::map<std::string, int> ending_;
};

void checkHosted(Converted& machine) {
  CHECK(machine.isConverted(kHosted));
  for (const auto name : manifests::hostedComponents) {
    CHECK(machine.has("rescue-" + std::string(name) + ".yaml"));
    CHECK_FALSE(machine.has(std::string(name) + ".yaml"));
    CHECK(machine.host.files.contains(manifests::standby(manifests::component(name), manifests::Slot::rescue)));
  }
  CHECK(machine.has("kubestrap-guard.yaml"));
  for (const auto* file : {"kubelet.conf", "admin.conf"})
    CHECK(kube::parseKubeconfig(machine.host.text(std::string("/etc/kubernetes/") + file), file).server == "https://api.kubernetes.internal:6443");
  CHECK_FALSE(machine.host.status(conversion::underWay));
  const auto info = *machine.api.object("/api/v1/namespaces/kube-public/configmaps/cluster-info");
  CHECK(info["data"]["api-server.n1"] == "10.0.0.11:6444");
  CHECK(info["data"]["kubeconfig"].get<std::string>().find("https://api.kubernetes.internal:6443") != std::string::npos);
}

void checkPlain(Converted& machine) {
  CHECK(machine.isConverted(kPlain));
  for (const auto name : manifests::hostedComponents) {
    CHECK_FALSE(machine.has("rescue-" + std::string(name) + ".yaml"));
    CHECK(machine.has(std::string(name) + ".yaml"));
  }
  for (const auto* gone : {"kubestrap-guard.yaml", "kubestrap-front-a.yaml", "kubestrap-front-b.yaml"}) CHECK_FALSE(machine.has(gone));
  CHECK(machine.host.text("/etc/hosts") == "127.0.0.1 localhost\n10.0.0.11 n1\n");
  CHECK_FALSE(machine.host.status("/etc/kubernetes/kubestrap"));
  for (const auto* file : {"kubelet.conf", "admin.conf", "controller-manager.conf"})
    CHECK(kube::parseKubeconfig(machine.host.text(std::string("/etc/kubernetes/") + file), file).server == "https://10.0.0.11:6443");
  CHECK_FALSE(machine.host.status(conversion::underWay));
  const auto info = *machine.api.object("/api/v1/namespaces/kube-public/configmaps/cluster-info");
  CHECK_FALSE(info["data"].contains("api-server.n1"));
  CHECK(info["data"]["kubeconfig"].get<std::string>().find("https://10.0.0.11:6443") != std::string::npos);
}

std::size_t effectsOf(const conversion::Goal& goal) {
  Converted machine;
  if (goal.layout == Layout::plain) machine.convert(kHosted);
  return machine.effectsOf([&] { machine.convert(goal); });
}

/// As far as its n-th effect.
void stopAt(Converted& machine, const conversion::Goal& goal, std::size_t n) {
  machine.host.stopAtEffect = machine.host.effects.size() + n;
  CHECK_THROWS_AS(machine.convert(goal), fakes::Killed);
  machine.host.stopAtEffect.reset();
  machine.host.now += std::chrono::seconds(5);
}

} // namespace

TEST_CASE("a plain control plane becomes hosted and plain again, and another run has nothing to do") {
  Converted machine;
  const auto pods = machine.host.text(kManifests + "kube-apiserver.yaml");
  machine.convert(kHosted);
  checkHosted(machine);
  CHECK(machine.effectsOf([&] { machine.convert(kHosted); }) <= 2); // who drives, and that it is over
  machine.convert(kPlain);
  checkPlain(machine);
  CHECK(machine.host.text(kManifests + "kube-apiserver.yaml") == pods);
  CHECK(machine.effectsOf([&] { machine.convert(kPlain); }) <= 2);
}

TEST_CASE("where nodes keep their balancers, the next one knows this node's own API server") {
  Converted machine;
  const conversion::Goal balanced{.layout = Layout::plain};
  const auto servers = [&] { return machine.host.text(manifests::frontServersFile().string()); };
  machine.adjust = [](config::Setup& setup) {
    setup.cluster.kubestrap.endpointMode = EndpointMode::local;
    setup.cluster.controlPlaneEndpoint = config::Endpoint{"api.kubernetes.internal", 6443};
  };
  machine.api.servers.push_back("https://api.kubernetes.internal:6445");
  machine.convert(kHosted);
  CHECK(servers().find("server n1 ") == std::string::npos);
  machine.convert(balanced);
  CHECK(servers().find("server n1 10.0.0.11:6443") != std::string::npos);
  CHECK(machine.isConverted(balanced));
  CHECK(machine.has("kubestrap-front-b.yaml"));
  CHECK(kube::parseKubeconfig(machine.host.text("/etc/kubernetes/kubelet.conf"), "kubelet.conf").server == "https://api.kubernetes.internal:6445");
  machine.convert(kHosted);
  CHECK(machine.isConverted(kHosted));
  CHECK(machine.has("kubestrap-front-a.yaml"));
  CHECK_FALSE(machine.has("kubestrap-front-b.yaml"));
}

TEST_CASE("a conversion that was killed anywhere goes on to its end") {
  for (const auto& goal : {kHosted, kPlain}) {
    const auto effects = effectsOf(goal);
    CHECK(effects > 40);
    for (std::size_t n = 1; n < effects; n += stride) {
      CAPTURE(n);
      Converted machine;
      if (goal.layout == Layout::plain) machine.convert(kHosted);
      stopAt(machine, goal, n);
      machine.convert(goal);
      if (goal.layout == Layout::hosted) checkHosted(machine);
      else checkPlain(machine);
    }
  }
}

TEST_CASE("a conversion that was killed anywhere goes back") {
  const auto effects = effectsOf(kHosted);
  for (std::size_t n = 3; n < effects; n += stride) {
    CAPTURE(n);
    Converted machine;
    stopAt(machine, kHosted, n);
    machine.convert(kPlain);
    checkPlain(machine);
  }
}
