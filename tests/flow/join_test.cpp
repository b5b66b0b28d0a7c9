// What init promises holds for a machine that joins: wherever it was stopped, the next run comes to the same end, and reset makes the
// machine what it was, and the cluster what it was without it.
#include "tests/flow/end_state.hpp"
#include "tests/flow/joining.hpp"
#include "tests/lines.hpp"

#include "plan/recorded.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <memory>

using namespace kubestrap;
using namespace kubestrap::flow;

namespace {

using Role = Joining::Role;

#ifdef __SANITIZE_ADDRESS__
constexpr std::size_t stride = 9;
#else
constexpr std::size_t stride = 1;
#endif

Value aBareMachine(Joining& joining) {
  joining.machine.host.put("/proc/self/mounts", "/dev/vda1 / ext4 rw 0 0\n");
  return joining.machine.host.inventory();
}

Lines members(const Joining& joining) {
  Lines lines;
  for (const auto& member : joining.etcd.members) lines.push_back(member.name + (member.learner ? " (learner)" : ""));
  return lines;
}

Lines left(const Value& before, Machine& machine) {
  Lines lines;
  for (const auto& each : plan::deviations(before, machine.host.inventory())) lines.push_back(each.part + " " + each.name + ": " + each.before + " -> " + each.now);
  return lines;
}

void joinsAgainWhereverItWasKilled(Role role, std::size_t atLeast) {
  Joining whole(role);
  aBareMachine(whole);
  REQUIRE(whole.joinFails() == "");
  const auto expected = endState(whole.machine);
  std::size_t n = 1;
  for (;; n += stride) {
    Joining joining(role);
    aBareMachine(joining);
    if (!joining.joinStoppedAt(n)) break;
    const auto next = joining.machine.effects().empty() ? "the first effect" : "what follows \"" + joining.machine.effects().back() + "\"";
    CAPTURE(n);
    CAPTURE(next);
    CHECK(joining.joinFails() == "");
    CHECK(differing(expected, endState(joining.machine)) == Lines{});
    CHECK(members(joining) == members(whole));
  }
  CHECK(n > atLeast);
}

void leavesWhereverItWasKilled(Role role, std::size_t atLeast) {
  std::size_t n = 1;
  for (;; n += stride) {
    Joining joining(role);
    const auto before = aBareMachine(joining);
    if (!joining.joinStoppedAt(n)) break;
    const auto next = joining.machine.effects().empty() ? "the first effect" : "what follows \"" + joining.machine.effects().back() + "\"";
    CAPTURE(n);
    CAPTURE(next);
    CHECK(joining.machine.resetFails(Machine::Force::no) == "");
    CHECK(left(before, joining.machine) == Lines{});
    CHECK(members(joining) == Lines{"n2"});
    if (role == Role::controlPlane) CHECK_FALSE(joining.machine.api.object("/api/v1/nodes/n1"));
  }
  CHECK(n > atLeast);
}

} // namespace

TEST_CASE("a control plane joins, its member of etcd votes, and a second run finds nothing to do") {
  Joining joining(Role::controlPlane);
  REQUIRE(joining.joinFails() == "");
  CHECK(members(joining) == Lines{"n2", "n1"});
  CHECK_FALSE(joining.join().changed());
}

TEST_CASE("a worker has joined when the cluster has its Node, and not when it has its certificate only") {
  Joining joining(Role::worker);
  REQUIRE(joining.joinFails() == "");
  CHECK(joining.machine.api.object("/api/v1/nodes/n1"));
  CHECK_FALSE(joining.join().changed());
  Joining unregistered(Role::worker);
  unregistered.machine.timetable.node = kNever;
  CHECK(unregistered.joinFails() == "gave up after 5m waiting until the cluster has the node n1: not there yet; look at: journalctl -u kubelet");
}

TEST_CASE("a join that goes on with another token, since the first has ended, gives the kubelet that one") {
  for (const auto role : {Role::worker, Role::controlPlane}) {
    const std::string file = "/etc/kubernetes/bootstrap-kubelet.conf";
    std::unique_ptr<Joining> begun;
    for (std::size_t n = 1; !begun || !begun->machine.host.files.contains(file); ++n) {
      begun = std::make_unique<Joining>(role);
      REQUIRE(begun->joinStoppedAt(n));
    }
    auto& joining = *begun;
    REQUIRE(joining.machine.host.text(file).find("abcdef.0123456789abcdef") != std::string::npos);
    joining.token = "fedcba.0123456789abcdef";
    bool given = false;
    const auto settle = joining.machine.clock.onSleep;
    joining.machine.clock.onSleep = [&] {
      given = given || (joining.machine.host.files.contains(file) && joining.machine.host.text(file).find("fedcba.0123456789abcdef") != std::string::npos);
      settle();
    };
    CHECK(joining.joinFails() == "");
    CHECK(given);
  }
}

TEST_CASE("where no pod of etcd is told of yet, its member is found by the control plane's address") {
  Joining joining(Role::controlPlane);
  joining.machine.api.remove("/api/v1/namespaces/kube-system/pods/etcd-n2");
  auto node = *joining.machine.api.object("/api/v1/nodes/n2");
  node["status"]["addresses"] = Value::array({{{"type", "InternalIP"}, {"address", "10.0.0.12"}}});
  joining.machine.api.put(node);
  REQUIRE(joining.joinFails() == "");
  CHECK(members(joining) == Lines{"n2", "n1"});
}

TEST_CASE("a learner that serves nobody, having its own announcement by a snapshot, is begun anew once; one that still does not is promoted") {
  for (const bool helps : {true, false}) {
    CAPTURE(helps);
    Joining joining(Role::controlPlane);
    auto& cri = joining.machine.cri;
    cri.found.push_back({.id = "etcd-1", .podName = "etcd-n1", .podNamespace = "kube-system", .name = "etcd", .state = host::Container::State::running});
    Lines promotions;
    const auto effect = joining.etcd.onChange;
    joining.etcd.onChange = [&](const std::string& change) {
      effect(change);
      for (const auto& member : joining.etcd.members)
        if (change.starts_with("promote")) promotions.push_back(member.name + (member.silent ? " serves nobody" : " serves"));
    };
    const auto settle = joining.machine.clock.onSleep;
    joining.machine.clock.onSleep = [&] {
      settle();
      for (auto& member : joining.etcd.members)
        if (member.name == "n1") member.silent = !helps || cri.effects.empty();
    };
    REQUIRE(joining.joinFails() == "");
    CHECK(cri.effects == Lines{"stop container etcd-1"});
    CHECK(promotions == Lines{"n2 serves", helps ? "n1 serves" : "n1 serves nobody"});
  }
}

TEST_CASE("a worker's join that is killed before any effect and run again comes to the same end") { joinsAgainWhereverItWasKilled(Role::worker, 15); }
TEST_CASE("a control plane's join that is killed before any effect and run again comes to the same end") {
  joinsAgainWhereverItWasKilled(Role::controlPlane, 60);
}
TEST_CASE("wherever a worker's join was killed, reset leaves the machine as it was") { leavesWhereverItWasKilled(Role::worker, 15); }
TEST_CASE("wherever a control plane's join was killed, reset leaves machine, etcd and cluster as they were") {
  leavesWhereverItWasKilled(Role::controlPlane, 60);
}

TEST_CASE("a member that etcd cannot spare yet is taken out when it can") {
  Joining joining(Role::controlPlane);
  const auto before = aBareMachine(joining);
  REQUIRE(joining.joinFails() == "");
  joining.etcd.refusals = 3;
  CHECK(joining.machine.resetFails(Machine::Force::no) == "");
  CHECK(members(joining) == Lines{"n2"});
  CHECK(left(before, joining.machine) == Lines{});
}

TEST_CASE("a control plane leaves by another one's API server, of which cluster-info tells: its own ends with its member of etcd") {
  Joining joining(Role::controlPlane);
  REQUIRE(joining.joinFails() == "");
  auto& api = joining.machine.api;
  const auto own = "/api/v1/namespaces/kube-system/pods/kube-apiserver-n2"; // pods of the layout hosted do not say where they serve
  REQUIRE(api.object(own));
  api.put({{"apiVersion", "v1"}, {"kind", "Pod"}, {"metadata", {{"name", "kube-apiserver-n2"}, {"namespace", "kube-system"}}}, {"spec", {{"nodeName", "n2"}}}});
  api.put({{"apiVersion", "v1"}, {"kind", "ConfigMap"}, {"metadata", {{"name", "cluster-info"}, {"namespace", "kube-public"}}}, {"data", {{"api-server.n2", "10.0.0.12:6443"}}}});
  api.reachable = [&](const net::Request& request) { return request.url.starts_with("https://10.0.0.12:6443") || members(joining) == Lines{"n2", "n1"}; };
  CHECK(joining.machine.resetFails(Machine::Force::no) == "");
  CHECK(members(joining) == Lines{"n2"});
}

TEST_CASE("a control plane whose member etcd never spares is kept, unless it is forced") {
  Joining joining(Role::controlPlane);
  const auto before = aBareMachine(joining);
  REQUIRE(joining.joinFails() == "");
  joining.etcd.refusals = 1000000;
  CHECK(joining.machine.resetFails(Machine::Force::no).find("unhealthy cluster") != std::string::npos);
  CHECK(joining.machine.host.files.contains("/etc/kubernetes/manifests/etcd.yaml"));
  CHECK(joining.machine.resetFails(Machine::Force::yes) == "");
  CHECK(left(before, joining.machine) == Lines{});
}

TEST_CASE("wherever the reset of a control plane was killed, the next one comes to the same end") {
  std::size_t n = 1;
  for (;; n += stride) {
    Joining joining(Role::controlPlane);
    const auto before = aBareMachine(joining);
    REQUIRE(joining.joinFails() == "");
    if (!joining.machine.resetStoppedAt(n)) break;
    const auto next = "what follows \"" + joining.machine.effects().back() + "\"";
    CAPTURE(n);
    CAPTURE(next);
    CHECK(joining.machine.resetFails(Machine::Force::no) == "");
    CHECK(left(before, joining.machine) == Lines{});
    CHECK(members(joining) == Lines{"n2"});
  }
  CHECK(n > 30);
}
