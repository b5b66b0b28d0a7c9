// Which evidence ends a wait, and which does not: the tables are the specification.
#include "plan/fatal_signs.hpp"

#include <doctest/doctest.h>

using namespace kubestrap;
using namespace kubestrap::plan;
using host::Container;
using Lines = std::vector<std::string>;

namespace {

host::ServiceState state(std::string active, std::string sub, unsigned restarts, int exitStatus = 1) {
  return {.exists = true,
          .enabled = true,
          .active = std::move(active),
          .sub = std::move(sub),
          .result = "exit-code",
          .exitStatus = exitStatus,
          .restarts = restarts};
}

std::string causeOf(const std::optional<Failure>& failure) { return failure ? failure->cause : ""; }

Container container(Container::State state, unsigned attempt, int exitCode = 1) {
  return {.id = "c" + std::to_string(attempt),
          .podNamespace = "kube-system",
          .name = "kube-apiserver",
          .state = state,
          .attempt = attempt,
          .exitCode = exitCode,
          .reason = "Error",
          .logPath = "/var/log/pods/kube-system_kube-apiserver-n1_1/kube-apiserver/2.log"};
}

constexpr auto exited = Container::State::exited;
constexpr auto running = Container::State::running;

} // namespace

TEST_CASE("which state of a unit ends a wait") {
  struct Row {
    std::string what;
    host::ServiceState state;
    Duration watched;
    Lines log;
    std::string cause; // "": goes on waiting
  };
  const Lines quiet{"I0101 starting", "I0101 stopped"};
  const Row rows[] = {
      {"runs", state("active", "running", 0), std::chrono::seconds(60), {"E0101 err=x"}, ""},
      {"ended once, and says nothing of use", state("activating", "auto-restart", 1), std::chrono::seconds(2), quiet,
       ""},
      {"ended once, long ago, and runs", state("active", "running", 1), std::chrono::seconds(30), quiet, ""},
      {"ended often, and runs", state("active", "running", 5), std::chrono::seconds(30),
       {"E0101 err=\"failed to run Kubelet: validate service connection: validate CRI v1 runtime API for endpoint\""}, ""},
      {"keeps ending", state("activating", "auto-restart", 3), std::chrono::seconds(2), quiet,
       "the kubelet ends again and again (exit-code, exit status 1)"},
      {"waits to be restarted for seconds", state("activating", "auto-restart", 1), std::chrono::seconds(6), quiet,
       "the kubelet ends again and again (exit-code, exit status 1)"},
      {"has not said why yet, since it ended before it was looked at",
       state("activating", "auto-restart", 0),
       std::chrono::seconds(9),
       {},
       ""},
      {"never says why",
       state("activating", "auto-restart", 1),
       std::chrono::seconds(16),
       {"kubelet.service: Failed with result 'exit-code'."},
       "the kubelet ends again and again (exit-code, exit status 1)"},
      {"was given up by systemd", state("failed", "failed", 5), std::chrono::seconds(1), quiet,
       "the kubelet ends again and again (exit-code, exit status 1)"},
      {"is stopped", state("inactive", "dead", 0), std::chrono::seconds(6), quiet, "the kubelet is stopped"},
      {"is stopped this moment", state("inactive", "dead", 0), std::chrono::seconds(1), quiet, ""},
      {"ended once, over its configuration",
       state("activating", "auto-restart", 1),
       std::chrono::seconds(1),
       {"E0101 failed to load kubelet config file, path: /var/lib/kubelet/config.yaml, error: strict decoding error"},
       "the kubelet cannot read its configuration"},
      {"ended once, over a flag",
       state("activating", "auto-restart", 1),
       std::chrono::seconds(1),
       {"E0101 failed to parse kubelet flag: unknown flag: --no-such-flag"},
       "the kubelet was given a flag that it does not know"},
      {"ended once, over swap",
       state("activating", "auto-restart", 1),
       std::chrono::seconds(1),
       {"E0101 \"command failed\" err=\"failed to run Kubelet: running with swap on is not supported, please disable "
        "swap\""},
       "the kubelet refuses to run while swap is on"},
      {"ended once, over cgroup v1",
       state("activating", "auto-restart", 1),
       std::chrono::seconds(1),
       {"E0101 err=\"failed to validate kubelet configuration: kubelet is configured to not run on a host using cgroup "
        "v1.\""},
       "the kubelet refuses cgroup v1, which this machine uses"},
      {"ended once, without a runtime",
       state("activating", "auto-restart", 1),
       std::chrono::seconds(1),
       {"E0101 err=\"failed to run Kubelet: validate service connection: validate CRI v1 runtime API for endpoint\""},
       "the kubelet cannot talk to the container runtime"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.what);
    CHECK(causeOf(judge(UnitEvidence{"kubelet", row.state, row.log, row.watched})) == row.cause);
  }
}

TEST_CASE("the evidence of a unit is what it said itself, not what the service manager says of every end") {
  const Lines log{"kubelet: error while loading shared libraries: libx.so",
                  "kubelet.service: Main process exited, code=exited, status=127/n/a",
                  "kubelet.service: Failed with result 'exit-code'.",
                  "Started kubelet.service - kubelet: The Kubernetes Node Agent."};
  const auto failure =
      judge(UnitEvidence{"kubelet", state("activating", "auto-restart", 2, 127), log, std::chrono::seconds(12)});
  REQUIRE(failure);
  CHECK(failure->evidence == "kubelet: error while loading shared libraries: libx.so");
}

TEST_CASE("which end of a static pod's container ends a wait") {
  struct Row {
    std::string what;
    std::vector<Container> containers;
    Lines log;
    std::string cause;
  };
  const Lines quiet{"I0101 starting", "Error: context deadline exceeded"};
  const Lines unknownFlag{"I0101 starting", "Error: unknown flag: --no-such-flag", "usage: ..."};
  const Row rows[] = {
      {"it runs", {container(running, 0)}, {}, ""},
      {"a single early exit is no sign: etcd may come later", {container(exited, 0)}, quiet, ""},
      {"one exit, running again", {container(exited, 0), container(running, 1)}, quiet, ""},
      {"two exits", {container(exited, 0), container(exited, 1)}, quiet, ""},
      {"three exits",
       {container(exited, 0), container(exited, 1), container(exited, 2)},
       quiet,
       "kube-apiserver ends again and again (exit code 1, Error)"},
      {"three exits, but it runs now", {container(exited, 1), container(exited, 2), container(running, 3)}, quiet, ""},
      {"the runtime forgot the first ones",
       {container(exited, 4)},
       quiet,
       "kube-apiserver ends again and again (exit code 1, Error)"},
      {"an unknown flag", {container(exited, 0)}, unknownFlag, "kube-apiserver was given a flag that it does not know"},
      {"an unknown flag, but a later one runs", {container(exited, 0), container(running, 1)}, unknownFlag, ""},
      {"a value that a flag refuses",
       {container(exited, 0)},
       {"Error: invalid argument \"x\" for \"--v\" flag: strconv.ParseInt"},
       "kube-apiserver was given a flag with a value that it does not accept"},
      {"an unknown feature gate",
       {container(exited, 0)},
       {"Error: invalid argument \"A=true\" for \"--feature-gates\" flag: unrecognized feature gate: A"},
       "kube-apiserver was given a feature gate that it does not know"},
      {"a taken port",
       {container(exited, 0)},
       {"E0101 \"command failed\" err=\"failed to create listener: failed to listen on 0.0.0.0:6443: bind: address "
        "already in use\""},
       "kube-apiserver cannot listen: its port is taken"},
      {"a missing file",
       {container(exited, 0)},
       {"Error: open /etc/audit.yaml: no such file or directory"},
       "kube-apiserver misses a file"},
      {"a file that is missed early, without harm",
       {container(exited, 0)},
       {"I0101 \"no config\" err=\"open /etc/x.yaml: no such file or directory\"", "W0101 permission denied", quiet.back()},
       ""},
      {"a file that may not be read, at last",
       {container(exited, 0)},
       {"I0101 starting", "E0101 run.go:72] \"command failed\" err=\"open /etc/x.yaml: permission denied\"", "I0101 bye"},
       "kube-apiserver may not read or write a file"},
      {"the data of an earlier cluster",
       {container(exited, 0)},
       {"{\"level\":\"fatal\",\"error\":\"member has already been bootstrapped\"}"},
       "kube-apiserver finds the data of an earlier cluster in its folder"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.what);
    PodEvidence evidence{.component = "kube-apiserver",
                         .image = "registry.k8s.io/kube-apiserver:v1.37.2",
                         .containers = row.containers,
                         .log = row.log,
                         .kubeletLog = {}};
    CHECK(causeOf(judge(evidence)) == row.cause);
  }
}

TEST_CASE("ends before the kubelet's start are not counted") {
  const auto causeAfter = [](unsigned before, unsigned attempt) {
    return causeOf(judge(PodEvidence{.component = "kube-apiserver",
                                     .image = "",
                                     .containers = {container(exited, attempt)},
                                     .startedBefore = before,
                                     .log = {"I0101 bye"},
                                     .kubeletLog = {}}));
  };
  CHECK(causeAfter(6, 6) == "");
  CHECK(causeAfter(6, 7) == "");
  CHECK(causeAfter(6, 8) == "kube-apiserver ends again and again (exit code 1, Error)");
}

TEST_CASE("a container that somebody stopped before the wait is no sign, one that is killed again is") {
  const auto causeOfOne = [](int exitCode, const char* reason, int finished) {
    auto one = container(exited, 5);
    one.exitCode = exitCode;
    one.reason = reason;
    one.finishedAt = TimePoint(std::chrono::seconds(finished));
    return causeOf(judge(PodEvidence{.component = "kube-scheduler", .image = "", .containers = {one}, .log = {"I0101 bye"}, .kubeletLog = {},
                                     .watchedSince = TimePoint(std::chrono::seconds(100))}));
  };
  CHECK(causeOfOne(137, "Error", 99) == "");
  CHECK(causeOfOne(137, "Error", 101) == "kube-scheduler ends again and again (exit code 137, Error)");
  CHECK(causeOfOne(137, "OOMKilled", 99) == "kube-scheduler ends again and again (exit code 137, OOMKilled)");
  CHECK(causeOfOne(1, "Error", 99) == "kube-scheduler ends again and again (exit code 1, Error)");
}

TEST_CASE("what the kubelet says of a static pod that has no container") {
  const auto causeFor = [](const Lines& log, bool imagePresent = false) {
    return causeOf(judge(PodEvidence{.component = "kube-apiserver",
                                     .image = "example.org/kube-apiserver:v1",
                                     .containers = {},
                                     .log = {},
                                     .kubeletLog = log,
                                     .imagePresent = imagePresent}));
  };
  CHECK(causeFor({}) == "");
  CHECK(causeFor({"I0101 SyncLoop ADD kube-apiserver-n1"}) == "");
  CHECK(causeFor({"E0101 pod=\"kube-system/kube-apiserver-n1\" err=\"ErrImagePull: not found\""}) ==
        "the image example.org/kube-apiserver:v1 of kube-apiserver cannot be had");
  CHECK(causeFor({"E0101 pod=\"kube-system/kube-apiserver-n1\" err=\"ImagePullBackOff\"", "I0101 other"}) ==
        "the image example.org/kube-apiserver:v1 of kube-apiserver cannot be had");
  CHECK(causeFor({"E0101 pod=\"kube-system/etcd-n1\" err=\"ErrImagePull: not found\""}) == ""); // another's
  CHECK(causeFor({"E0101 pod=\"kube-system/kube-apiserver-n1\" err=\"ErrImagePull: not found\""}, true) == ""); // imported since
  CHECK(causeFor({"E0101 pod=\"kube-system/kube-apiserver-n1\" err=\"CreateContainerConfigError: x\""}) ==
        "the container of kube-apiserver cannot be made");
  const std::string unmade =
      "E0101 \"Error syncing pod, skipping\" err=\"CreateContainerError: name is reserved\" pod=\"kube-system/kube-apiserver-n1\"";
  CHECK(causeFor({unmade}) == ""); // the kubelet tries it again at once
  CHECK(causeFor({unmade, "I0101 other", unmade}) == "the container of kube-apiserver cannot be made");
}

TEST_CASE("a failure shows the line that tells most, and what to do") {
  const auto failure =
      judge(PodEvidence{.component = "kube-apiserver",
                        .image = "",
                        .containers = {container(exited, 3)},
                        .log = {"I0101 a", "panic: runtime error", "goroutine 1 [running]:", "main.main()"},
                        .kubeletLog = {}});
  REQUIRE(failure);
  CHECK(failure->evidence == "panic: runtime error");
  CHECK(failure->remedy == "its log: /var/log/pods/kube-system_kube-apiserver-n1_1/kube-apiserver/2.log");
}

TEST_CASE("the telling line is the last that speaks of an error, else the last") {
  CHECK(tellingLine({}) == "");
  CHECK(tellingLine({"I1 a", "I2 b"}) == "I2 b");
  CHECK(tellingLine({"E1 err=\"first\"", "E2 err=\"second\"", "I3 bye"}) == "E2 err=\"second\"");
  CHECK(tellingLine({"F0101 cannot go on", "goroutine 1"}) == "F0101 cannot go on");
  CHECK(tellingLine({"Flushing", "Foo"}) == "Foo");
  CHECK(tellingLine({"Error: no", "W1 failed to say goodbye"}) == "Error: no"); // what ends a program before what follows it
  CHECK(tellingLine({"F0101 cannot go on", "panic: x"}) == "F0101 cannot go on");
}
