#include "phases/conversion.hpp"

#include "config/store.hpp"
#include "manifests/components.hpp"
#include "manifests/front.hpp"
#include "manifests/hosted.hpp"
#include "support/yaml.hpp"
#include "tests/unit/manifests/fixture.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>

using namespace kubestrap;
using namespace kubestrap::phases::conversion;
using config::EndpointMode;
using config::Layout;

namespace {

using Lines = std::vector<std::string>;

/// As kubeadm leaves a cluster whose operator has said nothing of its endpoint.
config::Setup plainSetup() {
  auto setup = test::hostedSetup();
  setup.cluster.kubestrap = {};
  setup.cluster.controlPlaneEndpoint.reset();
  return setup;
}

Intent intent(const Goal& goal, const config::Setup& present = plainSetup()) {
  Intent intent{.setup = present, .here = {}, .nodes = {.access = {"/etc/kubernetes/admin.conf", "https://10.88.0.11:6443"}, .image = "kubestrap.io/kubestrap:v1"},
                .endpoint = "https://10.88.0.11:6443", .kubeProxy = true};
  intent.setup.cluster = converted(present.cluster, goal, 6443);
  intent.command = "convert";
  return intent;
}

Seen cluster(std::initializer_list<std::pair<const char*, bool>> nodes) {
  Seen seen;
  for (const auto& [name, controlPlane] : nodes) seen.nodes.push_back({.name = name, .controlPlane = controlPlane});
  return seen;
}

Lines stepsTo(const Intent& intent, Seen& seen) {
  Lines steps;
  for (;;) {
    const auto next = phases::conversion::next(intent, seen);
    if (std::holds_alternative<plan::Done>(next)) return steps;
    REQUIRE(std::holds_alternative<plan::Step>(next));
    steps.push_back(std::get<plan::Step>(next).name);
    REQUIRE(steps.size() < 50);
    seen = assumed(intent, std::move(seen), next);
  }
}

std::string causeOf(const std::optional<plan::Stuck>& stuck) { return stuck ? stuck->cause : ""; }

/// Where files, conditions and absences are in a list: by path, or by what is waited for.
std::size_t indexOf(const plan::Resources& all, const std::string& wanted) {
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto& each = all[i];
    if (const auto* file = std::get_if<plan::File>(&each); file && "file " + file->path.string() == wanted) return i;
    if (const auto* absent = std::get_if<plan::Absent>(&each); absent && "no " + absent->path.string() == wanted) return i;
    if (const auto* condition = std::get_if<plan::Condition>(&each); condition && condition->what == wanted) return i;
    if (const auto* object = std::get_if<plan::Object>(&each); object && plan::subject(*object) == wanted) return i;
  }
  FAIL("not there: " << wanted);
  return 0;
}

void inThisOrder(const plan::Resources& all, const Lines& wanted) {
  for (std::size_t i = 1; i < wanted.size(); ++i) {
    CAPTURE(wanted[i - 1]);
    CAPTURE(wanted[i]);
    CHECK(indexOf(all, wanted[i - 1]) < indexOf(all, wanted[i]));
  }
}

} // namespace

TEST_CASE("a cluster of kubeadm's gets a name that is made up, and a balancer on every node") {
  const auto cluster = converted(plainSetup().cluster, {.layout = Layout::hosted}, 6443);
  CHECK(cluster.kubestrap.layout == Layout::hosted);
  CHECK(cluster.kubestrap.endpointMode == EndpointMode::local);
  REQUIRE(cluster.controlPlaneEndpoint);
  CHECK(cluster.controlPlaneEndpoint->string() == "api.kubernetes.internal:6443");
}

TEST_CASE("handed back without balancers a cluster of one control plane is as it was; with them it keeps its name") {
  const auto before = plainSetup().cluster;
  const auto hosted = converted(before, {.layout = Layout::hosted}, 6443);
  const auto back = converted(hosted, {.layout = Layout::plain, .endpointMode = EndpointMode::single}, 6443);
  CHECK(config::storedText(back) == config::storedText(before));
  const auto kept = converted(hosted, {.layout = Layout::plain}, 6443);
  CHECK(kept.kubestrap.endpointMode == EndpointMode::local);
  CHECK(kept.controlPlaneEndpoint == hosted.controlPlaneEndpoint);
}

TEST_CASE("another name leaves the former one in the certificates") {
  auto before = plainSetup().cluster;
  before.controlPlaneEndpoint = config::Endpoint{"10.0.0.100", 6443};
  const Goal goal{.layout = Layout::hosted, .endpointMode = {}, .endpoint = config::Endpoint{"api.example.org", 6443}};
  CHECK(causeOf(refusal(before, {.layout = Layout::hosted}, 1)).starts_with("controlPlaneEndpoint is the address 10.0.0.100:6443"));
  CHECK_FALSE(refusal(before, goal, 1));
  CHECK(converted(before, goal, 6443).apiServerCertSANs == Lines{"10.0.0.100"});
}

TEST_CASE("what cannot be converted is refused with the remedy") {
  auto present = plainSetup().cluster;
  CHECK_FALSE(refusal(present, {.layout = Layout::hosted}, 3));
  present.etcd.external = config::ExternalEtcd{};
  CHECK(causeOf(refusal(present, {.layout = Layout::hosted}, 1)).starts_with("etcd is elsewhere"));
  const Goal single{.layout = Layout::plain, .endpointMode = EndpointMode::single};
  CHECK(causeOf(refusal(plainSetup().cluster, single, 3)).starts_with("there are 3 control planes"));
  CHECK_FALSE(refusal(plainSetup().cluster, single, 1));

  auto seen = cluster({{"n1", true}});
  seen.selfHosted = true;
  const auto back = phases::conversion::next(intent({.layout = Layout::plain}), seen);
  REQUIRE(std::holds_alternative<plan::Stuck>(back));
  CHECK(std::get<plan::Stuck>(back).remedy == "first: kubestrap unpivot");
  CHECK(std::holds_alternative<plan::Done>(phases::conversion::next(intent({.layout = Layout::hosted}), seen)));
}

TEST_CASE("control planes come first, then workers, then what leads to their balancers") {
  auto seen = cluster({{"n1", true}, {"n2", true}, {"w1", false}});
  const auto wanted = intent({.layout = Layout::hosted});
  CHECK(stepsTo(wanted, seen) == Lines{"guards may do their work, and policies protect it", "n1: layout hosted", "n2: layout hosted", "w1: goes by a balancer of its own",
                                       "cluster-info and kube-proxy go by api.kubernetes.internal:6443", "the cluster's configuration says so"});
  CHECK(stepsTo(wanted, seen).empty());
}

TEST_CASE("balancers go only when nobody is led to them any more") {
  auto seen = cluster({{"n1", true}, {"w1", false}});
  const auto hosted = converted(plainSetup().cluster, {.layout = Layout::hosted}, 6443);
  auto present = plainSetup();
  present.cluster = hosted;
  CHECK(stepsTo(intent({.layout = Layout::plain, .endpointMode = EndpointMode::single}, present), seen) ==
        Lines{"cluster-info and kube-proxy go by 10.88.0.11:6443", "w1: goes by the cluster's endpoint", "n1: layout plain",
              "what guards may do, and what protects them, is removed", "the cluster's configuration says so"});
}

TEST_CASE("a conversion goes on from wherever it was stopped, and the other direction goes back") {
  for (const auto layout : {Layout::hosted, Layout::plain}) {
    auto all = cluster({{"n1", true}, {"n2", true}, {"w1", false}});
    auto present = plainSetup();
    if (layout == Layout::plain) present.cluster = converted(present.cluster, {.layout = Layout::hosted}, 6443);
    const auto wanted = intent({.layout = layout}, present);
    const auto steps = stepsTo(wanted, all);
    for (std::size_t done = 0; done < steps.size(); ++done) {
      auto seen = cluster({{"n1", true}, {"n2", true}, {"w1", false}});
      for (std::size_t i = 0; i < done; ++i) seen = assumed(wanted, std::move(seen), phases::conversion::next(wanted, seen));
      CHECK(stepsTo(wanted, seen) == Lines(steps.begin() + static_cast<std::ptrdiff_t>(done), steps.end()));
    }
  }
}

TEST_CASE("a node that is not Ready, or whose guard is silent, is waited for before the next one") {
  auto seen = cluster({{"n1", true}, {"n2", true}});
  seen.rights = true;
  const auto wanted = intent({.layout = Layout::hosted});
  seen.nodes[0].converted = true;
  seen.nodes[0].guarded = false;
  auto next = phases::conversion::next(wanted, seen);
  REQUIRE(std::holds_alternative<plan::Waiting>(next));
  CHECK(std::get<plan::Waiting>(next).what == "the guard of n1 reports");
  seen.nodes[0].guarded = true;
  seen.nodes[1].ready = false;
  next = phases::conversion::next(wanted, seen);
  REQUIRE(std::holds_alternative<plan::Waiting>(next));
  CHECK(std::get<plan::Waiting>(next).what == "n2 is Ready");
}

TEST_CASE("what stands in the way on any node is told before the first is touched") {
  auto seen = cluster({{"n1", true}, {"w1", false}});
  seen.nodes[1].obstacles = {"port 6443 is taken by nginx"};
  const auto next = phases::conversion::next(intent({.layout = Layout::hosted}), seen);
  REQUIRE(std::holds_alternative<plan::Stuck>(next));
  CHECK(std::get<plan::Stuck>(next).cause == "w1: port 6443 is taken by nginx");
}

TEST_CASE("the port of the API server is free before the balancer takes it, and all else is there by then") {
  const auto hosted = intent({.layout = Layout::hosted});
  const auto all = onNode(hosted.setup, {.superAdmin = true, .record = "where to\n"});
  inThisOrder(all, {"file /var/lib/kubestrap/conversion.yaml", "file /etc/hosts", "file /etc/kubernetes/kubestrap/node.json", "no /etc/kubernetes/manifests/kube-apiserver.yaml",
                    "kube-apiserver-n1 is gone", "file /etc/kubernetes/manifests/rescue-kube-apiserver.yaml", "file /etc/kubernetes/manifests/kubestrap-front-a.yaml",
                    "the API server answers at https://10.88.0.11:6444/livez", "file /etc/kubernetes/manifests/rescue-kube-scheduler.yaml",
                    "file /etc/kubernetes/manifests/kubestrap-guard.yaml", "no /etc/kubernetes/scheduler.conf", "no /var/lib/kubestrap/conversion.yaml"});
}

TEST_CASE("on the way back the guard goes first, and the balancer while its API server still ends") {
  auto present = plainSetup();
  present.cluster = converted(present.cluster, {.layout = Layout::hosted}, 6443);
  present.node.fronts["a"] = emitYaml(manifests::frontPod(present, "a"));
  const auto plain = intent({.layout = Layout::plain}, present);
  const auto all = onNode(plain.setup, {.superAdmin = true, .record = "where to\n"});
  inThisOrder(all, {"no /etc/kubernetes/manifests/kubestrap-guard.yaml", "kubestrap-guard-n1 is gone", "no /etc/kubernetes/manifests/rescue-kube-apiserver.yaml",
                    "kube-scheduler-rescue-n1 is gone", "no /etc/kubernetes/manifests/kubestrap-front-a.yaml", "kube-apiserver-rescue-n1 is gone",
                    "file /etc/kubernetes/manifests/kube-apiserver.yaml", "the API server answers at https://10.88.0.11:6443/livez",
                    "ConfigMap kube-public/cluster-info", "file /etc/kubernetes/manifests/kube-scheduler.yaml", "file /etc/kubernetes/manifests/kubestrap-front-b.yaml", "no /etc/kubernetes/kubestrap/node.json",
                    "no /var/lib/kubestrap/conversion.yaml"});
}

TEST_CASE("static pods that were changed by hand are told of") {
  const auto setup = plainSetup();
  std::map<std::string, std::string> manifests;
  for (const auto name : manifests::hostedComponents) manifests[std::string(name)] = emitYaml(manifests::component(name).pod(setup));
  CHECK(changedByHand(setup, manifests).empty());
  auto pod = parseYamlValue(manifests["kube-scheduler"], "pod");
  pod["spec"]["containers"][0]["command"].push_back("--v=4");
  manifests["kube-scheduler"] = emitYaml(pod);
  CHECK(changedByHand(setup, manifests) ==
        Lines{"/etc/kubernetes/manifests/kube-scheduler.yaml is not as the cluster's configuration says, in spec.containers[0].command"});
}
