#include "tests/unit/phases/guard.hpp"

#include <doctest/doctest.h>

using namespace kubestrap;
using namespace kubestrap::test;

namespace {

/// A node whose API server is promoted and serves, beside nothing.
GuardedNode inRescue() {
  GuardedNode node;
  node.slot(apiServer, Slot::blue) = SlotState::refuses;
  node.of(apiServer).promoted = true;
  node.of(apiServer).activations = {"1"};
  node.of(apiServer).mirrors = {{"1"}};
  node.slot(apiServer, Slot::rescue) = SlotState::ready;
  node.turn();
  REQUIRE(node.hosting(apiServer) == Hosting::rescue);
  return node;
}

/// The only API server of a single node is gone, for good.
GuardedNode withoutApi(SlotState state = SlotState::refuses) {
  GuardedNode node;
  node.turns(5s);
  node.slot(apiServer, Slot::blue) = state;
  node.seen.apiAnswers = false;
  return node;
}

} // namespace

TEST_CASE("a sound node is left alone") {
  GuardedNode node;
  node.turns(10min);
  CHECK(node.done() == "");
  CHECK(node.last.conditions.empty());
  for (const auto component : {apiServer, controllerManager, scheduler}) CHECK(node.hosting(component) == Hosting::shadow);
  CHECK(node.peersAsked == 0);
}

TEST_CASE("a component without a ready pod is suspected, and cleared when one is ready") {
  GuardedNode node;
  node.turn();
  node.slot(scheduler, Slot::blue) = SlotState::unready;
  node.turn();
  CHECK(node.hosting(scheduler) == Hosting::suspect);
  CHECK(node.last.changes == std::vector<std::string>{"kube-scheduler: shadow -> suspect, since no pod of its DaemonSet is ready"});
  node.slot(scheduler, Slot::green) = SlotState::ready;
  node.turn();
  CHECK(node.hosting(scheduler) == Hosting::shadow);
  CHECK(node.done() == "");
}

// ---- the API server

TEST_CASE("without an API for ten seconds the API server is promoted, once the guard has asked the peers") {
  auto node = withoutApi();
  node.turns(10s);
  CHECK(node.done() == "");
  CHECK(node.peersAsked == 0);
  node.turn();
  CHECK(node.done() == "promote kube-apiserver");
  CHECK(node.peersAsked == 1);
  CHECK(node.hosting(apiServer) == Hosting::rescue);
}

TEST_CASE("a peer that serves keeps the API server from being promoted") {
  auto node = withoutApi();
  node.peerReady = true;
  node.turns(60s);
  CHECK(node.done() == "");
  CHECK(node.peersAsked > 0);
}

TEST_CASE("the ten seconds run only while etcd is ready") {
  auto node = withoutApi(SlotState::unready);
  node.seen.etcdReady = false;
  node.turns(60s);
  node.seen.etcdReady = true;
  node.turns(10s);
  CHECK(node.done() == "");
  node.turn();
  CHECK(node.done() == "promote kube-apiserver");
}

TEST_CASE("an API that answers in between begins the ten seconds anew") {
  auto node = withoutApi();
  node.turns(8s);
  node.seen.apiAnswers = true;
  node.turn();
  node.seen.apiAnswers = false;
  node.turns(9s);
  CHECK(node.done() == "");
  node.turns(2s);
  CHECK(node.done() == "promote kube-apiserver");
}

TEST_CASE("after a boot the API server is promoted in the second in which etcd is ready") {
  GuardedNode node;
  node.powerLoss();
  node.turns(30s);
  CHECK(node.done() == "");
  node.seen.etcdReady = true;
  SUBCASE("alone") {
    node.turn();
    CHECK(node.done() == "promote kube-apiserver");
    CHECK(node.peersAsked == 1);
  }
  SUBCASE("but not where a peer serves") {
    node.peerReady = true;
    node.turns(60s);
    CHECK(node.done() == "");
  }
  SUBCASE("and a process that is there but not ready gets its ten seconds") {
    node.slot(apiServer, Slot::green) = SlotState::hangs;
    node.turns(10s);
    CHECK(node.done() == "");
    node.turn();
    CHECK(node.done() == "promote kube-apiserver");
  }
  SUBCASE("and so does one that has answered and is gone again") {
    node.slot(apiServer, Slot::green) = SlotState::unready;
    node.turn();
    node.slot(apiServer, Slot::green) = SlotState::refuses;
    node.turns(9s);
    CHECK(node.done() == "");
    node.turns(2s);
    CHECK(node.done() == "promote kube-apiserver");
  }
}

TEST_CASE("a last slot that drains is a promise of loss: the standby is promoted at once") {
  GuardedNode node;
  node.turns(5s);
  node.slot(apiServer, Slot::blue) = SlotState::draining; // the front still leads to it
  SUBCASE("alone") {
    node.turn();
    CHECK(node.done() == "promote kube-apiserver");
    CHECK(node.peersAsked == 1);
  }
  SUBCASE("not where a peer serves") {
    node.peerReady = true;
    node.turns(5s);
    CHECK(node.done() == "");
  }
  SUBCASE("not where the other slot serves") {
    node.slot(apiServer, Slot::green) = SlotState::ready;
    node.turns(5s);
    CHECK(node.done() == "");
    CHECK(node.peersAsked == 0);
  }
  SUBCASE("not without etcd") {
    node.seen.etcdReady = false;
    node.turns(5s);
    CHECK(node.done() == "");
  }
}

TEST_CASE("while peers serve, a kubelet has three minutes to bring the node's own API server back") {
  GuardedNode node;
  node.turns(5s);
  node.slot(apiServer, Slot::blue) = SlotState::refuses;
  node.peerReady = true;
  SUBCASE("then it is promoted") {
    node.turns(180s);
    CHECK(node.done() == "");
    node.turn();
    CHECK(node.done() == "promote kube-apiserver");
  }
  SUBCASE("but not on a node without the label") {
    node.seen.membership = Membership::unlabelled;
    node.turns(300s);
    CHECK(node.done() == "");
  }
  SUBCASE("nor one whose standby is older than the cluster allows") {
    node.of(apiServer).standbyTooOld = true;
    node.turns(300s);
    CHECK(node.done() == "");
    CHECK(node.reports("StandbyTooOld"));
  }
}

// ---- controller-manager and scheduler

TEST_CASE("a Lease that does not move for 45 s, and 20 s more for each rank, lets the scheduler be promoted") {
  GuardedNode node;
  node.seen.rank = 1;
  node.turns(5s);
  node.leads = false;
  node.slot(scheduler, Slot::blue) = SlotState::refuses;
  node.turns(64s);
  CHECK(node.done() == "");
  node.turn();
  CHECK(node.done() == "promote kube-scheduler");
}

TEST_CASE("where the node's own pod has failed, 15 s are enough") {
  GuardedNode node;
  node.turns(5s);
  node.leads = false;
  node.slot(controllerManager, Slot::blue) = SlotState::refuses;
  node.of(controllerManager).podFailed = true;
  node.turns(14s);
  CHECK(node.done() == "");
  node.turn();
  CHECK(node.done() == "promote kube-controller-manager");
}

TEST_CASE("a Lease that moves says that another node leads") {
  GuardedNode node;
  node.turns(5s);
  node.slot(controllerManager, Slot::blue) = SlotState::refuses;
  node.of(controllerManager).podFailed = true;
  node.turns(10min);
  CHECK(node.done() == "");
}

TEST_CASE("a Lease ages only while there is an API") {
  GuardedNode node;
  node.turns(5s);
  node.leads = false;
  node.slot(scheduler, Slot::blue) = SlotState::refuses;
  node.turns(30s);
  node.seen.apiAnswers = false;
  node.slot(apiServer, Slot::blue) = SlotState::unready;
  node.seen.etcdReady = false;
  node.turns(60s);
  node.seen.apiAnswers = node.seen.etcdReady = true;
  node.slot(apiServer, Slot::blue) = SlotState::ready;
  node.turns(45s);
  CHECK(node.done() == "");
  node.turn();
  CHECK(node.done() == "promote kube-scheduler");
}

TEST_CASE("a Lease that nobody has ever made is one that does not move, and one that was not read is unknown") {
  GuardedNode node;
  node.leads = false;
  node.slot(scheduler, Slot::blue) = SlotState::refuses;
  SUBCASE("never made") {
    node.turns(46s);
    CHECK(node.done() == "promote kube-scheduler");
  }
  SUBCASE("not read") {
    node.of(scheduler).lease.reset();
    node.turns(10min);
    CHECK(node.done() == "");
  }
}

// ---- rescue and back

TEST_CASE("a pod that comes back has to last ten seconds, then the standby is demoted") {
  auto node = inRescue();
  node.slot(apiServer, Slot::blue) = SlotState::ready;
  node.turn();
  CHECK(node.hosting(apiServer) == Hosting::drain);
  node.turns(9s);
  CHECK(node.done() == "");
  node.turn();
  CHECK(node.done() == "demote kube-apiserver");
  CHECK(node.hosting(apiServer) == Hosting::shadow);
}

TEST_CASE("nodes demote one after the other") {
  auto node = inRescue();
  node.seen.rank = 2;
  node.slot(apiServer, Slot::blue) = SlotState::ready;
  node.turns(34s);
  CHECK(node.done() == "");
  node.turn();
  CHECK(node.done() == "demote kube-apiserver");
}

TEST_CASE("a pod that is lost again while the standby still serves costs nothing") {
  auto node = inRescue();
  node.slot(apiServer, Slot::blue) = SlotState::ready;
  node.turns(5s);
  node.slot(apiServer, Slot::blue) = SlotState::refuses;
  node.turn();
  CHECK(node.hosting(apiServer) == Hosting::rescue);
  node.slot(apiServer, Slot::blue) = SlotState::ready;
  node.turns(10s);
  CHECK(node.done() == "");
  node.turn();
  CHECK(node.done() == "demote kube-apiserver");
}

TEST_CASE("nothing is demoted without proof that it is safe") {
  auto node = inRescue();
  node.slot(apiServer, Slot::blue) = SlotState::ready;
  SUBCASE("no standby") { node.of(apiServer).standbyValid = false; }
  SUBCASE("the kubelet has not told of this very promotion") { node.of(apiServer).mirrors = {{"0"}}; }
  SUBCASE("the pods could not be listed") { node.of(apiServer).mirrors.reset(); }
  SUBCASE("the DaemonSet could not be read") { node.of(apiServer).daemonSet.reset(); }
  node.turns(10min);
  CHECK(node.done() == "");
  CHECK(node.reports("StaysPromoted"));
}

TEST_CASE("a DaemonSet that is gone is reported, and what was promoted stays") {
  auto node = inRescue();
  node.slot(apiServer, Slot::blue) = SlotState::ready; // a pod that nobody owns any more
  node.of(apiServer).daemonSet = DaemonSetSeen{};
  node.turns(10min);
  CHECK(node.done() == "");
  CHECK(node.hosting(apiServer) == Hosting::rescue);
  CHECK(node.reports("ParentMissing"));
}

TEST_CASE("a DaemonSet without a pod on this node is reported") {
  GuardedNode node;
  node.slot(scheduler, Slot::blue) = SlotState::refuses;
  node.of(scheduler).podMissing = true;
  node.turn();
  CHECK(node.reports("ParentMissing"));
}

TEST_CASE("an operation that has stalled keeps the rescue") {
  auto node = inRescue();
  node.slot(apiServer, Slot::blue) = SlotState::ready;
  SUBCASE("from the beginning") { node.seen.plan = Plan::stalled; }
  SUBCASE("while it drains") {
    node.turns(5s);
    node.seen.plan = Plan::stalled;
  }
  node.turns(10min);
  CHECK(node.done() == "");
  CHECK(node.hosting(apiServer) == Hosting::rescue);
}

TEST_CASE("a revision that dies again and again has to last twice as long each time") {
  auto node = inRescue();
  for (const auto patience : {10s, 20s, 40s, 80s}) {
    node.actions.clear();
    node.seen.apiAnswers = true;
    node.slot(apiServer, Slot::blue) = SlotState::ready;
    node.slot(apiServer, Slot::rescue) = SlotState::ready;
    node.turns(patience);
    CHECK(node.done() == "");
    node.turn();
    CHECK(node.done() == "demote kube-apiserver");
    node.turns(60s);
    node.slot(apiServer, Slot::blue) = SlotState::refuses;
    node.seen.apiAnswers = false;
    node.turns(11s);
    CHECK(node.done() == "demote kube-apiserver, promote kube-apiserver");
  }
}

TEST_CASE("the patience ends at a quarter of an hour, and is forgotten after half an hour of quiet") {
  auto node = inRescue();
  node.state.components[apiServer].stable = 10min;
  node.state.components[apiServer].hosting = Hosting::suspect;
  node.of(apiServer).promoted = false;
  node.slot(apiServer, Slot::rescue) = SlotState::refuses;
  node.seen.apiAnswers = false;
  node.state.components[apiServer].demoted = node.now;
  SUBCASE("soon") {
    node.turns(12s);
    CHECK(node.state.components[apiServer].stable == 15min);
  }
  SUBCASE("late") {
    node.seen.etcdReady = false;
    node.turns(30min);
    node.seen.etcdReady = true;
    node.turns(12s);
    CHECK(node.done() == "promote kube-apiserver");
    CHECK(node.state.components[apiServer].stable == 10s);
  }
}

TEST_CASE("a standby that does not get ready in two minutes gets the one before beside it") {
  auto node = inRescue();
  node.slot(apiServer, Slot::rescue) = SlotState::unready;
  node.seen.apiAnswers = false;
  node.of(apiServer).previousValid = true;
  SUBCASE("while etcd is ready") {
    node.turns(120s);
    CHECK(node.done() == "");
    node.turn();
    CHECK(node.done() == "promote kube-apiserver previous");
    CHECK(node.reports("StandbyBroken"));
    node.turns(10min);
    CHECK(node.actions.size() == 1);
  }
  SUBCASE("not while etcd is not") {
    node.seen.etcdReady = false;
    node.turns(10min);
    CHECK(node.done() == "");
  }
}

TEST_CASE("a standby that cannot be read gives way to the one before") {
  auto node = withoutApi();
  node.of(apiServer).standbyValid = false;
  SUBCASE("there is one") {
    node.of(apiServer).previousValid = true;
    node.turns(11s);
    CHECK(node.done() == "promote kube-apiserver previous");
  }
  SUBCASE("there is none") {
    node.turns(60s);
    CHECK(node.done() == "");
    CHECK(node.reports("StandbyMissing"));
  }
}

TEST_CASE("a stranger in the rescue slot does not keep the one before from its own") {
  auto node = withoutApi();
  node.slot(apiServer, Slot::rescue) = SlotState::unready;
  node.of(apiServer).previousValid = true;
  node.turns(11s);
  CHECK(node.done() == "promote kube-apiserver previous");
  CHECK(node.reports("SlotBusy"));
}

TEST_CASE("who comes to the rescue slot after a demoted pod has ended is a stranger, and not what is left of it") {
  auto node = inRescue();
  node.slot(apiServer, Slot::blue) = SlotState::ready;
  node.turns(11s);
  REQUIRE(node.done() == "demote kube-apiserver");
  node.slot(apiServer, Slot::rescue) = SlotState::draining;
  node.turns(5s);
  CHECK_FALSE(node.reports("SlotBusy"));
  node.slot(apiServer, Slot::rescue) = SlotState::refuses;
  node.turns(2s);
  node.slot(apiServer, Slot::rescue) = SlotState::unready;
  node.turns(300s);
  CHECK(node.reports("SlotBusy"));
  CHECK_FALSE(node.reports("StuckStaticPod"));
}

TEST_CASE("a rescue pod that was demoted and does not end is reported") {
  auto node = inRescue();
  node.slot(apiServer, Slot::blue) = SlotState::ready;
  node.turns(11s);
  REQUIRE(node.done() == "demote kube-apiserver");
  SUBCASE("its process") {
    node.slot(apiServer, Slot::rescue) = SlotState::draining;
    node.turns(119s);
    CHECK(!node.reports("StuckStaticPod"));
    node.turns(2s);
    CHECK(node.reports("StuckStaticPod"));
  }
  SUBCASE("its mirror pod, which may lag behind") {
    node.of(apiServer).mirrors = {{"1"}};
    node.turns(299s);
    CHECK(!node.reports("StuckStaticPod"));
    node.turns(2s);
    CHECK(node.reports("StuckStaticPod"));
  }
}

TEST_CASE("a promoted manifest that a guard finds when it begins is kept") {
  GuardedNode node;
  node.powerLoss();
  node.of(apiServer).promoted = true;
  node.of(apiServer).activations = {"7"};
  node.turns(30s);
  CHECK(node.done() == "");
  CHECK(node.hosting(apiServer) == Hosting::rescue);
}

TEST_CASE("a manifest that somebody has taken away is promoted again by the ordinary rules") {
  auto node = inRescue();
  node.of(apiServer).promoted = false;
  node.slot(apiServer, Slot::rescue) = SlotState::refuses;
  node.seen.apiAnswers = false;
  node.turn();
  CHECK(node.done() == "promote kube-apiserver");
  CHECK(node.last.changes.front() == "kube-apiserver: rescue -> suspect, since its manifest is not in the static pod folder");
}

// ---- held, dormant, stopping

TEST_CASE("what is held is promoted beside whatever runs, and stays") {
  GuardedNode node;
  node.seen.held = {apiServer};
  node.turns(30min);
  CHECK(node.done() == "promote kube-apiserver");
  CHECK(node.hosting(apiServer) == Hosting::held);
  CHECK(node.peersAsked == 0);
}

TEST_CASE("what is not held any more is demoted as after any rescue, without waiting for a turn") {
  GuardedNode node;
  node.seen.rank = 2;
  node.seen.held = {scheduler};
  node.turns(60s);
  node.slot(scheduler, Slot::rescue) = SlotState::ready;
  node.seen.held = {};
  node.turns(10s);
  CHECK(node.done() == "promote kube-scheduler");
  node.turns(2s);
  CHECK(node.done() == "promote kube-scheduler, demote kube-scheduler");
  CHECK(node.hosting(scheduler) == Hosting::shadow);
}

TEST_CASE("a node that is fenced or leaving promotes nothing, and what is promoted goes") {
  auto node = inRescue();
  SUBCASE("fenced") { node.seen.fenced = true; }
  SUBCASE("leaving") { node.seen.leaving = true; }
  node.seen.held = {scheduler};
  node.turn();
  CHECK(node.done() == "demote kube-apiserver");
  node.seen.apiAnswers = false;
  node.slot(apiServer, Slot::rescue) = SlotState::refuses;
  node.turns(30min);
  CHECK(node.done() == "demote kube-apiserver");
  CHECK(node.hosting(apiServer) == Hosting::dormant);
  node.seen.fenced = node.seen.leaving = false;
  node.seen.held = {};
  node.turns(12s);
  CHECK(node.done() == "demote kube-apiserver, promote kube-apiserver");
}

TEST_CASE("a node whose label is gone for ten minutes, as a peer says too, leaves when another guard lives") {
  auto node = inRescue();
  node.seen.membership = Membership::unlabelled;
  node.seen.unlabelledAtPeer = true;
  const auto pass = [&](Duration time, bool guardLives) {
    for (const auto end = node.now + time; node.now < end;) {
      if (guardLives) node.seen.otherGuards["n2"] = std::to_string(node.now.count());
      node.turn();
    }
  };
  SUBCASE("it leaves") {
    pass(10min, true);
    CHECK(node.done() == "");
    pass(1s, true);
    CHECK(node.done() == "demote kube-apiserver");
    CHECK(node.hosting(apiServer) == Hosting::dormant);
    node.seen.membership = Membership::labelled;
    node.seen.unlabelledAtPeer = false;
    pass(2s, true);
    CHECK(node.hosting(apiServer) == Hosting::suspect);
  }
  SUBCASE("not without company") {
    pass(20min, false);
    CHECK(node.done() == "");
  }
  SUBCASE("not by its own API server's word") {
    node.seen.unlabelledAtPeer = false;
    pass(20min, true);
    CHECK(node.done() == "");
  }
  SUBCASE("not where the DaemonSet is gone as well") {
    node.of(apiServer).daemonSet = DaemonSetSeen{};
    pass(20min, true);
    CHECK(node.done() == "");
  }
  SUBCASE("not what is held") {
    node.seen.held = {apiServer};
    pass(20min, true);
    CHECK(node.done() == "");
  }
}

TEST_CASE("a guard that was told to end does nothing more") {
  auto node = withoutApi();
  node.seen.stopping = true;
  node.turns(10min);
  CHECK(node.done() == "");
}

// ---- the standby

TEST_CASE("a revision becomes the standby when it is everywhere and has lasted two minutes here") {
  GuardedNode node;
  node.turns(10min);
  node.of(scheduler).daemonSet = DaemonSetSeen{.exists = true, .slot = Slot::green, .revision = "2"};
  node.slot(scheduler, Slot::green) = SlotState::ready; // beside the old one
  node.turns(30s);
  node.slot(scheduler, Slot::blue) = SlotState::refuses;
  node.of(scheduler).daemonSet->rolledOut = true;
  SUBCASE("then it is written, once") {
    node.turns(90s);
    CHECK(node.done() == "");
    node.turns(60s);
    CHECK(node.done() == "write kube-scheduler");
  }
  SUBCASE("not one that is not everywhere") {
    node.of(scheduler).daemonSet->rolledOut = false;
    node.turns(10min);
    CHECK(node.done() == "");
  }
  SUBCASE("not while an operation is under way, unless it says so") {
    node.seen.plan = Plan::running;
    node.turns(10min);
    CHECK(node.done() == "");
    node.seen.plan = Plan::commits;
    node.seen.planSign = "12:00:00";
    node.turn();
    CHECK(node.done() == "write kube-scheduler");
  }
  SUBCASE("a plan that says so and has no driver any more says nothing") {
    node.seen.plan = Plan::commits;
    node.seen.planSign = "12:00:00"; // and never another
    node.turns(30s);
    CHECK(node.done() == "");
    node.turns(90s);
    CHECK(node.done() == "write kube-scheduler"); // as one that has lasted
  }
  SUBCASE("nor when its driver has fallen silent") {
    node.seen.plan = Plan::commits;
    for (const auto* sign : {"12:00:00", "12:00:10"}) {
      node.seen.planSign = sign;
      node.of(scheduler).daemonSet->rolledOut = false;
      node.turn();
    }
    node.turns(70s);
    node.slot(scheduler, Slot::green) = SlotState::refuses;
    node.turn();
    node.slot(scheduler, Slot::green) = SlotState::ready;
    node.of(scheduler).daemonSet->rolledOut = true;
    node.turns(30s);
    CHECK(node.done() == "");
  }
  SUBCASE("not one that dies in between") {
    node.turns(60s);
    node.slot(scheduler, Slot::green) = SlotState::refuses;
    node.turn();
    node.slot(scheduler, Slot::green) = SlotState::ready;
    node.turns(120s);
    CHECK(node.done() == "");
    node.turn();
    CHECK(node.done() == "write kube-scheduler");
  }
  SUBCASE("not one that no static pod can be made of") {
    node.of(scheduler).daemonSet->unfit = "ports of container kube-scheduler";
    node.turns(10min);
    CHECK(node.done() == "");
    CHECK(node.reports("TemplateUnfit"));
  }
  SUBCASE("also of what is held") {
    node.seen.held = {scheduler};
    node.turns(150s);
    CHECK(node.done() == "promote kube-scheduler, write kube-scheduler");
  }
}

TEST_CASE("what serves beside a rescue is no proof yet") {
  auto node = inRescue();
  node.state.components[apiServer].stable = 15min;
  node.of(apiServer).daemonSet->isStandby = false;
  node.slot(apiServer, Slot::blue) = SlotState::ready;
  node.turns(10min);
  CHECK(node.done() == "");
}
