// When a kubelet that runs has to be started anew for the sake of its static pods, and what counts as theirs.
#include "tests/unit/plan/world.hpp"

#include "plan/fatal_signs.hpp"
#include "plan/static_pods.hpp"

#include <doctest/doctest.h>

using namespace kubestrap;
using namespace kubestrap::plan;
using namespace std::chrono_literals;
using host::Container;

namespace {

const StaticPod etcdPod{"etcd", "example.org/etcd:3", "/manifests/etcd.yaml"};

/// A kubelet that has run for ten minutes, for nine of them with the manifest of etcdPod.
struct Running : SmallWorld {
  Running() {
    host.now += 10min;
    host.services["kubelet"] = {.exists = true, .enabled = true, .active = "active", .sub = "running", .startedAt = host.now - 10min};
    host.put(etcdPod.manifest, "kind: Pod\n");
    host.files[etcdPod.manifest].modified = host.now - 9min;
  }

  void container(Container::State state, Duration age, unsigned attempt = 0, const std::string& uid = "pod") {
    cri.found.push_back({.id = uid + std::to_string(attempt),
                         .podUid = uid,
                         .podNamespace = "kube-system",
                         .name = "etcd",
                         .state = state,
                         .attempt = attempt,
                         .exitCode = 1,
                         .createdAt = host.now - age,
                         .finishedAt = state == Container::State::exited ? host.now - age + 1s : TimePoint{}});
  }
  void emptyPod(Duration age, bool ready = true) {
    cri.pods.push_back({.id = "s", .uid = "pod", .name = "etcd-n1", .podNamespace = "kube-system", .ready = ready, .createdAt = host.now - age});
  }
  std::string verdictOnKubelet() { return verdict(diff(Service{.name = "kubelet", .restartWhenIdle = {etcdPod}}, looking())); }
};

constexpr auto exited = Container::State::exited;
constexpr auto running = Container::State::running;

} // namespace

TEST_CASE("a kubelet is started again when a pod stands still that its present manifest made") {
  Running machine;
  SUBCASE("its container has ended") {
    machine.container(exited, 3min, 4);
    CHECK(machine.verdictOnKubelet() == "start (etcd has ended and is not tried again yet)");
    CHECK(machine.make(Service{.name = "kubelet", .restartWhenIdle = {}}) == "keep");
  }
  SUBCASE("its image came after the kubelet had looked for it") {
    machine.emptyPod(1min);
    machine.cri.images = {etcdPod.image};
    CHECK(machine.verdictOnKubelet() == "start (etcd waits for its image, which is there)");
  }
}

TEST_CASE("a kubelet is left alone while its pods run or are on their way") {
  Running machine;
  SUBCASE("there is nothing yet") {}
  SUBCASE("it runs") { machine.container(running, 3min); }
  SUBCASE("it runs again") {
    machine.container(exited, 3min, 0);
    machine.container(running, 2min, 1);
  }
  SUBCASE("what ended was made by the manifest before") { machine.container(exited, 10min, 9); }
  SUBCASE("another pod's container has ended, the newest runs") {
    machine.container(exited, 5min, 9, "old");
    machine.container(running, 1min, 0, "new");
  }
  SUBCASE("its image is not there, and may be on its way") { machine.emptyPod(1min); }
  SUBCASE("its container is just being made") {
    machine.emptyPod(2s);
    machine.cri.images = {etcdPod.image};
  }
  SUBCASE("the runtime does not answer") {
    machine.container(exited, 3min, 4);
    machine.cri.runtime.reachable = false;
  }
  SUBCASE("its manifest is gone") {
    machine.container(exited, 3min, 4);
    machine.host.files.erase(etcdPod.manifest);
  }
  CHECK(machine.verdictOnKubelet() == "keep");
}

TEST_CASE("a wait looks at what was made since manifest and kubelet are what they are, however long ago") {
  Running machine;
  Watch watch{.since = machine.host.now};
  const auto cause = [&] {
    const auto failure = look(StaticPodFails{etcdPod}, machine.world, watch);
    return failure ? failure->cause + "; " + failure->remedy : "";
  };
  machine.container(exited, 3min, 7);
  machine.cri.found.back().logPath = "/var/log/pods/etcd.log";
  SUBCASE("ends of minutes ago, with what makes the kubelet try again") {
    CHECK(cause() == "etcd ends again and again (exit code 1); its log: /var/log/pods/etcd.log; it ended 2m59s ago: if the cause is gone, "
                     "systemctl restart kubelet lets it try again at once");
  }
  SUBCASE("not what was before the kubelet's start") {
    machine.host.services["kubelet"].startedAt = machine.host.now - 2min;
    CHECK(cause() == "");
    machine.cri.found.clear(); // the runtime forgets all but the last that ended
    machine.container(exited, 1s, 8);
    CHECK(cause() == "");
    machine.cri.found.clear();
    machine.container(exited, 1s, 10);
    CHECK(cause() == "etcd ends again and again (exit code 1); its log: ");
  }
  SUBCASE("not what another manifest made") {
    machine.host.files[etcdPod.manifest].modified = machine.host.now - 1min;
    CHECK(cause() == "");
  }
}

TEST_CASE("what the kubelet said of an image counts until the image is there") {
  Running machine;
  machine.host.unitLogs["kubelet"] = {"E0101 \"Error syncing pod, skipping\" err=\"ImagePullBackOff\" pod=\"kube-system/etcd-n1\""};
  Watch watch{.since = machine.host.now};
  CHECK(look(StaticPodFails{etcdPod}, machine.world, watch));
  machine.cri.images = {etcdPod.image};
  CHECK_FALSE(look(StaticPodFails{etcdPod}, machine.world, watch));
}
