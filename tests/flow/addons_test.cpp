// Add-ons: manifests of other makers, beside the cluster's own objects.
#include "tests/flow/machine.hpp"
#include "tests/lines.hpp"

#include "manifests/addon_objects.hpp"
#include "phases/addons.hpp"
#include "support/yaml.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace kubestrap;
using namespace kubestrap::flow;

namespace {

const std::string kMetallb = R"(
apiVersion: v1
kind: Namespace
metadata: {name: metallb-system}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: ipaddresspools.metallb.io}
spec: {group: metallb.io, scope: Namespaced, names: {kind: IPAddressPool, plural: ipaddresspools}, versions: [{name: v1beta1, served: true}]}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: l2advertisements.metallb.io}
spec: {group: metallb.io, scope: Namespaced, names: {kind: L2Advertisement, plural: l2advertisements}, versions: [{name: v1beta1, served: true}]}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: speaker, namespace: metallb-system}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: speaker, namespace: metallb-system}
spec:
  selector: {matchLabels: {app: metallb}}
  template:
    metadata: {labels: {app: metallb}}
    spec: {containers: [{name: speaker, image: "quay.io/metallb/speaker:v0.16.2", resources: {requests: {cpu: 1000m}}}]}
)";

const std::string kRecord = "/api/v1/namespaces/kube-system/configmaps/kubestrap-addon-metallb";
const std::string kPool = "/apis/metallb.io/v1beta1/namespaces/metallb-system/ipaddresspools/hall";
const std::string kSpeaker = "/apis/apps/v1/namespaces/metallb-system/daemonsets/speaker";
const std::string kAccount = "/api/v1/namespaces/metallb-system/serviceaccounts/speaker";

std::vector<config::ObjectName> installedBy(const Value& record) {
  config::AddonSeen seen;
  manifests::takeRecord(seen, record);
  return seen.installed;
}

class WithAddon : public Machine {
public:
  WithAddon() {
    adjust = [this](config::Setup& setup) {
      setup.cluster.kubestrap.addons = {
          {.name = "metallb", .source = {}, .values = config::AddonValues{.pools = {{.name = "hall", .addresses = {"10.0.0.240/28"}, .autoAssign = {}}}}}};
      setup.request.addons["metallb"] = seen();
      setup.request.addonPatience = patience;
    };
  }

  config::AddonSeen seen() {
    config::AddonSeen found{.from = "/m/metallb.yaml", .manifest = {}, .installed = {}};
    for (auto& each : parseYaml(manifest, "metallb.yaml")) found.manifest.push_back(std::move(each.value));
    if (const auto record = api.object(kRecord)) manifests::takeRecord(found, *record);
    return found;
  }

  plan::Outcome run(const plan::Workflow& workflow, plan::Mode mode = plan::Mode::apply) {
    const auto wanted = setup();
    plan::World world{host, cri, api, clock, entropy};
    return plan::run(workflow, {}, wanted, {}, world, mode, listener, "addons");
  }

  std::string manifest = kMetallb;
  std::optional<Duration> patience;
};

std::size_t at(const Lines& lines, const std::string& text) {
  const auto found = std::ranges::find_if(lines, [&](const auto& each) { return each.find(text) != std::string::npos; });
  REQUIRE_MESSAGE(found != lines.end(), text, join(lines, "\n"));
  return static_cast<std::size_t>(found - lines.begin());
}

} // namespace

TEST_CASE("an add-on is installed by init, its kinds before their objects, and a second run changes nothing") {
  WithAddon machine;
  const auto planned = changesOf(machine.plan());
  at(planned, "addon/metallb: apply IPAddressPool metallb-system/hall");
  machine.listener.lines.clear();
  machine.init();
  const auto& lines = machine.listener.lines;
  CHECK(at(lines, "[addon/metallb] created ConfigMap kube-system/kubestrap-addon-metallb") < at(lines, "created Namespace metallb-system"));
  CHECK(at(lines, "CustomResourceDefinition ipaddresspools.metallb.io") < at(lines, "the cluster serves the kinds of metallb"));
  CHECK(at(lines, "the cluster serves the kinds of metallb") < at(lines, "created IPAddressPool metallb-system/hall"));
  CHECK(machine.api.object(kPool)->at("spec").at("addresses") == Value{"10.0.0.240/28"});
  CHECK(machine.api.object("/api/v1/namespaces/kube-system/configmaps/kubestrap-config")->at("data").at("KubestrapConfiguration").get<std::string>().find("name: metallb") != std::string::npos);

  machine.api.forgetRecords();
  CHECK(changesOf(machine.init()) == Lines{});
  // That 1000m is the same as 1 is the server's to know, which is asked by a dry run.
  CHECK(machine.api.writes().size() == 1);
  CHECK(changesOf(machine.run(phases::addonsWorkflow(), plan::Mode::plan)) == Lines{});
}

TEST_CASE("a difference that the server sees is put right, and says where it is") {
  WithAddon machine;
  machine.init();
  machine.manifest = replaceAll(kMetallb, "speaker:v0.16.2", "speaker:v0.16.3");
  const auto changes = changesOf(machine.run(phases::addonsWorkflow()));
  CHECK(changes == Lines{"addon/metallb: update DaemonSet metallb-system/speaker (differs in spec.template.spec.containers[0].image)"});
  CHECK(changesOf(machine.run(phases::addonsWorkflow(), plan::Mode::plan)) == Lines{});
}

TEST_CASE("what a newer manifest lacks goes, but for namespaces and definitions") {
  WithAddon machine;
  machine.init();
  const auto cut = [&](const std::string& from, const std::string& to) {
    const auto begin = machine.manifest.find(from);
    machine.manifest.erase(begin, machine.manifest.find(to, begin) - begin);
  };
  cut("apiVersion: v1\nkind: ServiceAccount", "apiVersion: apps/v1");
  cut("apiVersion: v1\nkind: Namespace", "apiVersion: apiextensions");
  const auto changes = changesOf(machine.run(phases::addonsWorkflow()));
  CHECK(changes == Lines{"addon/metallb: remove ServiceAccount metallb-system/speaker (not wanted any more)",
                         "addon/metallb: update ConfigMap kube-system/kubestrap-addon-metallb (differs in data.objects)"});
  CHECK(!machine.api.object(kAccount));
  CHECK(machine.api.object("/api/v1/namespaces/metallb-system"));
  const auto recorded = installedBy(*machine.api.object(kRecord));
  CHECK(std::ranges::count(recorded, config::ObjectName{"v1", "Namespace", "", "metallb-system"}) == 1); // it goes when the add-on does
  CHECK(changesOf(machine.run(phases::addonsWorkflow(), plan::Mode::plan)) == Lines{});
}

TEST_CASE("a run that is stopped anywhere goes on, and ends as if it had not been") {
  WithAddon whole;
  whole.init();
  for (std::size_t n = 1;; ++n) {
    WithAddon machine;
    machine.selection.skip = {"addon"};
    machine.init();
    machine.selection.skip = {};
    machine.host.stopAtEffect = machine.host.effects.size() + n;
    try {
      machine.run(phases::addonsWorkflow());
      CHECK(n > 8);
      break;
    } catch (const fakes::Killed&) {
      machine.host.stopAtEffect.reset();
    }
    machine.init();
    CHECK(machine.api.paths() == whole.api.paths());
    CHECK(changesOf(machine.plan()) == Lines{});
  }
}

TEST_CASE("pods are waited for where that is asked, and one that cannot start ends it") {
  WithAddon machine;
  machine.init();
  machine.patience = std::chrono::minutes(5);
  auto speaker = *machine.api.object(kSpeaker);
  speaker["status"] = {{"observedGeneration", speaker["metadata"]["generation"]}, {"desiredNumberScheduled", 2}, {"updatedNumberScheduled", 2}, {"numberAvailable", 2}};
  SUBCASE("all ready") {
    machine.api.put(speaker, "kube-controller-manager");
    CHECK(changesOf(machine.run(phases::addonsWorkflow())) == Lines{});
  }
  SUBCASE("one of two") {
    speaker["status"]["numberAvailable"] = 1;
    machine.api.put(speaker, "kube-controller-manager");
    try {
      machine.run(phases::addonsWorkflow());
      FAIL("it waits in vain");
    } catch (const Error& error) {
      CHECK(error.message() == "gave up after 5m waiting until the pods of metallb are ready: DaemonSet metallb-system/speaker: 1 of 2 pods are ready");
    }
  }
  SUBCASE("no image") {
    speaker["status"]["numberAvailable"] = 0;
    machine.api.put(speaker, "kube-controller-manager");
    machine.api.put({{"apiVersion", "v1"},
                     {"kind", "Pod"},
                     {"metadata", {{"name", "speaker-x"}, {"namespace", "metallb-system"}, {"labels", {{"app", "metallb"}}}}},
                     {"spec", {{"containers", Value::array()}}},
                     {"status", {{"containerStatuses", Value::array({Value{{"name", "speaker"}, {"state", {{"waiting", {{"reason", "ImagePullBackOff"}, {"message", "no such host"}}}}}}})}}}},
                    "kubelet");
    try {
      machine.run(phases::addonsWorkflow());
      FAIL("it waits in vain");
    } catch (const Error& error) {
      CHECK(error.message().find("the container speaker of pod speaker-x does not start: ImagePullBackOff\n  evidence: no such host") != std::string::npos);
      CHECK(error.hint().find("values.imageRegistry") != std::string::npos);
    }
  }
}

TEST_CASE("a Deployment whose former pod answers for the new one is not ready") {
  WithAddon machine;
  machine.manifest += R"(---
apiVersion: apps/v1
kind: Deployment
metadata: {name: controller, namespace: metallb-system}
spec: {selector: {matchLabels: {app: c}}, template: {metadata: {labels: {app: c}}, spec: {containers: [{name: c, image: "c:v1"}]}}}
)";
  machine.init();
  machine.patience = std::chrono::minutes(5);
  auto speaker = *machine.api.object(kSpeaker);
  speaker["status"] = {{"observedGeneration", speaker["metadata"]["generation"]}, {"desiredNumberScheduled", 0}, {"updatedNumberScheduled", 0}, {"numberAvailable", 0}};
  machine.api.put(speaker, "kube-controller-manager");
  auto controller = *machine.api.object("/apis/apps/v1/namespaces/metallb-system/deployments/controller");
  controller["status"] = {{"observedGeneration", controller["metadata"]["generation"]}, {"replicas", 2}, {"updatedReplicas", 1}, {"availableReplicas", 1}};
  machine.api.put(controller, "kube-controller-manager");
  try {
    machine.run(phases::addonsWorkflow());
    FAIL("it waits in vain");
  } catch (const Error& error) {
    CHECK_MESSAGE(error.message().ends_with("Deployment metallb-system/controller: 1 of an older template are there still"), error.message());
  }
}

TEST_CASE("an add-on is removed with all that was recorded of it, and the configuration has it no more") {
  WithAddon machine;
  machine.init();
  machine.adjust = [&](config::Setup& setup) {
    setup.cluster.kubestrap.addons = {};
    setup.request.addons["metallb"] = {.from = {}, .manifest = {}, .installed = installedBy(*machine.api.object(kRecord))};
  };
  machine.listener.lines.clear();
  machine.run(phases::addonsRemoval());
  CHECK(at(machine.listener.lines, "removed DaemonSet metallb-system/speaker") < at(machine.listener.lines, "removed Namespace metallb-system"));
  for (const auto& path : machine.api.paths()) CHECK_MESSAGE(path.find("metallb") == std::string::npos, path);
  CHECK(machine.api.object("/api/v1/namespaces/kube-system/configmaps/kubestrap-config")->at("data").at("KubestrapConfiguration").get<std::string>().find("metallb") == std::string::npos);
}

TEST_CASE("what an add-on's controller tidies up behind goes before it, and the record when all is gone") {
  WithAddon machine;
  machine.manifest = replaceAll(kMetallb, "apiVersion: v1\nkind: ServiceAccount",
                                "apiVersion: metallb.io/v1beta1\nkind: L2Advertisement\nmetadata: {name: early, namespace: metallb-system}\nspec: {}\n---\napiVersion: v1\nkind: ServiceAccount");
  const std::string early = "/apis/metallb.io/v1beta1/namespaces/metallb-system/l2advertisements/early";
  machine.init();
  bool stays = false;
  unsigned sleeps = 0;
  machine.api.intercept = [&](const net::Request& request) -> std::optional<net::Response> {
    if (request.method == "DELETE" && request.url.ends_with("/daemonsets/speaker")) CHECK(!machine.api.object(early));
    if (request.method != "DELETE" || !request.url.ends_with(early)) return std::nullopt;
    sleeps = 0;
    return net::Response{.status = 200, .headers = {}, .body = "{}"};
  };
  const auto settle = machine.clock.onSleep;
  machine.clock.onSleep = [&] {
    if (settle) settle();
    if (!stays && ++sleeps == 30) machine.api.remove(early);
  };
  SUBCASE("it goes after a while") {
    machine.run(phases::addonsRemoval());
    CHECK(!machine.api.object(early));
    CHECK(!machine.api.object(kRecord));
  }
  SUBCASE("it stays") {
    stays = true;
    try {
      machine.run(phases::addonsRemoval());
      FAIL("it waits in vain");
    } catch (const Error& error) {
      CHECK_MESSAGE(error.message().find("gave up after 5m waiting until L2Advertisement metallb-system/early is gone: it is being deleted") != std::string::npos, error.message());
    }
    CHECK(machine.api.object(kRecord));
    CHECK(machine.api.object(kSpeaker));
  }
}

TEST_CASE("the configuration is kept in the cluster before add-ons are installed, which may take long") {
  WithAddon machine;
  machine.selection.skip = {"addon", "upload-config"};
  machine.init();
  machine.selection.skip = {};
  machine.listener.lines.clear();
  machine.run(phases::addonsWorkflow());
  CHECK(at(machine.listener.lines, "ConfigMap kube-system/kubestrap-config") < at(machine.listener.lines, "ConfigMap kube-system/kubestrap-addon-metallb"));
}

TEST_CASE("how many pods a Deployment has is not put back") {
  WithAddon machine;
  machine.manifest += R"(---
apiVersion: apps/v1
kind: Deployment
metadata: {name: controller, namespace: metallb-system}
spec: {replicas: 1, selector: {matchLabels: {app: c}}, template: {metadata: {labels: {app: c}}, spec: {containers: [{name: c, image: "c:v1"}]}}}
)";
  machine.init();
  auto controller = *machine.api.object("/apis/apps/v1/namespaces/metallb-system/deployments/controller");
  controller["spec"]["replicas"] = 3;
  machine.api.put(controller, "kubectl-scale");
  CHECK(changesOf(machine.run(phases::addonsWorkflow(), plan::Mode::plan)) == Lines{});
}

TEST_CASE("a Job is made once, and anew when the manifest has another one") {
  WithAddon machine;
  machine.manifest += R"(---
apiVersion: batch/v1
kind: Job
metadata: {name: hook, namespace: metallb-system}
spec: {ttlSecondsAfterFinished: 0, template: {spec: {restartPolicy: Never, containers: [{name: hook, image: "hook:v1"}]}}}
)";
  const std::string job = "/apis/batch/v1/namespaces/metallb-system/jobs/hook";
  machine.init();
  CHECK(machine.api.object(job));
  CHECK(changesOf(machine.run(phases::addonsWorkflow(), plan::Mode::plan)) == Lines{});
  SUBCASE("it is gone when it is done") {
    machine.api.remove(job);
    CHECK(changesOf(machine.run(phases::addonsWorkflow())) == Lines{});
    CHECK(!machine.api.object(job));
  }
  SUBCASE("it is still there") {}
  machine.manifest = replaceAll(machine.manifest, "hook:v1", "hook:v2");
  const auto before = machine.api.object(job);
  machine.api.forgetRecords();
  machine.run(phases::addonsWorkflow());
  const auto after = machine.api.object(job);
  REQUIRE(after);
  CHECK(after->at("spec").at("template").at("spec").at("containers").at(0).at("image") == "hook:v2");
  if (before) {
    CHECK(stringAt(*before, "metadata.uid") != stringAt(*after, "metadata.uid"));
    CHECK(std::ranges::any_of(machine.api.records(), [](const auto& each) { return each.request.method == "DELETE" && each.request.url.ends_with("/jobs/hook?propagationPolicy=Background"); }));
  }
  CHECK(changesOf(machine.run(phases::addonsWorkflow(), plan::Mode::plan)) == Lines{});
}

TEST_CASE("a manifest that has more and lacks some is recorded in one run") {
  WithAddon machine;
  machine.manifest = "{apiVersion: v1, kind: Namespace, metadata: {name: metallb-system}}\n---\n{apiVersion: v1, kind: ServiceAccount, metadata: {name: a, namespace: metallb-system}}\n";
  const auto usual = machine.adjust;
  machine.adjust = [&](config::Setup& setup) {
    usual(setup);
    setup.cluster.kubestrap.addons.front().values = {};
  };
  machine.init();
  machine.manifest = replaceAll(machine.manifest, "name: a,", "name: b,");
  machine.run(phases::addonsWorkflow());
  CHECK(changesOf(machine.run(phases::addonsWorkflow(), plan::Mode::plan)) == Lines{});
}

TEST_CASE("what is being deleted is no object that can be kept") {
  WithAddon machine;
  machine.init();
  auto account = *machine.api.object(kAccount);
  account["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z";
  machine.api.put(account, "kube-controller-manager");
  const auto changes = changesOf(machine.run(phases::addonsWorkflow(), plan::Mode::plan));
  REQUIRE(changes.size() == 1);
  CHECK_MESSAGE(changes.front().find("is being deleted") != std::string::npos, changes.front());
}

TEST_CASE("what another add-on has too stays when one goes") {
  WithAddon machine;
  machine.init();
  const auto recorded = installedBy(*machine.api.object(kRecord));
  machine.adjust = [&](config::Setup& setup) {
    setup.request.addons["metallb"] = {.from = {}, .manifest = {}, .installed = recorded};
    setup.request.addons["traefik"] = {.from = {}, .manifest = {}, .installed = {{"v1", "Namespace", "", "metallb-system"}}};
    phases::leaveShared(setup, {"metallb"});
    setup.request.addons.erase("traefik");
  };
  machine.run(phases::addonsRemoval());
  CHECK(machine.api.object("/api/v1/namespaces/metallb-system"));
  CHECK(!machine.api.object(kSpeaker));
}

TEST_CASE("what a newer manifest lacks stays where another add-on has it too") {
  WithAddon machine;
  machine.init();
  const auto begin = machine.manifest.find("apiVersion: v1\nkind: ServiceAccount");
  machine.manifest.erase(begin, machine.manifest.find("apiVersion: apps/v1") - begin);
  const auto usual = machine.adjust;
  machine.adjust = [&](config::Setup& setup) {
    usual(setup);
    setup.request.addons["traefik"] = {.from = {}, .manifest = {}, .installed = {{"v1", "ServiceAccount", "metallb-system", "speaker"}}};
  };
  machine.run(phases::addonsWorkflow());
  CHECK(machine.api.object(kAccount));
}

TEST_CASE("an add-on that nobody asks for leaves no trace") {
  Machine machine;
  machine.init();
  for (const auto& path : machine.api.paths()) CHECK(path.find("kubestrap-addon") == std::string::npos);
}
