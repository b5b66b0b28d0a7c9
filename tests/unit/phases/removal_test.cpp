#include "phases/removal.hpp"

#include "tests/unit/manifests/fixture.hpp"

#include <doctest/doctest.h>

using namespace kubestrap;
using namespace kubestrap::phases;
using namespace kubestrap::phases::removal;

namespace {

std::string peer(int host) { return "https://10.88.0." + std::to_string(10 + host) + ":2380"; }

Intent removing(const std::string& node) {
  auto setup = test::hostedSetup();
  setup.node.name = "n1";
  return {.setup = std::move(setup), .node = node, .nodes = {.access = {}, .image = "kubestrap.io/kubestrap:v0"}, .force = false, .drain = {}};
}

/// Three control planes, of which n3 shall go.
Seen withThird(bool ready) {
  Seen seen;
  seen.node = OtherNode{.name = "n3", .controlPlane = true, .ready = ready, .pod = {}, .trouble = {}};
  for (int i = 1; i <= 3; ++i) seen.members.push_back({.name = "n" + std::to_string(i), .peerUrl = peer(i), .answers = i < 3 || ready});
  seen.peerUrl = peer(3);
  seen.published = true;
  seen.otherControlPlanes = 2;
  return seen;
}

Seen withWorker(bool ready) {
  Seen seen;
  seen.node = OtherNode{.name = "w1", .ready = ready, .pod = {}, .trouble = {}};
  seen.members = {{.name = "n1", .peerUrl = peer(1), .answers = true}};
  seen.otherControlPlanes = 1;
  return seen;
}

const plan::Step& step(const plan::Next& next) {
  REQUIRE(std::holds_alternative<plan::Step>(next));
  return std::get<plan::Step>(next);
}
std::string cause(const plan::Next& next) {
  const auto* stuck = std::get_if<plan::Stuck>(&next);
  return stuck ? stuck->cause : "";
}

/// "absent Node n3", "mark ConfigMap cluster-info", "member https://...": what a step does.
std::vector<std::string> does(const plan::Step& step) {
  std::vector<std::string> all;
  for (const auto& each : step.work) {
    if (const auto* member = std::get_if<plan::EtcdMember>(&each)) all.push_back("member " + member->peerUrl);
    else if (const auto* object = std::get_if<plan::Object>(&each))
      all.push_back((object->mode == plan::ApplyMode::absent ? "absent " : object->mode == plan::ApplyMode::mark ? "mark " : "make ") +
                    stringAt(object->document, "kind") + " " + stringAt(object->document, "metadata.name"));
    else all.push_back("task");
  }
  return all;
}

using Lines = std::vector<std::string>;

} // namespace

TEST_CASE("a node that is gone is forgotten: its member of etcd first, then all that names it") {
  const auto intent = removing("n3");
  auto seen = withThird(false);
  const auto next = removal::next(intent, seen);
  CHECK(does(step(next)) == Lines{"member " + peer(3), "mark ConfigMap cluster-info", "absent Node n3", "absent Lease n3", "absent Lease kubestrap-guard-n3"});
  seen = assumed(seen, next);
  CHECK(seen.members.size() == 2);
  CHECK(std::holds_alternative<plan::Done>(removal::next(intent, seen)));
}

TEST_CASE("what is left of a node that somebody has deleted by hand is taken away as well") {
  auto seen = withThird(false);
  seen.node.reset();
  CHECK(does(step(removal::next(removing("n3"), seen))) == Lines{"member " + peer(3), "mark ConfigMap cluster-info"});
}

TEST_CASE("a control plane that runs is told, and takes itself out") {
  const auto intent = removing("n3");
  auto seen = withThird(true);
  CHECK(does(step(removal::next(intent, seen))) == Lines{"make Pod kubestrap-reset-n3"});
  seen.node->pod = "Running";
  CHECK(std::holds_alternative<plan::Waiting>(removal::next(intent, seen)));
  seen.node->kubeletAnswers = false;
  CHECK(std::holds_alternative<plan::Waiting>(removal::next(intent, seen)));
  auto gone = seen;
  gone.node.reset();
  gone.resets = true;
  CHECK(std::holds_alternative<plan::Waiting>(removal::next(intent, gone)));
  gone.peerUrl.clear();
  gone.published = false;
  CHECK(std::holds_alternative<plan::Done>(removal::next(intent, gone)));
  seen.node->trouble = "ErrImagePull: nowhere";
  CHECK(cause(removal::next(intent, seen)) == "the reset of n3 does not begin: ErrImagePull: nowhere");
}

TEST_CASE("a worker's Node is deleted when its kubelet has stopped, and its pods move away before if that is wished") {
  auto intent = removing("w1");
  intent.drain = std::chrono::minutes(5);
  auto seen = withWorker(true);
  CHECK(does(step(removal::next(intent, seen))) == Lines{"task", "make Pod kubestrap-reset-w1"});
  seen.node->pod = "Succeeded";
  CHECK(std::holds_alternative<plan::Waiting>(removal::next(intent, seen)));
  seen.node->kubeletAnswers = false;
  seen.node->ready = false;
  CHECK(does(step(removal::next(intent, seen))) == Lines{"absent Node w1"});
}

TEST_CASE("a removal by which etcd loses its quorum is refused with the arithmetic") {
  const auto intent = removing("n3");
  auto seen = withThird(true);
  seen.members[1].answers = false;
  CHECK(cause(removal::next(intent, seen)) == "without it 2 members of etcd are left, of which 2 have to answer: n1 answers");
  auto forced = intent;
  forced.force = true;
  CHECK(does(step(removal::next(forced, seen))) == Lines{"make Pod kubestrap-reset-n3"});
  // Of two members each can go as long as the other answers.
  seen.members.erase(seen.members.begin() + 1);
  CHECK(arithmetic(seen) == "without it 1 member of etcd is left, of which 1 has to answer: n1 answers");
  CHECK_FALSE(losesQuorum(seen));
}

TEST_CASE("the machine itself and the last control plane are not removed") {
  CHECK(cause(removal::next(removing("n1"), withThird(true))) == "n1 is this machine");
  auto seen = withThird(true);
  seen.otherControlPlanes = 0;
  CHECK(cause(removal::next(removing("n3"), seen)) == "n3 is the last control plane");
}

TEST_CASE("a name that the cluster does not know has nothing to be removed") {
  Seen seen;
  seen.members = {{.name = "n1", .peerUrl = peer(1), .answers = true}};
  CHECK(std::holds_alternative<plan::Done>(removal::next(removing("n9"), seen)));
}

TEST_CASE("a node's member bears its name or is at its address, and not at one that ends like it") {
  const std::vector<MemberSeen> members{{.name = "n1", .peerUrl = "https://110.0.0.1:2380"}, {.name = "renamed", .peerUrl = "https://10.0.0.1:2380"}};
  CHECK(peerUrlOf("n2", "10.0.0.1", members) == "https://10.0.0.1:2380");
  CHECK(peerUrlOf("n1", "", members) == "https://110.0.0.1:2380");
  CHECK(peerUrlOf("n9", "0.0.0.1", members) == "");
  CHECK(peerUrlOf("n9", "", members) == "");
}
