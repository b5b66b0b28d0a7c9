// Waiting for the control plane: it ends when there is an answer, early when no patience helps, late with a hint.
#include "tests/flow/machine.hpp"
#include "tests/lines.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace kubestrap;
using namespace kubestrap::flow;

namespace {

/// A container of a static pod that ended `after` the kubelet's start.
host::Container ended(Machine& machine, const std::string& component, unsigned attempt, const std::string& log) {
  const auto path = "/var/log/pods/" + component + "/" + std::to_string(attempt) + ".log";
  machine.host.put(path, log);
  return {.id = component + std::to_string(attempt),
          .podName = component + "-n1",
          .podNamespace = "kube-system",
          .name = component,
          .state = host::Container::State::exited,
          .attempt = attempt,
          .exitCode = 1,
          .reason = "Error",
          .logPath = path,
          .createdAt = machine.host.now,
          .finishedAt = machine.host.now};
}

/// Runs `change` once, as soon as the API server is waited for.
void whenApiServerIsWaitedFor(Machine& machine, std::function<void()> change) {
  machine.clock.onSleep = [&machine, change = std::move(change), done = false]() mutable {
    machine.settle();
    const auto& waits = machine.listener.waits;
    if (!done && !waits.empty() && waits.back().starts_with("the API server answers")) {
      done = true;
      change();
    }
  };
}

} // namespace

TEST_CASE("a control plane that comes up slowly is waited for") {
  Machine machine;
  machine.timetable = {.kubeletHealthy = std::chrono::seconds(20),
                       .clientCertificate = std::chrono::seconds(200),
                       .apiServer = std::chrono::seconds(90),
                       .others = std::chrono::seconds(120),
                       .node = std::chrono::seconds(130)};
  CHECK(machine.initFails() == "");
}

TEST_CASE("a kubelet that never gets healthy ends the wait after its time, with where to look") {
  Machine machine;
  machine.timetable.kubeletHealthy = kNever;
  const auto begin = machine.host.now;
  CHECK(machine.initFails() ==
        "gave up after 4m waiting until the kubelet is healthy at http://127.0.0.1:10248/healthz: nobody "
        "listens there yet; look at: journalctl -u kubelet");
  CHECK(machine.host.now - begin < std::chrono::seconds(245));
}

TEST_CASE("the patience of a wait is the configured one, even when each look takes long") {
  Machine machine;
  machine.adjust = [](config::Setup& setup) {
    setup.request.timeouts.controlPlaneComponentHealthCheck = std::chrono::seconds(60);
  };
  machine.api.reachable = [&](const net::Request& request) -> bool {
    machine.host.now += request.timeout;
    throw net::TransportError(net::TransportError::Kind::timeout, request.url + " gave no answer in 10 s");
  };
  const auto begin = machine.host.now;
  const auto error = machine.initFails();
  CAPTURE(error);
  CHECK(error.starts_with("gave up after 60s waiting until the API server answers at https://10.0.0.11:6443/livez: "));
  CHECK(machine.host.now - begin < std::chrono::seconds(75));
}

TEST_CASE("a kubelet that dies over its configuration ends the wait within seconds") {
  Machine machine;
  machine.timetable.kubeletHealthy = kNever;
  machine.host.onServiceAction = [&](const std::string& name, host::Host::ServiceAction action) {
    if (action != host::Host::ServiceAction::restart) return;
    auto& kubelet = machine.host.services[name];
    kubelet.active = "activating", kubelet.sub = "auto-restart", kubelet.result = "exit-code", kubelet.exitStatus = 1;
    kubelet.restarts = 1;
    machine.host.unitLogs[name] = {"I0101 starting",
                                   "E0101 failed to load kubelet config file, path: /var/lib/kubelet/config.yaml"};
  };
  const auto begin = machine.host.now;
  const auto error = machine.initFails();
  CHECK(error.find("in vain: the kubelet cannot read its configuration") != std::string::npos);
  CHECK(error.find("evidence: E0101 failed to load kubelet config file") != std::string::npos);
  CHECK(error.ends_with("look at /var/lib/kubelet/config.yaml"));
  CHECK(machine.host.now - begin < std::chrono::seconds(5));
}

TEST_CASE("an API server that was given an unknown flag ends the wait within seconds of its first exit") {
  Machine machine;
  machine.timetable.apiServer = kNever;
  TimePoint died;
  whenApiServerIsWaitedFor(machine, [&] {
    died = machine.host.now;
    machine.cri.found = {
        ended(machine, "kube-apiserver", 0, "2026-11-22T12:00:00.1Z stderr F Error: unknown flag: --no-such-flag\n")};
  });
  const auto error = machine.initFails();
  CHECK(error.find("in vain: kube-apiserver was given a flag that it does not know") != std::string::npos);
  CHECK(error.find("evidence: Error: unknown flag: --no-such-flag") != std::string::npos);
  CHECK(machine.host.now - died < std::chrono::seconds(3));
}

TEST_CASE("an exit of the moment before the kubelet was restarted for a correction is no reason") {
  Machine machine;
  machine.timetable.apiServer = kNever;
  machine.host.onServiceAction = [&](const std::string&, host::Host::ServiceAction) {
    auto container = ended(machine, "kube-apiserver", 0, "2026-11-22T12:00:00.1Z stderr F Error: unknown flag: --no-such-flag\n");
    container.createdAt -= std::chrono::milliseconds(300);
    machine.cri.found = {container};
  };
  CHECK(machine.initFails().starts_with("gave up after "));
}

TEST_CASE("an etcd whose port is taken is the reason that is told while the API server is waited for") {
  Machine machine;
  machine.timetable.apiServer = kNever;
  whenApiServerIsWaitedFor(machine, [&] {
    machine.cri.found = {
        ended(machine, "etcd", 0,
              "2026-11-22T12:00:00.1Z stderr F {\"level\":\"fatal\",\"error\":\"listen tcp 127.0.0.1:2381: bind: "
              "address already in use\"}\n")};
  });
  CHECK(machine.initFails().find("in vain: etcd cannot listen: its port is taken") != std::string::npos);
}

TEST_CASE("an API server that ends once since etcd was late is waited for") {
  Machine machine;
  machine.timetable.apiServer = std::chrono::seconds(40);
  machine.timetable.others = machine.timetable.node = std::chrono::seconds(45);
  whenApiServerIsWaitedFor(machine, [&] {
    auto running = ended(machine, "kube-apiserver", 1, "");
    running.state = host::Container::State::running;
    machine.cri.found = {
        ended(machine, "kube-apiserver", 0,
              "2026-11-22T12:00:00.1Z stderr F Error: context deadline exceeded: dial tcp 127.0.0.1:2379: connect: "
              "connection refused\n"),
        running};
  });
  CHECK(machine.initFails() == "");
}

TEST_CASE("containers of an earlier attempt are not held against this one") {
  Machine machine;
  machine.timetable.apiServer = std::chrono::seconds(15);
  machine.timetable.others = machine.timetable.node = std::chrono::seconds(16);
  machine.cri.found = {
      ended(machine, "kube-apiserver", 7, "2026-11-22T12:00:00.1Z stderr F Error: unknown flag: --no-such-flag\n")};
  machine.host.now += std::chrono::minutes(1);
  CHECK(machine.initFails() == "");
}

namespace {

/// A machine whose API server ended `attempt` times, and is in the kubelet's back-off for minutes.
struct BackedOff : Machine {
  std::size_t restarts() const { return static_cast<std::size_t>(std::ranges::count(effects(), "restart kubelet")); }

  BackedOff() {
    timetable.apiServer = kNever;
    whenApiServerIsWaitedFor(*this, [this] {
      cri.found = {ended(*this, "kube-apiserver", 0, "2026-11-22T12:00:00.1Z stderr F Error: listen: address already in use\n")};
    });
    CHECK(initFails().find("in vain: kube-apiserver cannot listen") != std::string::npos);
    clock.onSleep = [this] { settle(); };
    host.now += std::chrono::minutes(2);
    cri.found = {ended(*this, "kube-apiserver", 6, "2026-11-22T12:00:00.1Z stderr F Error: listen: address already in use\n")};
    host.now += std::chrono::minutes(2);
    CHECK(restarts() == 1);
  }
  /// What the kubelet, when it is started again, does at once in place of what it would do in minutes.
  void atNextStart(std::function<void()> what) {
    host.onServiceAction = [what = std::move(what)](const std::string&, host::Host::ServiceAction action) {
      if (action == host::Host::ServiceAction::restart) what();
    };
  }
};

} // namespace

TEST_CASE("a second run over a pod in the kubelet's back-off has it tried at once, and tells soon when it fails again") {
  BackedOff machine;
  machine.atNextStart([&] {
    machine.cri.found.push_back(
        ended(machine, "kube-apiserver", 7, "2026-11-22T12:00:00.1Z stderr F Error: listen: address already in use\n"));
  });
  const auto begin = machine.host.now;
  CHECK(machine.initFails().find("in vain: kube-apiserver cannot listen: its port is taken") != std::string::npos);
  CHECK(machine.restarts() == 2);
  CHECK(machine.host.now - begin < std::chrono::seconds(5));
}

TEST_CASE("a second run over a pod in the kubelet's back-off goes on when the cause is gone, even when it ends once more") {
  BackedOff machine;
  machine.atNextStart([&] {
    auto running = ended(machine, "kube-apiserver", 8, "");
    running.state = host::Container::State::running;
    machine.cri.found.push_back(ended(machine, "kube-apiserver", 7, "2026-11-22T12:00:00.1Z stderr F Error: context deadline exceeded\n"));
    machine.cri.found.push_back(running);
    machine.timetable.apiServer = std::chrono::seconds(40);
    machine.timetable.others = machine.timetable.node = std::chrono::seconds(41);
  });
  CHECK(machine.initFails() == "");
  CHECK(machine.restarts() == 2);
  CHECK(changesOf(machine.plan()) == Lines{});
}

TEST_CASE("a plan over a pod in the kubelet's back-off says that the kubelet will be started again, and why") {
  BackedOff machine;
  const auto changes = changesOf(machine.plan());
  CHECK(std::ranges::count(changes, "kubelet-start: start service kubelet (kube-apiserver has ended and is not tried again yet)") == 1);
}

TEST_CASE("who only waits is told what ended before, and how it is tried again") {
  BackedOff machine;
  machine.selection.only = "wait-control-plane";
  const auto begin = machine.host.now;
  const auto error = machine.initFails();
  CHECK(error.find("in vain: kube-apiserver cannot listen: its port is taken") != std::string::npos);
  CHECK(error.find(" ago: if the cause is gone, systemctl restart kubelet lets it try again at once") != std::string::npos);
  CHECK(machine.host.now - begin < std::chrono::seconds(5));
}

TEST_CASE("somebody else's server at the API server's address ends the wait within seconds, with what it shows") {
  Machine machine;
  const auto intercept = machine.api.intercept;
  machine.timetable.apiServer = {};
  machine.api.intercept = [&](const net::Request& request) {
    if (request.url.find("/livez") != std::string::npos)
      throw net::TransportError(net::TransportError::Kind::tls, request.url + ": self-signed certificate");
    return intercept(request);
  };
  const auto begin = machine.host.now;
  const auto error = machine.initFails();
  CHECK(error.find("is in vain: who listens there cannot be trusted") != std::string::npos);
  CHECK(error.find("evidence: https://10.0.0.11:6443/livez: self-signed certificate") != std::string::npos);
  CHECK(error.find("the authority in /etc/kubernetes/super-admin.conf must have signed its certificate") != std::string::npos);
  CHECK(machine.host.now - begin < std::chrono::seconds(8));
}

TEST_CASE("an image that cannot be had ends the wait with the kubelet's words") {
  Machine machine;
  machine.timetable.apiServer = kNever;
  whenApiServerIsWaitedFor(machine, [&] {
    machine.cri.images.erase("registry.k8s.io/kube-apiserver:v1.37.2");
    machine.host.unitLogs["kubelet"] = {
        "I0101 other news",
        "E0101 \"Error syncing pod\" err=\"failed to start container kube-apiserver: ErrImagePull: not found\""};
  });
  const auto error = machine.initFails();
  CHECK(error.find("in vain: the image registry.k8s.io/kube-apiserver:v1.37.2 of kube-apiserver cannot be had") !=
        std::string::npos);
  CHECK(error.find("ErrImagePull: not found") != std::string::npos);
}

TEST_CASE("a runtime that does not answer for a while does not end a wait") {
  Machine machine;
  machine.timetable.apiServer = std::chrono::seconds(15);
  machine.timetable.others = machine.timetable.node = std::chrono::seconds(16);
  whenApiServerIsWaitedFor(machine, [&] { machine.cri.runtime.reachable = false; });
  CHECK(machine.initFails() == "");
}

TEST_CASE("a kubelet that somebody stops ends the wait") {
  Machine machine;
  machine.timetable.apiServer = kNever;
  whenApiServerIsWaitedFor(machine, [&] {
    machine.host.services["kubelet"] = {
        .exists = true, .enabled = true, .active = "inactive", .sub = "dead", .result = "success"};
  });
  const auto begin = machine.host.now;
  CHECK(machine.initFails().find("in vain: the kubelet is stopped") != std::string::npos);
  CHECK(machine.host.now - begin < std::chrono::seconds(20));
}

TEST_CASE("an operator who interrupts a wait ends it") {
  Machine machine;
  machine.timetable.apiServer = kNever;
  whenApiServerIsWaitedFor(machine, [&] { machine.clock.interruptAtSleep = 3; });
  CHECK(machine.initFails() == "interrupted");
}
