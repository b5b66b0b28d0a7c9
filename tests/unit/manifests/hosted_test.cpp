#include "config/rolling.hpp"
#include "manifests/hosted.hpp"

#include "manifests/front.hpp"
#include "support/error.hpp"
#include "support/yaml.hpp"
#include "tests/unit/manifests/fixture.hpp"

#include <doctest/doctest.h>

using namespace kubestrap;
using namespace kubestrap::manifests;
using test::has;

namespace {

config::Setup hostedSetup() {
  auto setup = test::hostedSetup();
  setup.request.apiServers = {{"n1", {"10.88.0.11", 6444}}, {"n2", {"10.88.0.12", 6444}}};
  return setup;
}

std::vector<std::string> commandOf(const Value& spec) { return spec.at("containers").at(0).at("command").get<std::vector<std::string>>(); }
bool hasWord(const Value& spec, std::string_view word) {
  const auto words = commandOf(spec);
  return std::ranges::find(words, word) != words.end();
}

} // namespace

TEST_CASE("every hosted component gets a pod in its slot that asks for nothing that only an API server has") {
  const auto setup = hostedSetup();
  for (const auto name : hostedComponents) {
    CAPTURE(name);
    const auto pod = rescuePod(component(name), setup);
    CHECK(notFitForStaticPod(pod) == "");
    CHECK(pod["metadata"]["name"] == std::string(name) + "-rescue");
    CHECK(pod["metadata"]["labels"][std::string(hostingLabel)] == "rescue");
    CHECK(hasWord(pod["spec"], "--bind-address=127.64.43.3"));
    for (const auto* probe : {"startupProbe", "readinessProbe", "livenessProbe"}) {
      const auto& get = pod["spec"]["containers"][0][probe]["httpGet"];
      CHECK(get["host"] == "127.64.43.3");
      CHECK(get["port"] == slotPort(component(name), setup));
    }
  }
  CHECK(hasWord(rescuePod(component("kube-apiserver"), setup)["spec"], "--advertise-address=$(HOST_IP)"));
}

TEST_CASE("readiness of an API server does not hang on etcd, since a blink of it would have pods deleted in the middle of a roll") {
  const auto spec = daemonSet(component("kube-apiserver"), hostedSetup(), Slot::blue, 1)["spec"]["template"]["spec"];
  CHECK(spec["containers"][0]["startupProbe"]["httpGet"]["path"] == "/readyz");
  CHECK(spec["containers"][0]["readinessProbe"]["httpGet"]["path"] == "/livez?exclude=etcd");
}

TEST_CASE("credentials are mounted as a folder") {
  const auto pod = rescuePod(component("kube-scheduler"), hostedSetup());
  CHECK(hasWord(pod["spec"], "--kubeconfig=/etc/kubernetes/kubestrap/credentials/kube-scheduler/kubeconfig"));
  CHECK(pod["spec"]["volumes"][0]["hostPath"]["path"] == "/etc/kubernetes/kubestrap/credentials/kube-scheduler");
  CHECK(pod["spec"]["volumes"][0]["hostPath"]["type"] == "Directory");
}

TEST_CASE("an operator's arguments count, those that make a slot do not") {
  auto setup = hostedSetup();
  setup.cluster.apiServer.extraArgs = {{"bind-address", "0.0.0.0"}, {"shutdown-delay-duration", "20s"}, {"v", "4"}};
  const auto pod = rescuePod(component("kube-apiserver"), setup);
  CHECK(hasWord(pod["spec"], "--bind-address=127.64.43.3"));
  CHECK_FALSE(hasWord(pod["spec"], "--bind-address=0.0.0.0"));
  CHECK(hasWord(pod["spec"], "--shutdown-delay-duration=20s"));
  CHECK_FALSE(hasWord(pod["spec"], "--shutdown-delay-duration=10s"));
  CHECK(hasWord(pod["spec"], "--v=4"));
}

TEST_CASE("a DaemonSet's template makes the rescue pod that there was, whatever its colour") {
  const auto setup = hostedSetup();
  for (const auto name : hostedComponents)
    for (const auto colour : {Slot::blue, Slot::green}) {
      CAPTURE(name);
      auto wanted = rescuePod(component(name), setup);
      wanted["metadata"]["annotations"][std::string(config::revisionAnnotation)] = "7";
      const auto set = daemonSet(component(name), setup, colour, 7);
      CHECK(sameDocument(rescuePodOf(component(name), set["spec"]["template"]), wanted));
    }
}

TEST_CASE("labels and annotations of a patch are on pods of both kinds, and on standbys made of templates, and those made of standbys") {
  auto setup = hostedSetup();
  setup.request.patches = {{"kube-scheduler+merge.yaml", config::Patch::Target::scheduler, config::Patch::Kind::merge,
                            parseYamlValue("metadata: {annotations: {example.org/note: kept}, labels: {example.org/team: a}}", "test")}};
  const auto& scheduler = component("kube-scheduler");
  const auto set = daemonSet(scheduler, setup, Slot::blue, 1);
  const auto& podTemplate = set["spec"]["template"];
  const auto standby = rescuePodOf(scheduler, podTemplate);
  const auto again = daemonSetOf(scheduler, standby, Slot::rescue, Slot::green, 2);
  for (const auto& each : {rescuePod(scheduler, setup), podTemplate, standby, again["spec"]["template"]}) {
    CHECK(each["metadata"]["annotations"]["example.org/note"] == "kept");
    CHECK(each["metadata"]["labels"]["example.org/team"] == "a");
  }
  CHECK(again["spec"]["template"]["metadata"]["labels"][std::string(hostingLabel)] == "self");
  CHECK_FALSE(again["spec"]["template"]["metadata"]["annotations"].contains(std::string(activationAnnotation)));
  CHECK_FALSE(set["spec"]["selector"]["matchLabels"].contains("example.org/team"));
}

TEST_CASE("the previous standby runs beside the current one") {
  const auto rescue = rescuePod(component("kube-apiserver"), hostedSetup());
  const auto previous = previousPodOf(component("kube-apiserver"), rescue);
  CHECK(previous["metadata"]["name"] == "kube-apiserver-rescue-prev");
  CHECK(hasWord(previous["spec"], "--bind-address=127.64.43.5"));
  CHECK(activated(rescue, 4)["metadata"]["annotations"][std::string(activationAnnotation)] == "4");
}

TEST_CASE("a template that a static pod cannot be made of is refused with what is in the way") {
  const auto set = daemonSet(component("kube-scheduler"), hostedSetup(), Slot::blue, 1);
  const auto refusal = [](Value podTemplate) {
    try {
      rescuePodOf(component("kube-scheduler"), podTemplate);
    } catch (const Error& error) {
      return error.message();
    }
    return std::string();
  };
  auto withSecret = set["spec"]["template"];
  withSecret["spec"]["volumes"].push_back(Value::object({{"name", "s"}, {"secret", Value::object({{"secretName", "s"}})}}));
  CHECK(has(refusal(withSecret), "volume s of kind secret"));
  auto withPort = set["spec"]["template"];
  withPort["spec"]["containers"][0]["ports"] = Value::array({Value::object({{"containerPort", 1}})});
  CHECK(has(refusal(withPort), "ports of container kube-scheduler"));
  auto withoutSlot = set["spec"]["template"];
  withoutSlot["metadata"]["annotations"].erase(std::string(slotAnnotation));
  CHECK(has(refusal(withoutSlot), "no annotation kubestrap.io/slot"));
}

TEST_CASE("DaemonSets surge, declare no port, and select nodes by both labels") {
  const auto set = daemonSet(component("kube-controller-manager"), hostedSetup(), Slot::green, 2);
  CHECK(set["spec"]["updateStrategy"]["rollingUpdate"] == Value::object({{"maxSurge", 1}, {"maxUnavailable", 0}}));
  CHECK(set["spec"]["template"]["spec"]["nodeSelector"].size() == 2);
  CHECK_FALSE(set["spec"]["template"]["spec"]["containers"][0].contains("ports"));
  CHECK(set["spec"]["template"]["metadata"]["annotations"][std::string(slotAnnotation)] == "green");
}

TEST_CASE("the front of a hosted control plane has the API server's port, its slots first, and a port for its slots alone") {
  const auto setup = hostedSetup();
  CHECK(frontEndpoint(setup).port == 6443);
  CHECK(ownApiServers(setup) == config::Endpoint{"10.88.0.11", 6444});
  const auto configuration = frontConfiguration(setup);
  CHECK(has(configuration, "  bind 127.0.0.1:6443\n  bind 10.88.0.11:6443\n"));
  CHECK(has(configuration, "frontend local\n  bind 10.88.0.11:6444\n  default_backend slots\n"));
  CHECK(has(configuration, "  server blue 127.64.43.1:6443\n"));
  CHECK(apiServers(setup) == std::map<std::string, config::Endpoint>{{"n2", {"10.88.0.12", 6444}}});
  auto worker = setup;
  worker.node.controlPlane = false;
  CHECK_FALSE(has(frontConfiguration(worker), "slots"));
}
