#include "phases/repair.hpp"

#include "manifests/guard.hpp"
#include "tests/unit/manifests/fixture.hpp"

#include <doctest/doctest.h>

using namespace kubestrap;
using namespace kubestrap::phases;
using namespace kubestrap::phases::repair;
using manifests::Slot;

namespace {

const std::string apiServer = "kube-apiserver";
const Wanted everything{.components = {"kube-apiserver", "kube-controller-manager", "kube-scheduler"}};

config::Setup setup() { return test::hostedSetup(); }

Value daemonSetOf(const std::string& name) { return manifests::daemonSet(manifests::component(name), setup(), Slot::blue, 3); }

pivot::ComponentReport serving(std::string hosting, const std::string& slot) {
  pivot::ComponentReport report{.slots = {{"blue", "refuses"}, {"green", "refuses"}, {"rescue", "refuses"}, {"previous", "refuses"}}, .standby = "3"};
  report.hosting = std::move(hosting);
  report.slots[slot] = "ready";
  return report;
}

/// A self-hosted cluster with nothing to repair.
Seen sound(std::initializer_list<std::string> names) {
  Seen seen;
  for (const auto& name : names) {
    pivot::NodeSeen node{.name = name, .ready = true, .selfHosted = true, .held = std::set<std::string>{}, .guard = pivot::GuardReport{}};
    node.guard->fresh = true;
    for (const auto component : manifests::hostedComponents) node.guard->components[std::string(component)] = serving("shadow", "blue");
    seen.controlPlane.nodes.push_back(std::move(node));
  }
  for (const auto component : manifests::hostedComponents) {
    const std::string name(component);
    seen.daemonSets[name] = daemonSetOf(name);
    seen.controlPlane.daemonSets[name] = {.revision = "3", .observed = true, .desired = 1, .available = 1};
    seen.standbys[name] = {manifests::rescuePodOf(manifests::component(name), seen.daemonSets[name]["spec"]["template"]), Slot::rescue};
  }
  return seen;
}

void rescued(Seen& seen, const std::string& component) {
  for (auto& node : seen.controlPlane.nodes) node.guard->components[component] = serving("rescue", "rescue");
}

void lose(Seen& seen, const std::string& component) {
  seen.daemonSets.erase(component);
  seen.controlPlane.daemonSets.erase(component);
  rescued(seen, component);
}

const plan::Step& step(const plan::Next& next) {
  REQUIRE(std::holds_alternative<plan::Step>(next));
  return std::get<plan::Step>(next);
}
const Value& document(const plan::Next& next) { return std::get<plan::Object>(step(next).work.at(0)).document; }

} // namespace

TEST_CASE("a DaemonSet made of what stands by gives that standby again") {
  for (const auto name : manifests::hostedComponents) {
    CAPTURE(name);
    const auto& component = manifests::component(name);
    const auto set = manifests::daemonSet(component, setup(), Slot::blue, 3);
    const auto standby = manifests::rescuePodOf(component, set["spec"]["template"]);
    for (const auto slot : {Slot::blue, Slot::green}) {
      const auto again = manifests::daemonSetOf(component, standby, Slot::rescue, slot, 3);
      CHECK(sameDocument(again, manifests::daemonSet(component, setup(), slot, 3)));
      CHECK(sameDocument(manifests::rescuePodOf(component, again["spec"]["template"]), standby));
    }
    const auto previous = manifests::previousPodOf(component, standby);
    CHECK(sameDocument(manifests::daemonSetOf(component, previous, Slot::previous, Slot::blue, 3), set));
  }
}

TEST_CASE("where nothing is ruined there is nothing to do") {
  CHECK(std::holds_alternative<plan::Done>(next(everything, setup(), sound({"n1", "n2"}), {})));
}

TEST_CASE("a DaemonSet that is gone is made of what stands by, and what was held for it is handed back") {
  auto seen = sound({"n1"});
  lose(seen, apiServer);
  CHECK(ruinOf(apiServer, seen) == "kube-apiserver is gone");
  const auto first = next(everything, setup(), seen, {});
  CHECK(sameDocument(document(first), daemonSetOf(apiServer)));
  seen.daemonSets[apiServer] = document(first);
  CHECK(std::holds_alternative<plan::Waiting>(next(everything, setup(), seen, {apiServer})));
  seen.controlPlane.nodes[0].guard->components[apiServer] = serving("held", "blue");
  seen.controlPlane.nodes[0].held = {{apiServer}};
  CHECK(step(next(everything, setup(), seen, {apiServer})).name == "n1: kube-apiserver handed back");
  seen.controlPlane.nodes[0].held->clear();
  CHECK(std::holds_alternative<plan::Done>(next(everything, setup(), seen, {apiServer})));
}

TEST_CASE("its pods get a colour in which nothing runs any more") {
  auto seen = sound({"n1"});
  lose(seen, apiServer);
  seen.controlPlane.nodes[0].guard->components[apiServer].slots["blue"] = "draining";
  CHECK(document(next(everything, setup(), seen, {}))["spec"]["template"]["metadata"]["annotations"][std::string(manifests::slotAnnotation)] == "green");
}

TEST_CASE("without a standby it is made from the configuration") {
  auto seen = sound({"n1"});
  lose(seen, apiServer);
  seen.standbys.clear();
  CHECK(step(next(everything, setup(), seen, {})).name == "kube-apiserver: its DaemonSet made from the configuration");
}

TEST_CASE("all three that are gone are made before any is waited for") {
  auto seen = sound({"n1"});
  std::set<std::string> remade;
  for (const auto component : manifests::hostedComponents) lose(seen, std::string(component));
  for (const auto component : manifests::hostedComponents) {
    CHECK(stringAt(document(next(everything, setup(), seen, remade)), "metadata.name") == component);
    seen.daemonSets[std::string(component)] = daemonSetOf(std::string(component));
    remade.emplace(component);
  }
  CHECK(std::holds_alternative<plan::Waiting>(next(everything, setup(), seen, remade)));
}

TEST_CASE("a ruined DaemonSet goes only when static pods serve on every node") {
  auto seen = sound({"n1", "n2"});
  seen.daemonSets[apiServer]["spec"]["template"]["spec"]["volumes"].push_back(parseJson(R"({"name":"x","secret":{"secretName":"y"}})"));
  CHECK(ruinOf(apiServer, seen).find("volume x") != std::string::npos);
  CHECK(step(next(everything, setup(), seen, {})).name == "n1: the static pod of kube-apiserver asked for");
  seen.controlPlane.nodes[0].held = {{apiServer}};
  CHECK(std::get<plan::Waiting>(next(everything, setup(), seen, {})).what == "n1: the static pod of kube-apiserver is ready");
  rescued(seen, apiServer);
  CHECK(step(next(everything, setup(), seen, {})).name == "n2: the static pod of kube-apiserver asked for");
  seen.controlPlane.nodes[1].held = {{apiServer}};
  CHECK(step(next(everything, setup(), seen, {})).name == "kube-apiserver: released from its protection");
  seen.daemonSets[apiServer]["metadata"]["annotations"][std::string(manifests::allowDeleteAnnotation)] = "true";
  const auto removal = next(everything, setup(), seen, {});
  CHECK(std::get<plan::Object>(step(removal).work.at(0)).mode == plan::ApplyMode::absent);
  seen.daemonSets.erase(apiServer);
  CHECK(step(next(everything, setup(), seen, {})).name == "kube-apiserver: its DaemonSet made of what stands by on n1");
}

TEST_CASE("pods that serve nowhere though an older standby does are the template's fault") {
  auto seen = sound({"n1", "n2"});
  rescued(seen, apiServer);
  CHECK(ruinOf(apiServer, seen).empty()); // what stands by is the same revision: something else keeps its pods away
  seen.controlPlane.daemonSets[apiServer].revision = "4";
  CHECK(ruinOf(apiServer, seen) == "no pod of kube-apiserver serves, though what stands by does");
  seen.controlPlane.nodes[1].guard->components[apiServer] = serving("shadow", "blue");
  CHECK(ruinOf(apiServer, seen).empty());
}

TEST_CASE("a cluster that is not self-hosted has nothing that could be repaired") {
  auto seen = sound({"n1"});
  seen.controlPlane.nodes[0].selfHosted = false;
  CHECK(std::holds_alternative<plan::Stuck>(next(everything, setup(), seen, {})));
}
