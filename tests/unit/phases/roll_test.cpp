#include "config/rolling.hpp"
#include "phases/roll.hpp"

#include "manifests/trial.hpp"
#include "support/encoding.hpp"
#include "tests/unit/phases/pivoted.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <fmt/format.h>

using namespace kubestrap;
using namespace kubestrap::phases::roll;
using manifests::hostedComponents;
using manifests::Slot;
using namespace kubestrap::test;

namespace {

Intent toNextMinor() {
  return {.setup = at("v1.37.2"), .command = "upgrade", .emulates = "1.36", .soak = std::chrono::minutes(5),
          .afterwards = {plan::Object{.document = Value::object({{"kind", "ConfigMap"}, {"metadata", Value::object({{"name", "kubeadm-config"}})}})}}};
}

std::vector<std::string> steps(const Intent& intent, Seen& seen, std::size_t most = 50) {
  std::vector<std::string> done;
  while (done.size() < most) {
    CHECK_FALSE(failureIn(intent, seen));
    const auto next = phases::roll::next(intent, {}, seen);
    if (std::holds_alternative<plan::Done>(next)) return done;
    REQUIRE(std::holds_alternative<plan::Step>(next));
    done.push_back(std::get<plan::Step>(next).name);
    seen = assumed(intent, std::move(seen), next);
  }
  return done;
}

std::string waitsFor(const plan::Next& next) {
  const auto* waiting = std::get_if<plan::Waiting>(&next);
  return waiting ? waiting->what : "";
}
std::string stepOf(const plan::Next& next) {
  const auto* step = std::get_if<plan::Step>(&next);
  return step ? step->name : "";
}

std::string commandOf(const Value& podTemplate) {
  std::string all;
  for (const auto& word : podTemplate.at("spec").at("containers").at(0).at("command")) all += word.get<std::string>() + " ";
  return all;
}

/// The template of the component is changed, and the DaemonSet's controller has put a pod of it on n1, which is not ready.
Seen begun(const std::string& component, const Intent& intent, std::size_t after) {
  auto seen = pivoted({"n1", "n2", "n3"});
  steps(intent, seen, after);
  auto& own = seen.components.at(component);
  const auto old = own.before.at("metadata").at("annotations").at(std::string(config::revisionAnnotation)).get<std::string>();
  for (auto& each : own.pods) each.revision = old;
  auto fresh = pod(component, "n1", seen.controlPlane.daemonSets.at(component).revision);
  fresh.name = "new";
  fresh.ready = false;
  fresh.readyFor = {};
  own.pods.push_back(fresh);
  own.updated = 1;
  return seen;
}

} // namespace

TEST_CASE("a new minor version is tried everywhere, then comes as the old one, then as itself, and the others follow") {
  auto seen = pivoted({"n1", "n2", "n3"});
  const auto intent = toNextMinor();
  CHECK(steps(intent, seen) == std::vector<std::string>{"every node tries the new command lines",
                                                        "kube-apiserver v1.37.2, as 1.36: revision 2, in slot green",
                                                        "kube-apiserver v1.37.2: revision 3, in slot blue",
                                                        "kube-controller-manager v1.37.2: revision 2, in slot green",
                                                        "kube-controller-manager: gets something to do",
                                                        "kube-controller-manager: revision 2 does its work",
                                                        "kube-scheduler v1.37.2: revision 2, in slot green",
                                                        "kube-scheduler: gets something to do",
                                                        "kube-scheduler: revision 2 does its work",
                                                        "what tried things out is removed",
                                                        "addons and the cluster's configuration"});
  CHECK(steps(intent, seen).empty());
}

TEST_CASE("the controller-manager does not wait for this node's API server that is on its way out; a further template of the API server does, and so does the end") {
  auto seen = pivoted({"n1", "n2", "n3"});
  const auto intent = toNextMinor();
  const auto drains = [&](const std::string& node, const std::string& revision) {
    auto& own = seen.components.at(apiServer);
    own.pods.push_back(pod(apiServer, node, revision));
    own.pods.back().ending = true;
    own.updated = 2; // a DaemonSet's status goes by the older pod of a node
  };
  const auto gone = [&] { seen.components.at(apiServer).pods.pop_back(), seen.components.at(apiServer).updated = 3; };
  const std::string second = "kube-apiserver: revision 2 is on every node", third = "kube-apiserver: revision 3 is on every node";
  steps(intent, seen, 2);
  drains("n1", "1");
  CHECK(waitsFor(next(intent, {}, seen)) == second);
  gone();
  steps(intent, seen, 1);
  drains("n2", "2");
  CHECK(waitsFor(next(intent, {}, seen)) == third); // its new one has not been asked yet
  gone();
  drains("n1", "2");
  CHECK(stepOf(next(intent, {}, seen)) == "kube-controller-manager v1.37.2: revision 2, in slot green");
  seen.components.at(apiServer).pods.back().ending = false;
  CHECK(waitsFor(next(intent, {}, seen)) == third);
  seen.components.at(apiServer).pods.back().ending = true;
  const auto done = steps(intent, seen, 4); // the scheduler has its template
  CHECK(done.back() == "kube-scheduler v1.37.2: revision 2, in slot green");
  CHECK(waitsFor(next(intent, {}, seen)) == third);
  gone();
  CHECK(steps(intent, seen).back() == "addons and the cluster's configuration");
}

TEST_CASE("what will be another is told in the slots that there are now: the last command line of each component, and what follows") {
  auto seen = pivoted({"n1", "n2", "n3"});
  const auto intent = toNextMinor();
  const auto made = changes(intent, seen);
  REQUIRE(made.size() == 4);
  const auto& document = std::get<plan::Object>(made.front()).document;
  CHECK(stringAt(document, "metadata.name") == apiServer);
  const auto& podTemplate = document.at("spec").at("template");
  CHECK(podTemplate.at("spec").at("containers").at(0).at("image") == "registry.k8s.io/kube-apiserver:v1.37.2");
  CHECK(commandOf(podTemplate).find("emulated-version") == std::string::npos);
  CHECK(podTemplate.at("metadata").at("annotations") == seen.components.at(apiServer).podTemplate.at("metadata").at("annotations"));
  CHECK(stringAt(std::get<plan::Object>(made.back()).document, "metadata.name") == "kubeadm-config");
  steps(intent, seen);
  for (const auto& each : made) {
    const auto& wanted = std::get<plan::Object>(each).document;
    if (stringAt(wanted, "kind") != "DaemonSet") continue;
    const auto& present = seen.components.at(stringAt(wanted, "metadata.name")).podTemplate;
    CHECK(present.at("spec").at("containers").at(0).at("image") == wanted.at("spec").at("template").at("spec").at("containers").at(0).at("image"));
  }
}

TEST_CASE("where etcd's version changes its manifest on this machine is among what will be another") {
  auto seen = pivoted({"n1"});
  auto intent = toNextMinor();
  intent.rollsEtcd = true;
  seen.etcd = {{.name = "n1", .peerUrl = "https://10.88.0.11:2380", .version = "3.6.8", .leads = true}};
  const auto made = changes(intent, seen);
  REQUIRE(made.size() == 5);
  const auto& manifest = std::get<plan::File>(made.front());
  CHECK(manifest.path == "/etc/kubernetes/manifests/etcd.yaml");
  CHECK(manifest.content.find("image: registry.k8s.io/etcd:3.7.0-0") != std::string::npos);
  CHECK(manifest.initialCluster); // what is there stays
  seen.etcd[0].version = "3.7.0";
  CHECK(changes(intent, seen).size() == 4);
}

TEST_CASE("before a component gets another revision it is noted which, and guards may put the one before back; in the end they may not") {
  auto seen = pivoted({"n1", "n2", "n3"});
  const auto intent = toNextMinor();
  steps(intent, seen, 1);
  const auto change = std::get<plan::Step>(next(intent, {}, seen));
  CHECK(change.notes == std::map<std::string, std::string>{{"rolling", apiServer}, {"to", "2"}, {"from", "1"}});
  REQUIRE(change.work.size() == 5);
  for (std::size_t i = 0; i < 2; ++i) CHECK(stringAt(std::get<plan::Object>(change.work[i]).document, "metadata.name") == "kubestrap-guards-put-back");
  for (std::size_t i = 2; i < 4; ++i) CHECK(stringAt(std::get<plan::Object>(change.work[i]).document, "metadata.name") == "kubestrap:guard-put-back");
  CHECK(stringAt(std::get<plan::Object>(change.work[4]).document, "kind") == "DaemonSet");
  steps(intent, seen, 8);
  CHECK(seen.mayPutBack);
  const auto tidy = std::get<plan::Step>(next(intent, {}, seen));
  CHECK(tidy.notes == std::map<std::string, std::string>{{"rolling", ""}, {"to", ""}, {"from", ""}});
  CHECK(stringAt(std::get<plan::Object>(tidy.work[0]).document, "kind") == "RoleBinding");
  CHECK(stringAt(std::get<plan::Object>(tidy.work[1]).document, "kind") == "Role");
  seen = assumed(intent, std::move(seen), tidy);
  CHECK_FALSE(seen.mayPutBack);
}

TEST_CASE("a plan, which looks once, waits for no pod that has been there for long") {
  auto seen = pivoted({"n1"});
  for (auto& pod : seen.components.at(manager).pods) {
    pod.readyFor = {};
    pod.made = std::chrono::hours(1);
  }
  const Intent intent{.setup = at("v1.36.3"), .command = "reconfigure", .emulates = {}, .afterwards = {}};
  CHECK(waitsFor(next(intent, {}, seen)) == "kube-controller-manager: revision 1 is on every node");
  CHECK(waitsFor(next(intent, {}, seenOnce(seen))) == "");
}

TEST_CASE("a roll that goes back takes the guards' right as well") {
  auto seen = pivoted({"n1"});
  const auto intent = toNextMinor();
  steps(intent, seen, 2);
  const Failure failure{apiServer, "it ended", seen.components.at(apiServer).before};
  seen = assumed(intent, std::move(seen), next(intent, failure, seen));
  REQUIRE(seen.mayPutBack);
  CHECK(stepOf(next(intent, failure, seen)) == "what tried things out is removed");
}

TEST_CASE("while etcd moves nothing is put back by guards: the template before knows one place of it") {
  auto seen = pivoted({"n1", "n2"});
  auto intent = toNextMinor();
  intent.rollsEtcd = true;
  seen.etcd = {{.name = "n1", .peerUrl = "https://10.88.0.11:2380", .version = "3.6.8", .leads = true}, {.name = "n2", .peerUrl = "https://10.88.0.12:2380", .version = "3.6.8"}};
  steps(intent, seen, 2);
  for (int i = 0; i < 3; ++i) { // n2 by a pod, then n1's two ways
    const auto step = std::get<plan::Step>(next(intent, {}, seen));
    CHECK(step.name.find("etcd 3.7.0-0") != std::string::npos);
    CHECK(step.notes.at("rolling").empty());
    seen = assumed(intent, std::move(seen), step);
  }
}

TEST_CASE("components that are to read something again go on by what they have, in new pods") {
  auto seen = pivoted({"n1", "n2", "n3"});
  auto& present = seen.components.at(manager).podTemplate;
  present["spec"]["containers"][0]["command"].push_back("--of-the-operator=1");
  Intent intent{.setup = at("v1.37.2"), .command = "certs rotate-ca ca --resume", .emulates = {}, .readings = {{apiServer, {"ca:abc"}}, {manager, {"ca:def", "ca:abc", "/pki/ca-signer.crt"}}},
                .afterwards = {}};
  CHECK(steps(intent, seen) == std::vector<std::string>{"kube-apiserver reads anew: revision 2, in slot green",
                                                        "kube-controller-manager reads anew: revision 2, in slot green",
                                                        "kube-controller-manager: gets something to do",
                                                        "kube-controller-manager: revision 2 does its work"});
  CHECK(steps(intent, seen).empty());
  const auto& made = seen.components.at(manager).podTemplate;
  CHECK(commandOf(made).find("--of-the-operator=1") != std::string::npos);
  CHECK(commandOf(made).find("--bind-address=127.64.43.2") != std::string::npos);
  CHECK(manifests::signerOf(manifests::component(manager), made) == "/pki/ca-signer.crt");
  CHECK(made.at("spec").at("containers").at(0).at("image") == "registry.k8s.io/kube-controller-manager:v1.36.3");
  CHECK(seen.controlPlane.daemonSets.at(scheduler).revision == "1");
  intent.readings.at(manager).sign = "ca:ghi";
  CHECK(steps(intent, seen).front() == "kube-controller-manager reads anew: revision 3, in slot blue");
  // Another authority's sign says nothing of this one: what was there when it began has been read.
  intent.readings = {{apiServer, {"sa:abc", "sa:abc"}}};
  CHECK(steps(intent, seen).empty());
  intent.readings = {{apiServer, {"sa:def", "sa:abc"}}};
  CHECK(steps(intent, seen).front() == "kube-apiserver reads anew: revision 3, in slot blue");
}

TEST_CASE("a component that does not get ready while it reads again goes back to the template that it had") {
  const Intent intent{.setup = at("v1.36.3"), .command = "certs rotate-ca ca --resume", .emulates = {}, .readings = {{apiServer, {"ca:abc"}}}, .afterwards = {}};
  auto seen = begun(apiServer, intent, 1);
  seen.components.at(apiServer).pods.back().restarts = 2;
  const auto failure = failureIn(intent, seen);
  REQUIRE(failure);
  CHECK(failure->component == apiServer);
  CHECK(stepOf(phases::roll::next(intent, failure, seen)) == "kube-apiserver: back to revision 1");
}

TEST_CASE("a new patch version comes at once, and what is as it should be is not touched") {
  auto seen = pivoted({"n1"});
  auto intent = toNextMinor();
  intent.emulates.clear();
  seen.components.at(scheduler).podTemplate = templateOf(scheduler, intent.setup, Slot::blue, 1);
  seen.components.at(scheduler).proved = "1";
  CHECK(steps(intent, seen) == std::vector<std::string>{"every node tries the new command lines",
                                                        "kube-apiserver v1.37.2: revision 2, in slot green",
                                                        "kube-controller-manager v1.37.2: revision 2, in slot green",
                                                        "kube-controller-manager: gets something to do",
                                                        "kube-controller-manager: revision 2 does its work",
                                                        "what tried things out is removed",
                                                        "addons and the cluster's configuration"});
}

TEST_CASE("while it behaves as the old version an API server says so, and afterwards no more") {
  auto seen = pivoted({"n1"});
  const auto intent = toNextMinor();
  steps(intent, seen, 2);
  CHECK(commandOf(seen.components.at(apiServer).podTemplate).find("--emulated-version=1.36 ") != std::string::npos);
  steps(intent, seen, 1);
  CHECK(commandOf(seen.components.at(apiServer).podTemplate).find("emulated") == std::string::npos);
}

TEST_CASE("what an API server answers to the default of a field does not make it another revision") {
  auto seen = pivoted({"n1"});
  const auto intent = toNextMinor();
  steps(intent, seen);
  for (auto& [name, component] : seen.components) {
    component.podTemplate["spec"]["schedulerName"] = "default-scheduler";
    component.podTemplate["spec"]["containers"][0]["terminationMessagePath"] = "/dev/termination-log";
  }
  CHECK(steps(intent, seen).empty());
}

TEST_CASE("the old behaviour lasts until all of its pods have been ready for long enough") {
  auto seen = pivoted({"n1", "n2", "n3"});
  const auto intent = toNextMinor();
  steps(intent, seen, 2);
  seen.components.at(apiServer).pods[1].readyFor = std::chrono::minutes(4);
  CHECK(waitsFor(next(intent, {}, seen)) == "kube-apiserver v1.37.2, as 1.36 has lasted for 5m");
  seen.components.at(apiServer).pods[1].readyFor = std::chrono::minutes(5);
  CHECK(stepOf(next(intent, {}, seen)) == "kube-apiserver v1.37.2: revision 3, in slot blue");
}

TEST_CASE("who is asked says when the old behaviour has lasted, whatever the time, and his no takes the way back") {
  auto seen = pivoted({"n1", "n2"});
  auto intent = toNextMinor();
  intent.confirms = true;
  steps(intent, seen, 2);
  const auto asks = next(intent, {}, seen);
  CHECK(isQuestion(asks));
  CHECK(waitsFor(asks) == "kube-apiserver v1.37.2, as 1.36 may behave as its own version from now on");
  CHECK_FALSE(failureIn(intent, seen));
  CHECK(stepOf(next(intent, {}, seenOnce(seen))) == "kube-apiserver v1.37.2: revision 3, in slot blue"); // as a plan shows it
  seen.said = Said::no;
  const auto failure = failureIn(intent, seen);
  REQUIRE(failure);
  CHECK(failure->cause == "it was answered that kube-apiserver v1.37.2, as 1.36 may not behave as its own version");
  CHECK(stepOf(next(intent, failure, seen)) == "kube-apiserver: back to revision 1");
  seen.said = Said::yes;
  CHECK(steps(intent, seen, 1).back() == "kube-apiserver v1.37.2: revision 3, in slot blue");
  CHECK_FALSE(isQuestion(next(intent, {}, seen)));
}

TEST_CASE("a controller that has forgotten a node is made to look again, now and then") {
  const auto intent = toNextMinor();
  auto seen = begun(apiServer, intent, 2);
  auto& own = seen.components.at(apiServer);
  auto& fresh = own.pods.back();
  fresh.ready = true;
  fresh.readyFor = std::chrono::seconds(19);
  CHECK(waitsFor(next(intent, {}, seen)) == "kube-apiserver: revision 2 is on every node");
  fresh.readyFor = std::chrono::seconds(20);
  CHECK(stepOf(next(intent, {}, seen)) == "kube-apiserver: its controller is made to look again (1)");
  own.nudges = "1";
  own.nudgedFor = std::chrono::seconds(19);
  CHECK(waitsFor(next(intent, {}, seen)) == "kube-apiserver: revision 2 is on every node");
  own.nudgedFor = std::chrono::seconds(20);
  CHECK(stepOf(next(intent, {}, seen)) == "kube-apiserver: its controller is made to look again (2)");
  own.pods.front().ending = true;
  CHECK(waitsFor(next(intent, {}, seen)) == "kube-apiserver: revision 2 is on every node");
}

TEST_CASE("nothing new comes while a node has not got what is there") {
  const auto intent = toNextMinor();
  const auto tried = [&] {
    auto seen = pivoted({"n1", "n2", "n3"});
    steps(intent, seen, 1);
    return seen;
  };
  auto seen = tried();
  SUBCASE("a pod is not available") {
    seen.controlPlane.daemonSets.at(scheduler).available = 2;
    CHECK(waitsFor(next(intent, {}, seen)) == "kube-scheduler: revision 1 is on every node");
  }
  SUBCASE("the controller has not seen the last change") {
    seen.controlPlane.daemonSets.at(apiServer).observed = false;
    CHECK(waitsFor(next(intent, {}, seen)) == "kube-apiserver: revision 1 is on every node");
  }
  SUBCASE("a static pod stands in") {
    seen.controlPlane.nodes[2].guard->components.at(manager).promoted = true;
    CHECK(waitsFor(next(intent, {}, seen)) == "n3: no static pod stands in for kube-controller-manager");
  }
  SUBCASE("a guard does not see its slot ready") {
    seen.controlPlane.nodes[1].guard->components.at(apiServer).slots["blue"] = "hangs";
    CHECK(waitsFor(next(intent, {}, seen)) == "n2: the guard sees kube-apiserver ready");
  }
  SUBCASE("nobody leads") {
    seen.controlPlane.leaders.at(manager).fresh = false;
    CHECK(waitsFor(next(intent, {}, seen)) == "a kube-controller-manager leads");
  }
  SUBCASE("a node is not Ready") {
    seen.controlPlane.nodes[0].ready = false;
    CHECK(waitsFor(next(intent, {}, seen)) == "n1 is Ready");
  }
}

TEST_CASE("a node that cannot begin the new command line ends it before anything is changed") {
  auto seen = pivoted({"n1", "n2", "n3"});
  const auto intent = toNextMinor();
  steps(intent, seen, 1);
  auto& bad = seen.rehearsals.at(4);
  bad.phase = "Failed";
  bad.trouble = "exit code 1: Error: unknown flag: --no-such-flag";
  const auto failure = failureIn(intent, seen);
  REQUIRE(failure);
  CHECK(failure->cause.find("does not begin on " + bad.node + ": exit code 1: Error: unknown flag: --no-such-flag") != std::string::npos);
  CHECK(failure->back.is_null());
  CHECK(stepOf(next(intent, failure, seen)) == "what tried things out is removed");
  seen.rehearsals.clear();
  const auto end = next(intent, failure, seen);
  REQUIRE(std::holds_alternative<plan::Stuck>(end));
  CHECK(std::get<plan::Stuck>(end).remedy.starts_with("nothing was changed"));
}

TEST_CASE("an image that a node cannot get ends it as well") {
  auto seen = pivoted({"n1"});
  const auto intent = toNextMinor();
  steps(intent, seen, 1);
  auto& bad = seen.rehearsals.at(0);
  bad.phase = "Pending";
  bad.ready = false;
  CHECK_FALSE(failureIn(intent, seen));
  CHECK(waitsFor(next(intent, {}, seen)) == "every node has tried the new command lines");
  bad.hopeless = true;
  bad.trouble = "ImagePullBackOff: not found";
  CHECK(failureIn(intent, seen));
}

TEST_CASE("a revision that does not get ready goes back to the one before, and the cause is told") {
  const auto intent = toNextMinor();
  struct Row {
    std::string component;
    std::size_t after;
    std::string slot;
  };
  for (const auto& row : {Row{apiServer, 2, "blue"}, Row{apiServer, 3, "green"}, Row{manager, 4, "blue"}, Row{scheduler, 7, "blue"}}) {
    CAPTURE(row.component);
    CAPTURE(row.after);
    auto seen = begun(row.component, intent, row.after);
    CHECK_FALSE(failureIn(intent, seen));
    auto& bad = seen.components.at(row.component).pods.back();
    bad.restarts = 2;
    bad.trouble = "exit code 1: it broke";
    const auto failure = failureIn(intent, seen);
    REQUIRE(failure);
    CHECK(failure->cause.ends_with("on n1: it has ended 2 times: exit code 1: it broke"));
    const auto back = next(intent, failure, seen);
    REQUIRE(std::holds_alternative<plan::Step>(back));
    const auto& object = std::get<plan::Object>(std::get<plan::Step>(back).work.at(0));
    CHECK(object.document.at("spec").at("template") == seen.components.at(row.component).before);
    CHECK(stringAt(object.document, "metadata.name") == row.component);
    CHECK(std::get<plan::Step>(back).work.size() == 1);
    seen = assumed(intent, std::move(seen), back);
    // The DaemonSet's controller has not done it yet.
    seen.controlPlane.daemonSets.at(row.component).observed = false;
    CHECK(waitsFor(next(intent, failure, seen)).find("is on every node") != std::string::npos);
    seen.controlPlane.daemonSets.at(row.component).observed = true;
    while (std::holds_alternative<plan::Step>(next(intent, failure, seen))) seen = assumed(intent, std::move(seen), next(intent, failure, seen));
    const auto end = next(intent, failure, seen);
    REQUIRE(std::holds_alternative<plan::Stuck>(end));
    CHECK(std::get<plan::Stuck>(end).cause == failure->cause);
  }
}

TEST_CASE("patience with a pod ends after the deadline, and a pod that has lasted may have ended once") {
  const auto intent = toNextMinor();
  auto seen = begun(apiServer, intent, 2);
  auto& fresh = seen.components.at(apiServer).pods.back();
  fresh.age = intent.deadline;
  fresh.restarts = 1;
  CHECK_FALSE(failureIn(intent, seen));
  fresh.age = intent.deadline + std::chrono::seconds(1);
  CHECK(failureIn(intent, seen)->cause.find("it is not ready after 5m") != std::string::npos);
  fresh.ending = true;
  CHECK_FALSE(failureIn(intent, seen));
}

TEST_CASE("what ends while it behaves as the old version goes back; what has taken its place is not judged") {
  const auto intent = toNextMinor();
  auto seen = pivoted({"n1"});
  steps(intent, seen, 2);
  seen.components.at(apiServer).pods[0].restarts = 2;
  CHECK(failureIn(intent, seen));
  seen.components.at(apiServer).pods[0].restarts = 0;
  steps(intent, seen, 1);
  seen.components.at(apiServer).pods[0].restarts = 2;
  CHECK_FALSE(failureIn(intent, seen));
}

TEST_CASE("an API server that a roll has brought is asked: the driver's own in its slot, another's when the one before it has gone, and none of before the roll") {
  const auto intent = toNextMinor();
  const auto asked = [&](const Seen& seen) {
    std::vector<std::string> all;
    for (const auto& each : toAsk(intent, seen)) all.push_back(each.node + " " + each.url);
    return all;
  };
  using All = std::vector<std::string>;
  auto seen = pivoted({"n1", "n2", "n3"});
  auto& nodes = seen.controlPlane.nodes;
  for (std::size_t i = 0; i < 3; ++i) nodes[i].address = fmt::format("10.88.0.{}", 11 + i);
  steps(intent, seen, 1);
  CHECK(asked(seen) == All{});
  steps(intent, seen, 1);
  REQUIRE(intent.setup.node.name == "n1");
  CHECK(asked(seen) == All{"n1 https://127.64.43.2:6443", "n2 https://10.88.0.12:6444", "n3 https://10.88.0.13:6444"});
  auto midway = seen;
  midway.components.at(apiServer).pods[2].ready = false;
  for (const auto* node : {"n1", "n2"}) midway.components.at(apiServer).pods.push_back(pod(apiServer, node, "1"));
  CHECK(asked(midway) == All{"n1 https://127.64.43.2:6443"});

  seen.answers.erase("n3");
  CHECK(waitsFor(next(intent, {}, seen)) == "n3: the API server of revision 2 lists, and takes writes");
  seen.answers["n3"] = {.trouble = "is busy", .refuses = false, .lasts = std::chrono::seconds(60)};
  CHECK_FALSE(failureIn(intent, seen));
  seen.answers["n3"] = {.trouble = "does not answer", .refuses = false, .silent = true, .lasts = std::chrono::seconds(59)};
  CHECK(waitsFor(next(intent, {}, seen)).starts_with("n3: "));
  seen.answers["n3"].lasts = std::chrono::minutes(6); // guards and balancers see it, and only the driver does not reach it
  CHECK(stepOf(next(intent, {}, seen)) == "kube-apiserver v1.37.2: revision 3, in slot blue");
  CHECK_FALSE(failureIn(intent, seen));
  seen.answers["n3"] = {.trouble = "is busy", .refuses = false, .lasts = std::chrono::minutes(5)};
  CHECK(failureIn(intent, seen));
  seen.answers["n3"] = {.trouble = "refuses a write", .refuses = true, .lasts = std::chrono::seconds(9)};
  CHECK_FALSE(failureIn(intent, seen));
  CHECK(waitsFor(next(intent, {}, seen)).starts_with("n3: "));
  seen.answers["n3"].lasts = std::chrono::seconds(10);
  const auto failure = failureIn(intent, seen);
  REQUIRE(failure);
  CHECK(failure->cause == "kube-apiserver v1.37.2, as 1.36 on n3: it is ready, and refuses a write");
  CHECK(stepOf(next(intent, failure, seen)) == "kube-apiserver: back to revision 1");

  seen.answers["n3"] = {};
  CHECK(steps(intent, seen, 2).back() == "kube-controller-manager v1.37.2: revision 2, in slot green");
  CHECK(asked(seen) == All{}); // what it does from now on is no matter of this roll
  CHECK(seen.components.at(apiServer).proved == "3");
}

TEST_CASE("a controller-manager that does not keep the status of its own DaemonSet gets something to do all the same") {
  const auto intent = toNextMinor();
  auto seen = pivoted({"n1"});
  steps(intent, seen, 4);
  seen.controlPlane.daemonSets.at(manager).available = 0;
  seen.components.at(manager).updated = 0;
  CHECK(stepOf(next(intent, {}, seen)) == "kube-controller-manager: gets something to do");
  seen.components.at(manager).pods[0].readyFor = std::chrono::seconds(1);
  CHECK(waitsFor(next(intent, {}, seen)) == "kube-controller-manager: revision 2 is on every node");
}

TEST_CASE("who leads and does nothing is followed by a static pod until the old revision runs again") {
  const auto intent = toNextMinor();
  for (const auto& component : {manager, scheduler}) {
    CAPTURE(component);
    auto seen = pivoted({"n1", "n2", "n3"});
    steps(intent, seen, component == manager ? 5 : 8);
    auto& canary = seen.canaries.at(component);
    canary.taken = false;
    CHECK(waitsFor(next(intent, {}, seen)) == component + ": does what it is there for");
    canary.age = std::chrono::seconds(61);
    const auto failure = failureIn(intent, seen);
    REQUIRE(failure);
    CHECK(failure->takeover);
    CHECK(stepOf(next(intent, failure, seen)) == "n1: a static pod of " + component + " takes over");
    seen.controlPlane.nodes[0].held = std::set{component};
    CHECK(waitsFor(next(intent, failure, seen)) == "n1: the static pod of " + component + " is ready");
    seen.controlPlane.nodes[0].guard->components.at(component).slots["rescue"] = "ready";
    const auto back = next(intent, failure, seen);
    CHECK(stepOf(back) == component + ": back to revision 1");
    CHECK(std::get<plan::Step>(back).work.size() == 4); // the template, and the three that hold the Lease
    seen = assumed(intent, std::move(seen), back);
    CHECK(stepOf(next(intent, failure, seen)) == "n1: the static pod of " + component + " is not needed any more");
    seen.controlPlane.nodes[0].held = std::set<std::string>{};
    CHECK(stepOf(next(intent, failure, seen)) == "what tried things out is removed");
  }
}

TEST_CASE("the old version can be had back for as long as the new one behaves like it") {
  auto seen = pivoted({"n1"});
  const auto intent = toNextMinor();
  auto back = toNextMinor();
  back.setup = at("v1.36.3");
  back.setup.cluster.version = parseVersion("v1.36.3");
  back.emulates.clear();
  steps(intent, seen, 2);
  CHECK(stepOf(next(back, {}, seen)) == "every node tries the new command lines");
  const auto done = steps(back, seen, 2);
  CHECK(done.back() == "kube-apiserver v1.36.3: revision 3, in slot blue");
  steps(intent, seen, 3);
  const auto refused = next(back, {}, seen);
  REQUIRE(std::holds_alternative<plan::Stuck>(refused));
  CHECK(std::get<plan::Stuck>(refused).cause.find("past the point") != std::string::npos);
}

TEST_CASE("who is past the way back is told how to go on, before anything is begun; until then there is one") {
  auto seen = pivoted({"n1"});
  const auto intent = toNextMinor();
  Intent back{.setup = at("v1.36.3"), .command = "upgrade", .emulates = {}, .afterwards = {}};
  back.setup.cluster.version = parseVersion("v1.36.3");
  steps(intent, seen, 2);
  CHECK_FALSE(cannotGoBack(back, seen));
  steps(intent, seen, 1);
  const auto stuck = cannotGoBack(back, seen);
  REQUIRE(stuck);
  CHECK(stuck->remedy.find("kubestrap upgrade apply v1.37.2 goes on to the end") != std::string::npos);
  CHECK_FALSE(cannotGoBack(intent, seen));
}

TEST_CASE("what etcd has stored is kept before an upgrade's first template, once, and not where an older version could go on by what there is") {
  const std::string kept = "n1: a snapshot of etcd in /var/lib/kubestrap/upgrade/etcd.db", tried = "every node tries the new command lines";
  const auto fresh = [] {
    auto seen = pivoted({"n1", "n2"});
    seen.hasSnapshot = false;
    seen.components.at(apiServer).spec = "uid, generation 1";
    return seen;
  };
  auto seen = fresh();
  auto intent = toNextMinor();
  CHECK(steps(intent, seen, 3) == std::vector<std::string>{tried, kept, "kube-apiserver v1.37.2, as 1.36: revision 2, in slot green"});
  seen.hasSnapshot = false; // another machine goes on
  CHECK(steps(intent, seen, 1).front() == "kube-apiserver v1.37.2: revision 3, in slot blue");
  auto patched = toNextMinor();
  patched.emulates.clear();
  seen = fresh();
  CHECK(steps(patched, seen, 2).back() == "kube-apiserver v1.37.2: revision 2, in slot green");
  seen = fresh();
  seen.etcd = {{.name = "n1", .peerUrl = "https://10.88.0.11:2380", .version = "3.6.8", .leads = true}};
  patched.rollsEtcd = true;
  CHECK(steps(patched, seen, 2).back() == kept);
  patched.setup.cluster.etcd.external = config::ExternalEtcd{};
  intent.setup.cluster.etcd.external = config::ExternalEtcd{};
  CHECK(snapshot(intent, fresh()).empty());
}

TEST_CASE("which upgrade a snapshot is of is said beside it: a roll that was put back takes another one") {
  const auto intent = toNextMinor();
  auto seen = pivoted({"n1"});
  const auto said = [&] { return std::get<plan::File>(snapshot(intent, seen).at(0)).content; };
  seen.components.at(apiServer).spec = "uid, generation 1";
  CHECK(said() == "v1.36.3 to v1.37.2, etcd 3.7.0-0, kube-apiserver uid, generation 1\n");
  const auto work = snapshot(intent, seen);
  CHECK(std::get<plan::SaveEtcdSnapshot>(std::get<plan::Task>(work.at(1))).newerThan == std::get<plan::File>(work.at(0)).path);
  const auto before = said();
  seen.components.at(apiServer).spec = "uid, generation 3";
  CHECK(said() != before);
}

TEST_CASE("there is something to roll back from the first attempt of an upgrade to its end, and nothing before or after") {
  auto seen = pivoted({"n1"});
  const auto intent = toNextMinor();
  Intent back{.setup = at("v1.36.3"), .command = "upgrade", .emulates = {}, .afterwards = {}};
  back.setup.cluster.version = parseVersion("v1.36.3");
  CHECK(toRollBack(back, seen).empty());
  steps(intent, seen, 1);
  CHECK(toRollBack(back, seen) == "v1.36.3"); // nothing but attempts
  steps(intent, seen, 1);
  CHECK(toRollBack(back, seen) == "v1.37.2");
  steps(intent, seen);
  CHECK(toRollBack(intent, seen).empty()); // the cluster's configuration says the new version by now
  seen.etcd = {{.name = "n1-second", .peerUrl = "https://10.88.0.11:2382", .version = "3.7.0", .leads = true}};
  CHECK_FALSE(toRollBack(intent, seen).empty());
}

TEST_CASE("a roll back that was killed on its way is not over while the API servers know two places of etcd") {
  auto seen = pivoted({"n1"});
  auto back = Intent{.setup = at("v1.36.3"), .command = "upgrade", .emulates = {}, .rollsEtcd = true, .afterwards = {}};
  back.setup.cluster.version = parseVersion("v1.36.3");
  seen.etcd = {{.name = "n1-second", .peerUrl = "https://10.88.0.11:2382", .version = "3.7.0", .leads = true}};
  steps(back, seen, 2);
  seen.etcd.clear();
  seen.rehearsals.clear();
  seen.mayPutBack = false;
  CHECK(toRollBack(back, seen) == "v1.36.3");
}

TEST_CASE("an upgrade has begun from the first template of its version to its end") {
  auto seen = pivoted({"n1"});
  const auto intent = toNextMinor();
  steps(intent, seen, 1);
  CHECK_FALSE(hasBegun(intent, seen));
  steps(intent, seen, 1);
  CHECK(hasBegun(intent, seen));
  steps(intent, seen);
  CHECK_FALSE(hasBegun(intent, seen));
}

TEST_CASE("etcd gets its new version while the API servers know both of its places") {
  auto seen = pivoted({"n1"});
  auto intent = toNextMinor();
  intent.rollsEtcd = true;
  const auto own = std::string("https://10.88.0.11:2380"), second = std::string("https://10.88.0.11:2382");
  seen.etcd = {{.name = "n1", .peerUrl = own, .version = "3.6.8", .leads = true}};
  const auto before = seen.etcd;
  CHECK(steps(intent, seen, 3) == std::vector<std::string>{"every node tries the new command lines", "etcd 3.7.0-0 beside the one that runs",
                                                           "kube-apiserver v1.37.2, with two places for etcd, as 1.36: revision 2, in slot green"});
  CHECK(commandOf(seen.components.at(apiServer).podTemplate).find("--etcd-servers=https://127.0.0.1:2379,https://127.0.0.1:2383 ") != std::string::npos);
  CHECK(stepOf(next(intent, {}, seen)) == "etcd 3.7.0-0 beside the one that runs, which makes room");
  const Failure ended{apiServer, "it ended", seen.components.at(apiServer).before};
  CHECK(stepOf(next(intent, ended, seen)) == "etcd 3.7.0-0, beside the one that runs, goes again");
  auto gone = seen;
  gone.etcd = before;
  CHECK(stepOf(next(intent, ended, gone)) == "kube-apiserver: back to revision 1");
  seen.etcd = {{.name = "n1", .peerUrl = own, .version = "3.6.8", .leads = true}, {.name = {}, .peerUrl = second, .version = {}, .learner = true}};
  CHECK(stepOf(next(intent, {}, seen)) == "etcd 3.7.0-0 beside the one that runs, which makes room");
  seen.etcd = {{.name = "n1-second", .peerUrl = second, .version = "3.7.0", .leads = true}};
  const auto back = next(intent, {}, seen);
  CHECK(stepOf(back) == "etcd 3.7.0-0 in its own place again");
  seen.etcd = {{.name = {}, .peerUrl = own, .version = {}, .learner = true}, {.name = "n1-second", .peerUrl = second, .version = "3.7.0", .leads = true}};
  CHECK(stepOf(next(intent, {}, seen)) == "etcd 3.7.0-0 in its own place again");
  const Failure failure{apiServer, "it ended", seen.components.at(apiServer).before};
  CHECK(stepOf(next(intent, failure, seen)) == "etcd 3.7.0-0 in its own place again");
  seen.etcd = {{.name = "n1", .peerUrl = own, .version = "3.7.0", .leads = true}};
  CHECK(stepOf(next(intent, failure, seen)) == "kube-apiserver: back to revision 1");
  seen.components.at(apiServer).pods.front().readyFor = std::chrono::seconds(1);
  CHECK(waitsFor(next(intent, {}, seen)).find("has lasted for 5m") != std::string::npos);
  seen.components.at(apiServer).pods.front().readyFor = std::chrono::hours(1);
  CHECK(stepOf(next(intent, {}, seen)) == "kube-apiserver v1.37.2: revision 3, in slot blue");
  steps(intent, seen, 1);
  CHECK(commandOf(seen.components.at(apiServer).podTemplate).find("2383") == std::string::npos);
}

TEST_CASE("one that has only been begun beside the only member is begun again") {
  auto seen = pivoted({"n1"});
  auto intent = toNextMinor();
  intent.rollsEtcd = true;
  const phases::EtcdMemberSeen first{.name = "n1", .peerUrl = "https://10.88.0.11:2380", .version = "3.6.8", .leads = true};
  seen.etcd = {first};
  steps(intent, seen, 1);
  for (const auto& second : {phases::EtcdMemberSeen{.name = {}, .peerUrl = "https://10.88.0.11:2382", .version = {}, .learner = true},
                             phases::EtcdMemberSeen{.name = "n1-second", .peerUrl = "https://10.88.0.11:2382", .version = {}}}) {
    seen.etcd = {first, second};
    CHECK(stepOf(next(intent, {}, seen)) == "etcd 3.7.0-0 beside the one that runs");
  }
}

TEST_CASE("what is foreseen comes to an end whoever has led for how long") {
  auto seen = pivoted({"n1", "n2"});
  for (auto& [component, leader] : seen.controlPlane.leaders) leader.leads = std::chrono::hours(1);
  CHECK(steps(toNextMinor(), seen, 100).size() < 20);
}

TEST_CASE("a controller-manager's Lease is free once who held it has ended with the last pod of before") {
  auto seen = pivoted({"n1", "n2"});
  const auto intent = toNextMinor();
  while (stepOf(next(intent, {}, seen)).find(manager + " v1.37.2") == std::string::npos) REQUIRE(steps(intent, seen, 1).size() == 1);
  steps(intent, seen, 1);
  auto& pods = seen.components.at(manager).pods;
  pods.front().made = std::chrono::seconds(30), pods.back().made = std::chrono::seconds(10);
  auto& leader = seen.controlPlane.leaders.at(manager);
  const std::string isFree = manager + ": the Lease of one that has ended is free", on = manager + ": gets something to do";
  CHECK(stepOf(next(intent, {}, seen)) == on); // not known since when
  leader.leads = std::chrono::seconds(33);     // clocks may differ
  CHECK(stepOf(next(intent, {}, seen)) == on);
  leader.leads = std::chrono::hours(1);
  const auto step = std::get<plan::Step>(next(intent, {}, seen));
  CHECK(step.name == isFree);
  CHECK(std::get<plan::Object>(step.work.front()).document.at("spec") == Value{{"holderIdentity", ""}, {"leaseDurationSeconds", 1}});
  CHECK(stepOf(next(intent, {}, assumed(intent, seen, step))) == on);
  leader.leads = std::chrono::seconds(2);
  CHECK(stepOf(next(intent, {}, seen)) == on);
  leader.leads = std::chrono::hours(1);
  seen.controlPlane.nodes.back().guard->components[manager].promoted = true; // a static pod leads, maybe
  CHECK(stepOf(next(intent, {}, seen)) == on);
}

TEST_CASE("on the way back an etcd that has begun comes to its end with the newer version, and no further one begins") {
  auto seen = pivoted({"n1"});
  const std::string own = "https://10.88.0.11:2380", newer = "registry.k8s.io/etcd:3.7.0-0";
  auto intent = toNextMinor();
  intent.rollsEtcd = true;
  seen.etcd = {{.name = "n1", .peerUrl = own, .version = "3.6.8", .leads = true}};
  steps(intent, seen, 3);
  seen.etcd = {{.name = "n1-second", .peerUrl = "https://10.88.0.11:2382", .version = "3.7.0", .leads = true}};
  Intent back{.setup = at("v1.36.3"), .command = "upgrade", .emulates = {}, .rollsEtcd = true, .afterwards = {}};
  back.setup.cluster.version = parseVersion("v1.36.3");
  back.setup.cluster.images.etcd = "registry.k8s.io/etcd:3.6.8-0";
  keepNewerEtcd(back, {"registry.k8s.io/etcd:3.6.8-0", "registry.k8s.io/etcd:3.6.9-0", newer, "registry.k8s.io/etcd:mine"});
  CHECK(back.setup.cluster.images.etcd == newer);
  CHECK(etcdLags(back, seen.etcd));
  const auto done = steps(back, seen, 3);
  CHECK(done.at(1) == "kube-apiserver v1.36.3, with two places for etcd: revision 3, in slot blue");
  CHECK(done.back() == "etcd 3.7.0-0 in its own place again");
  CHECK(steps(back, seen, 1).back() == "kube-apiserver v1.36.3: revision 4, in slot green");
  // Of three the others stay as they were.
  CHECK_FALSE(etcdLags(back, {{.name = "n1", .peerUrl = own, .version = "3.7.0", .leads = true}, {.name = "n2", .peerUrl = "https://10.88.0.12:2380", .version = "3.6.8"}}));
}

TEST_CASE("another node that finishes etcd on the way back is told the newer image, which the version does not say") {
  auto seen = pivoted({"n1", "n2"});
  Intent back{.setup = at("v1.36.3"), .command = "upgrade", .emulates = {}, .rollsEtcd = true, .afterwards = {}};
  back.setup.cluster.version = parseVersion("v1.36.3");
  back.setup.cluster.images.etcd = "registry.k8s.io/etcd:3.6.8-0";
  keepNewerEtcd(back, {"registry.example.org/k8s/etcd:3.7.0-0"});
  seen.etcd = {{.name = "n1", .peerUrl = "https://10.88.0.11:2380", .version = "3.6.8", .leads = true}, {.name = "n2-second", .peerUrl = "https://10.88.0.12:2382", .version = "3.7.0"}};
  steps(back, seen, 3);
  const auto step = std::get<plan::Step>(next(back, {}, seen));
  CHECK(step.name == "n2: etcd 3.7.0-0");
  const auto& pod = std::get<plan::RunOnNode>(std::get<plan::Task>(step.work.front())).pod;
  const auto command = Value::parse(pod.at("spec").at("containers").at(0).at("command").back().get<std::string>());
  REQUIRE(command.at(3) == "--cluster");
  const auto told = fromBase64(command.at(4).get<std::string>()).value_or("");
  CHECK(told.find("imageRepository: registry.example.org/k8s\n") != std::string::npos);
  CHECK(told.find("imageTag: 3.7.0-0") != std::string::npos);
}

TEST_CASE("a newer etcd is none where only its build is another") {
  auto intent = toNextMinor();
  keepNewerEtcd(intent, {"registry.k8s.io/etcd:3.7.0-1", "registry.k8s.io/etcd:3.7.0"});
  CHECK(intent.setup.cluster.images.etcd == "registry.k8s.io/etcd:3.7.0-0");
  CHECK_FALSE(intent.keepsNewerEtcd);
}

TEST_CASE("etcd gets its new version node by node: one that has begun, then who follows, and the leader last, when all of them answer") {
  auto seen = pivoted({"n1", "n2", "n3"});
  auto intent = toNextMinor();
  intent.rollsEtcd = true;
  intent.patchesFolder = "/root/patches";
  const auto peer = [](int host, int port = 2380) { return fmt::format("https://10.88.0.{}:{}", host, port); };
  seen.etcd = {{.name = "n1", .peerUrl = peer(11), .version = "3.6.8", .leads = true},
               {.name = "n2", .peerUrl = peer(12), .version = "3.6.8"},
               {.name = "n3", .peerUrl = peer(13), .version = "3.6.8"}};
  auto ahead = seen;
  const auto all = steps(intent, ahead, 6);
  CHECK(std::vector<std::string>(all.begin() + 2, all.end()) == std::vector<std::string>{"n2: etcd 3.7.0-0", "n3: etcd 3.7.0-0",
                                                                                      "etcd 3.7.0-0 beside the one that runs, which makes room", "etcd 3.7.0-0 in its own place again"});
  steps(intent, seen, 2);
  const auto step = std::get<plan::Step>(next(intent, {}, seen));
  const auto& run = std::get<plan::RunOnNode>(std::get<plan::Task>(step.work.front()));
  CHECK(stringAt(run.pod, "spec.nodeName") == "n2");
  CHECK(run.pod.dump().find("/root/patches") != std::string::npos);
  seen.etcd[2].version.clear();
  CHECK(waitsFor(next(intent, {}, seen)) == "every member of etcd answers");
  seen.etcd[2].version = "3.6.8";
  // n3 was stopped when its second member had only been added.
  seen.etcd.push_back({.name = {}, .peerUrl = peer(13, 2382), .version = {}, .learner = true});
  CHECK(stepOf(next(intent, {}, seen)) == "n3: etcd 3.7.0-0");
  const Failure failure{apiServer, "it ended", seen.components.at(apiServer).before};
  CHECK(stepOf(next(intent, failure, seen)) == "n3: etcd 3.7.0-0");
  seen.etcd.pop_back();
  CHECK(stepOf(next(intent, failure, seen)) == "kube-apiserver: back to revision 1");
}

TEST_CASE("where only etcd is old the API servers get to know both places, and go back to the one") {
  auto seen = pivoted({"n1"});
  auto intent = toNextMinor();
  steps(intent, seen);
  intent.emulates.clear();
  intent.rollsEtcd = true;
  seen.etcd = {{.name = "n1", .peerUrl = "https://10.88.0.11:2380", .version = "3.6.8", .leads = true}};
  CHECK(steps(intent, seen, 3).back() == "kube-apiserver v1.37.2, with two places for etcd: revision 4, in slot green");
  seen.etcd = {{.name = "n1", .peerUrl = "https://10.88.0.11:2380", .version = "3.7.0", .leads = true}};
  CHECK(steps(intent, seen, 2).back() == "kube-apiserver v1.37.2: revision 5, in slot blue");
}

TEST_CASE("who goes on when etcd has its new version already goes on from the API servers that know both places, and back to those before the upgrade") {
  auto seen = pivoted({"n1"});
  auto intent = toNextMinor();
  intent.rollsEtcd = true;
  seen.etcd = {{.name = "n1", .peerUrl = "https://10.88.0.11:2380", .version = "3.6.8", .leads = true}};
  CHECK_FALSE(hasTwoPlacesForEtcd(intent, seen));
  CHECK(steps(intent, seen, 5).back() == "etcd 3.7.0-0 in its own place again");
  seen.etcd = {{.name = "n1", .peerUrl = "https://10.88.0.11:2380", .version = "3.7.0", .leads = true}};

  auto later = toNextMinor();
  CHECK(hasTwoPlacesForEtcd(later, seen));
  later.rollsEtcd = true;
  later.confirms = true;
  CHECK(isQuestion(next(later, {}, seen)));
  seen.said = Said::no;
  const auto failure = failureIn(later, seen);
  REQUIRE(failure);
  CHECK(stepOf(next(later, failure, seen)) == "kube-apiserver: back to revision 1");
  seen.said = Said::yes;
  CHECK(stepOf(next(later, {}, seen)) == "kube-apiserver v1.37.2: revision 3, in slot blue");

  // Who goes back gets there by one template.
  Intent back{.setup = at("v1.36.3"), .command = "upgrade", .emulates = {}, .afterwards = {}};
  CHECK_FALSE(hasTwoPlacesForEtcd(back, seen));
}

TEST_CASE("a control plane without its DaemonSets is not rolled") {
  auto seen = pivoted({"n1"});
  seen.controlPlane.daemonSets.erase(scheduler);
  const auto next = phases::roll::next(toNextMinor(), {}, seen);
  REQUIRE(std::holds_alternative<plan::Stuck>(next));
  CHECK(std::get<plan::Stuck>(next).cause == "kube-scheduler has no DaemonSet");
}

TEST_CASE("addons come first of what follows, and the configuration that says it is done comes last") {
  const auto resources = afterwards(at("v1.37.2"));
  std::vector<std::string> names;
  for (const auto& resource : resources) names.push_back(plan::subject(resource));
  const auto place = [&](const std::string& name) { return std::ranges::find(names, name) - names.begin(); };
  CHECK(place("DaemonSet kube-system/kube-proxy") < place("ConfigMap kube-system/kubeadm-config"));
  CHECK(place("ConfigMap kube-system/kubeadm-config") < static_cast<long>(names.size()));
}
