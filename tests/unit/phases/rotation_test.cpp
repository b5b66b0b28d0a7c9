// Rotation over all nodes: from whatever is seen a way leads on, and back, and none of its steps leaves somebody who is not believed.
#include "phases/rotation.hpp"

#include "tests/unit/phases/pivoted.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

using namespace kubestrap;
using namespace kubestrap::phases::rotation;

namespace {

using Names = std::vector<std::string>;

Intent wish(const std::string& authority, Direction direction = Direction::onward, Former former = Former::goes) {
  Intent intent{.setup = test::referenceSetup(), .authority = authority, .direction = direction, .former = former, .beginning = Beginning::allowed, .soak = std::chrono::minutes(70), .nodes = {.access = {}, .image = "kubestrap"},
                .material = {.former = {"FORMER\n", Secret("f")}, .next = {"NEXT\n", Secret("n")}, .bridge = "BRIDGE\n"}, .manifests = {}, .kubeletConfs = {}};
  intent.setup.node.name = "n1";
  for (const auto* component : {"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"}) intent.manifests[component] = "kind: Pod\n";
  return intent;
}

NodeSeen node(const std::string& name, bool controlPlane, Stage stage = Stage::former, bool settled = true, bool settledButKubelet = true) {
  return {.name = name, .controlPlane = controlPlane, .ready = true, .stage = stage, .settled = settled, .settledButKubelet = settledButKubelet,
          .staged = stage != Stage::former && controlPlane};
}

Seen cluster(const std::string& authority) {
  Seen seen{.prepared = false, .nodes = {node("n1", true), node("n2", true), node("n3", true)}};
  const Told former{.former = true, .next = false};
  if (isKnownToWorkers(authority)) {
    seen.nodes.push_back(node("w1", false));
    seen.clusterInfo = seen.rootCertificates = former;
  }
  if (authority == "ca" || authority == "front-proxy-ca") seen.aggregation = former;
  return seen;
}

/// Of a control plane that runs in its own cluster.
std::pair<Intent, Seen> ofItsOwn(const std::string& authority) {
  std::pair<Intent, Seen> made{wish(authority), cluster(authority)};
  made.first.setup = test::hostedSetup();
  made.first.setup.node.name = "n1";
  made.second.hosted = test::pivoted({"n1", "n2", "n3"});
  return made;
}

bool isIssuing(const NodeSeen& each) { return each.stage == Stage::issuing || each.stage == Stage::dropped; }

/// Whoever shows something of the next authority is believed by everybody, and of the former as well.
void nobodyIsLockedOut(const Seen& seen) {
  const bool shown = std::ranges::any_of(seen.nodes, isIssuing), gone = std::ranges::any_of(seen.nodes, [](const auto& each) { return each.stage == Stage::dropped; });
  for (const auto& each : seen.nodes) {
    CAPTURE(each.name);
    CHECK_FALSE((shown && each.stage == Stage::former));
    CHECK_FALSE((gone && !isIssuing(each)));
  }
}

/// The steps to the end, with this checked before each.
Names stepsTo(Intent intent, Seen& seen) {
  Names steps;
  for (int i = 0; i < 60; ++i) {
    if (seen.prepared) intent.beginning = Beginning::over;
    const auto coming = next(intent, seen);
    if (std::holds_alternative<plan::Done>(coming)) return steps;
    if (const auto* stuck = std::get_if<plan::Stuck>(&coming)) return {"stuck: " + stuck->cause};
    if (const auto* waiting = std::get_if<plan::Waiting>(&coming)) return {"waits: " + waiting->what};
    const auto& name = std::get<plan::Step>(coming).name;
    CHECK((steps.empty() || steps.back() != name)); // or it would be taken for one without effect
    steps.push_back(name);
    seen = assumed(intent, std::move(seen), coming);
    nobodyIsLockedOut(seen);
  }
  return {"no end: " + steps.back()};
}

bool allAre(const Seen& seen, Stage stage) {
  return std::ranges::all_of(seen.nodes, [&](const auto& each) { return each.stage == stage && each.settled && !each.staged; });
}

} // namespace

TEST_CASE("the authority goes over all nodes in rounds, and kubelets follow when every controller-manager signs with the next one") {
  auto seen = cluster("ca");
  CHECK(stepsTo(wish("ca"), seen) == Names{"n1: the next ca is made",
                                           "n1: the former and the next ca are trusted", "n2: the former and the next ca are trusted",
                                           "n3: the former and the next ca are trusted", "w1: the former and the next ca are trusted",
                                           "cluster-info: whom joining nodes trust",
                                           "n1: the next ca signs", "n2: the next ca signs", "n3: the next ca signs",
                                           "n1: the next ca signs, for the kubelet as well", "n2: the next ca signs, for the kubelet as well",
                                           "n3: the next ca signs, for the kubelet as well", "w1: the next ca signs, for the kubelet as well",
                                           "n1: the next ca alone is trusted", "n2: the next ca alone is trusted", "n3: the next ca alone is trusted",
                                           "w1: the next ca alone is trusted",
                                           "cluster-info: whom joining nodes trust", "extension-apiserver-authentication: whom aggregated API servers trust",
                                           "n3: what only the rotation needed is removed", "n2: what only the rotation needed is removed",
                                           "n1: what only the rotation needed is removed"});
  CHECK(allAre(seen, Stage::dropped));
}

TEST_CASE("a worker that joins when the next one signs already has a certificate by it, and none by the former is asked for") {
  auto seen = cluster("ca");
  auto intent = wish("ca", Direction::onward, Former::stays);
  stepsTo(intent, seen);
  seen.nodes.push_back(node("w2", false, Stage::trusted, false, true)); // of cluster-info it has the former one in front
  intent.former = Former::goes;
  const auto steps = stepsTo(intent, seen);
  REQUIRE(!steps.empty());
  CHECK(steps.front() == "w2: the next ca signs, for the kubelet as well");
  CHECK(allAre(seen, Stage::dropped));
}

TEST_CASE("a control plane that runs in its own cluster reads again what is new when all nodes have it, and nobody goes further before") {
  using Strings = std::map<std::string, Names>;
  const std::string manager = "kube-controller-manager reads anew", scheduler = "kube-scheduler reads anew", apiServer = "kube-apiserver reads anew";
  const Strings trusting{{"ca", {manager, scheduler}}, {"sa", {apiServer}}, {"etcd-ca", {apiServer}}, {"front-proxy-ca", {}}};
  const Strings signing{{"ca", {}}, {"sa", {apiServer, manager}}, {"etcd-ca", {}}, {"front-proxy-ca", {}}};
  for (const auto& [authority, readers] : trusting) {
    CAPTURE(authority);
    auto [intent, seen] = ofItsOwn(authority);
    Names steps;
    for (const auto& step : stepsTo(intent, seen)) {
      const auto name = step.substr(0, step.find(": "));
      if (name.ends_with("reads anew")) steps.push_back(name);
      else if (step.starts_with("n1: ") && step.find("removed") == std::string::npos) steps.push_back(step);
    }
    Names expected{"n1: the next " + authority + " is made", "n1: the former and the next " + authority + " are trusted"};
    expected.insert(expected.end(), readers.begin(), readers.end());
    expected.push_back("n1: the next " + authority + " signs");
    expected.insert(expected.end(), signing.at(authority).begin(), signing.at(authority).end());
    if (authority == "ca") expected.push_back("n1: the next ca signs, for the kubelet as well");
    expected.push_back("n1: the next " + authority + " alone is trusted");
    expected.insert(expected.end(), readers.begin(), readers.end());
    CHECK(steps == expected);
    CHECK(allAre(seen, Stage::dropped));
  }
}

TEST_CASE("while an authority has two certificates the controller-manager signs by a file of its own, unless the operator has named one") {
  auto [intent, seen] = ofItsOwn("ca");
  seen.prepared = true;
  for (auto& each : seen.nodes) each.stage = Stage::trusted;
  CHECK(rollNow(intent, seen)->readings.at("kube-controller-manager").signer == signerFile(intent.setup.cluster));
  for (auto& each : seen.nodes) each.stage = Stage::dropped;
  CHECK(rollNow(intent, seen)->readings.at("kube-controller-manager").signer == trustFile(intent.setup.cluster, "ca"));
  auto& command = seen.hosted->components.at("kube-controller-manager").podTemplate["spec"]["containers"][0]["command"];
  command.push_back("--cluster-signing-cert-file=/own.crt");
  CHECK(rollNow(intent, seen)->readings.at("kube-controller-manager").signer.empty());
  seen.nodes[1].stage = Stage::issuing;
  CHECK_FALSE(rollNow(intent, seen));
}

TEST_CASE("components that did not get ready when they were to read again are told as the reason") {
  auto [intent, seen] = ofItsOwn("sa");
  seen.prepared = true;
  for (auto& each : seen.nodes) each.stage = Stage::trusted;
  seen.failure = phases::roll::Failure{"kube-apiserver", "kube-apiserver reads anew on n2: it has ended 2 times", {}};
  const auto coming = next(intent, seen);
  REQUIRE(std::holds_alternative<plan::Stuck>(coming));
  CHECK(std::get<plan::Stuck>(coming).remedy.ends_with("run kubestrap certs rotate-ca sa --resume again"));
}

TEST_CASE("when it is over, another one is not begun by the same run") {
  auto intent = wish("sa");
  CHECK(std::holds_alternative<plan::Step>(next(intent, cluster("sa"))));
  intent.beginning = Beginning::over;
  CHECK(std::holds_alternative<plan::Done>(next(intent, cluster("sa"))));
}

TEST_CASE("what workers do not know goes over control planes only") {
  for (const std::string authority : {"sa", "front-proxy-ca", "etcd-ca"}) {
    CAPTURE(authority);
    auto seen = cluster(authority);
    const auto steps = stepsTo(wish(authority), seen);
    CHECK(allAre(seen, Stage::dropped));
    CHECK(std::ranges::count_if(steps, [](const auto& step) { return step.ends_with("signs"); }) == 3);
  }
}

TEST_CASE("without being told to drop the former it stops where both are trusted, and goes on from there") {
  auto seen = cluster("ca");
  auto steps = stepsTo(wish("ca", Direction::onward, Former::stays), seen);
  CHECK(steps.back() == "w1: the next ca signs, for the kubelet as well");
  steps = stepsTo(wish("ca"), seen);
  CHECK(steps.front() == "n1: the next ca alone is trusted");
}

TEST_CASE("the former key goes only when the tokens that it has signed have been followed by others") {
  auto seen = cluster("sa");
  stepsTo(wish("sa", Direction::onward, Former::stays), seen);
  seen.issuedFor = std::chrono::minutes(69);
  CHECK(stepsTo(wish("sa"), seen) == Names{"waits: tokens that the former key signed have been followed by others"});
  seen.issuedFor = std::chrono::minutes(70);
  CHECK(stepsTo(wish("sa"), seen).front() == "n1: the next sa alone is trusted");
}

TEST_CASE("the keys that were put into the cluster for joining control planes are taken away when the next one signs") {
  auto seen = cluster("etcd-ca");
  seen.uploaded = true;
  const auto steps = stepsTo(wish("etcd-ca"), seen);
  const auto at = std::ranges::find_if(steps, [](const auto& step) { return step.starts_with("kubeadm-certs"); });
  CHECK(at != steps.end());
  CHECK(*(at - 1) == "n3: the next etcd-ca signs");
}

TEST_CASE("the components' own doing is waited for before anybody relies on it") {
  auto seen = cluster("ca");
  const auto intent = wish("ca");
  seen.prepared = true;
  for (auto& each : seen.nodes) each = node(each.name, each.controlPlane, Stage::trusted);
  seen.clusterInfo = Told{.former = true, .next = true};
  CHECK(std::get<plan::Waiting>(next(intent, seen)).what == "kube-root-ca.crt says whom to trust in every namespace");
  seen.rootCertificates = seen.clusterInfo;
  CHECK(std::get<plan::Waiting>(next(intent, seen)).what == "extension-apiserver-authentication says whom aggregated API servers trust");
}

TEST_CASE("a node that could not follow stops it before anything is done, and what has been dropped does not come back") {
  auto seen = cluster("ca");
  seen.nodes[3].ready = false;
  CHECK(stepsTo(wish("ca"), seen) == Names{"stuck: w1 is not Ready, and could not follow"});
  seen.prepared = true; // its kubelet may have been started anew
  CHECK(stepsTo(wish("ca"), seen) == Names{"waits: w1 is Ready"});
  seen = cluster("ca");
  seen.prepared = true;
  for (auto& each : seen.nodes) each = node(each.name, each.controlPlane, Stage::issuing);
  seen.nodes[0] = node("n1", true, Stage::dropped);
  CHECK(stepsTo(wish("ca", Direction::back), seen) == Names{"stuck: n1 has dropped the former ca already"});
}

TEST_CASE("a secret travels sealed, and a worker gets no key at all") {
  auto seen = cluster("ca");
  seen.prepared = true;
  seen.nodes[0] = node("n1", true, Stage::trusted);
  auto intent = wish("ca");
  const auto step = std::get<plan::Step>(next(intent, seen));
  CHECK(step.name == "n2: the former and the next ca are trusted");
  REQUIRE(step.work.size() == 3);
  CHECK(std::holds_alternative<plan::FileFor>(std::get<plan::Object>(step.work[0]).fills.at(0).with));
  CHECK(std::get<plan::Object>(step.work[2]).mode == plan::ApplyMode::absent);
  for (auto& each : seen.nodes)
    if (each.controlPlane) each = node(each.name, true, Stage::trusted);
  CHECK(std::get<plan::Step>(next(intent, seen)).work.size() == 1);
}

TEST_CASE("wherever it was stopped on the way on, it goes on, or back, and nobody is locked out meanwhile") {
  for (const auto& authority : rotatable()) {
    const auto intent = wish(authority);
    // Every state on the way, and beside each of them the one in which the node whose turn it is has been left half-way.
    std::vector<Seen> states{cluster(authority)};
    for (std::size_t i = 0; i < states.size() && i < 200; ++i) {
      const auto coming = next(intent, states[i]);
      if (std::holds_alternative<plan::Done>(coming)) break;
      auto after = assumed(intent, states[i], coming);
      auto halfWay = after;
      for (std::size_t n = 0; n < after.nodes.size(); ++n)
        if (after.nodes[n].stage != states[i].nodes[n].stage) halfWay.nodes[n].settled = halfWay.nodes[n].settledButKubelet = false;
      CAPTURE(authority);
      CAPTURE(std::get<plan::Step>(coming).name);
      for (const auto& left : {after, halfWay}) {
        auto onward = left;
        stepsTo(intent, onward);
        CHECK(allAre(onward, Stage::dropped));
        auto back = left;
        const auto steps = stepsTo(wish(authority, Direction::back), back);
        const bool dropped = std::ranges::any_of(left.nodes, [](const auto& each) { return each.stage == Stage::dropped; });
        if (dropped) CHECK(steps.front().starts_with("stuck: "));
        else CHECK(allAre(back, Stage::former));
      }
      states.push_back(std::move(after));
    }
    CHECK(states.size() > 5);
  }
}
