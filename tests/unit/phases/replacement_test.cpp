#include "phases/replacement.hpp"

#include "tests/unit/manifests/fixture.hpp"

#include <doctest/doctest.h>

using namespace kubestrap;
using namespace kubestrap::phases;
using namespace kubestrap::phases::replacement;

namespace {

Value node(const std::string& name, const std::string& uid) {
  return {{"metadata",
           {{"name", name},
            {"uid", uid},
            {"labels",
             {{"kubernetes.io/hostname", name},
              {"node-role.kubernetes.io/control-plane", ""},
              {"node-role.kubernetes.io/storage", ""},
              {"topology.kubernetes.io/zone", "a"},
              {"kubestrap.io/self-hosted", "true"},
              {"disk", "ssd"}}}}},
          {"spec",
           {{"taints", Value::array({{{"key", "node-role.kubernetes.io/control-plane"}, {"effect", "NoSchedule"}},
                                     {{"key", "node.kubernetes.io/unreachable"}, {"effect", "NoExecute"}, {"timeAdded", "2026-01-01T00:00:00Z"}},
                                     {{"key", "gpu"}, {"value", "yes"}, {"effect", "NoSchedule"}}})}}}};
}

Intent replacing(const std::string& old, const std::string& by) {
  auto setup = test::hostedSetup();
  setup.node.name = "n1";
  return {.removal = {.setup = std::move(setup), .node = old, .nodes = {.access = {}, .image = "kubestrap.io/kubestrap:v0"}, .force = false, .drain = std::chrono::minutes(5)},
          .successor = by,
          .patience = std::chrono::hours(1)};
}

std::string peer(int host) { return "https://10.88.0." + std::to_string(10 + host) + ":2380"; }

Seen withThird(bool ready) {
  Seen seen;
  seen.node = node("n3", "old");
  seen.old.node = OtherNode{.name = "n3", .controlPlane = true, .ready = ready, .pod = {}, .trouble = {}};
  for (int i = 1; i <= 3; ++i) seen.old.members.push_back({.name = "n" + std::to_string(i), .peerUrl = peer(i), .answers = i < 3 || ready});
  seen.old.peerUrl = peer(3);
  seen.old.otherControlPlanes = 2;
  return seen;
}

std::string said(const plan::Next& next) {
  if (const auto* step = std::get_if<plan::Step>(&next)) return step->name;
  if (const auto* waiting = std::get_if<plan::Waiting>(&next)) return "wait: " + waiting->what + ": " + waiting->lacking;
  if (const auto* stuck = std::get_if<plan::Stuck>(&next)) return "stuck: " + stuck->cause;
  return "done";
}

} // namespace

TEST_CASE("what somebody has given a node is kept, and what is told of it by others is not") {
  const auto kept = keptOf(node("n3", "old"), "n4");
  CHECK(kept.uid == "old");
  CHECK(kept.controlPlane);
  CHECK(kept.labels == std::map<std::string, std::string>{{"node-role.kubernetes.io/storage", ""}, {"topology.kubernetes.io/zone", "a"}, {"disk", "ssd"}});
  REQUIRE(kept.taints.size() == 2);
  CHECK(stringAt(kept.taints[1], "key") == "gpu");
  const auto again = readKept(keptDocument("n3", kept));
  CHECK(again.labels == kept.labels);
  CHECK(again.taints == kept.taints);
  CHECK(again.successor == "n4");
  CHECK_THROWS_AS(readKept({{"metadata", {{"name", "x"}}}, {"data", {{"node", "{}"}}}}), Error);
}

TEST_CASE("a node that is gone is forgotten before its successor joins under its name") {
  const auto intent = replacing("n3", "n3");
  auto seen = withThird(false);
  CHECK(said(next(intent, seen)) == "n3: its labels and taints are kept for n3");
  seen.kept = keptOf(*seen.node, "n3");
  seen.wasKept = true;
  CHECK_FALSE(waitsForJoin(seen));
  CHECK(said(next(intent, seen)) == "n3: what the cluster knows of it is taken away");
  seen = assumed(std::move(seen), intent, next(intent, seen));
  CHECK(waitsForJoin(seen));
  CHECK(said(next(intent, seen)) == "wait: n3 is a node: its machine has not joined");

  seen.node = node("n3", "new"); // and what was kept is not of this one
  seen.successor = SuccessorSeen{.ready = false, .votes = false, .labels = {}, .taints = {}};
  CHECK(said(next(intent, seen)) == "wait: n3 is well: it is not Ready");
  seen.successor->ready = true;
  CHECK(said(next(intent, seen)) == "wait: n3 is well: its member of etcd has no vote yet");
  seen.successor->votes = true;
  const auto marked = next(intent, seen);
  CHECK(said(marked) == "n3: labels and taints of n3");
  const auto& document = std::get<plan::Object>(std::get<plan::Step>(marked).work.front()).document;
  CHECK(stringAt(document, "metadata.labels.disk") == "ssd");
  CHECK(document["spec"]["taints"].size() == 2);
  seen.successor->labels = seen.kept->labels;
  seen.successor->taints = seen.kept->taints;
  CHECK(said(next(intent, seen)) == "n3: nothing is kept of it any more");
  seen.kept.reset();
  CHECK(said(next(intent, seen)) == "done");
}

TEST_CASE("one that runs goes when its successor is well, and not before") {
  const auto intent = replacing("n3", "n4");
  auto seen = withThird(true);
  seen.kept = keptOf(*seen.node, "n4");
  CHECK(waitsForJoin(seen));
  CHECK(said(next(intent, seen)) == "wait: n4 is a node: its machine has not joined");
  seen.successor = SuccessorSeen{.ready = true, .votes = true, .labels = seen.kept->labels, .taints = seen.kept->taints};
  seen.old.members.push_back({.name = "n4", .peerUrl = peer(4), .answers = true});
  CHECK(said(next(intent, seen)) == "n3: pods move away, and its reset begins");
  seen.old.node->ready = false; // it is lost meanwhile
  CHECK(said(next(intent, seen)) == "n3: what the cluster knows of it is taken away");
}

TEST_CASE("a worker's successor needs no vote, and labels that it has are not written again") {
  const auto intent = replacing("w1", "w2");
  Seen seen;
  seen.node = node("w1", "old");
  seen.node->at("metadata").at("labels").erase("node-role.kubernetes.io/control-plane");
  seen.old.node = OtherNode{.name = "w1", .ready = true, .pod = {}, .trouble = {}};
  seen.kept = keptOf(*seen.node, "w2");
  seen.successor = SuccessorSeen{.ready = true, .votes = false, .labels = seen.kept->labels, .taints = seen.kept->taints};
  CHECK(said(next(intent, seen)) == "w1: pods move away, and its reset begins");
}

TEST_CASE("a node that nobody knows is not replaced, and where etcd would lose its quorum it says so") {
  CHECK(said(next(replacing("n9", "n9"), {})) == "stuck: the cluster has no node n9");
  auto seen = withThird(false);
  seen.kept = keptOf(*seen.node, "n3");
  seen.old.members[1].answers = false;
  CHECK(said(next(replacing("n3", "n3"), seen)).starts_with("stuck: without it 2 members of etcd are left, of which 2 have to answer"));
}
