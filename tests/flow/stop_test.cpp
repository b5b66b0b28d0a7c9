// The promise behind "run it again": wherever a run was stopped, the next one comes to the same end.
#include "tests/flow/end_state.hpp"
#include "tests/lines.hpp"

#include <doctest/doctest.h>

using namespace kubestrap;
using namespace kubestrap::flow;

namespace {

/// The sanitizers look at how the engine runs, which a sample shows; where it may be stopped is looked at without them.
#ifdef __SANITIZE_ADDRESS__
constexpr unsigned stride = 6;
#else
constexpr unsigned stride = 1;
#endif

void withUploadedCertificates(config::Setup& setup) { setup.request.uploadCerts = true; }

std::map<std::string, std::string> undisturbedEnd() {
  Machine machine;
  machine.adjust = withUploadedCertificates;
  machine.init();
  return endState(machine);
}

} // namespace

// ---- every effect in turn: a quarter of them in each case, so that they can run side by side

namespace {

void killedBeforeEveryFourth(std::size_t first) {
  const auto expected = undisturbedEnd();
  std::size_t n = first;
  for (;; n += 4 * stride) {
    Machine machine;
    machine.adjust = withUploadedCertificates;
    if (!machine.initStoppedAt(n)) break;
    const auto next =
        machine.effects().empty() ? "the first effect" : "what follows \"" + machine.effects().back() + "\"";
    CAPTURE(n);
    CAPTURE(next);
    CHECK(machine.initFails() == "");
    CHECK(differing(expected, endState(machine)) == Lines{});
    if (n % 8 == first) CHECK(changesOf(machine.plan()) == Lines{});
  }
  CHECK(n > 150);
}

} // namespace

TEST_CASE("a run that is killed before its first, fifth, ... effect and run again comes to the same end") {
  killedBeforeEveryFourth(1);
}
TEST_CASE("a run that is killed before its second, sixth, ... effect and run again comes to the same end") {
  killedBeforeEveryFourth(2);
}
TEST_CASE("a run that is killed before its third, seventh, ... effect and run again comes to the same end") {
  killedBeforeEveryFourth(3);
}
TEST_CASE("a run that is killed before its fourth, eighth, ... effect and run again comes to the same end") {
  killedBeforeEveryFourth(4);
}

TEST_CASE("a run that is killed twice comes to the same end") {
  const auto expected = undisturbedEnd();
  for (std::size_t n = 3; n < 200; n += 17 * stride) {
    Machine machine;
    machine.adjust = withUploadedCertificates;
    CAPTURE(n);
    machine.initStoppedAt(n);
    machine.initStoppedAt(1 + n % 7);
    CHECK(machine.initFails() == "");
    CHECK(differing(expected, endState(machine)) == Lines{});
  }
}

TEST_CASE("a run that the operator interrupts says so, and the next one comes to the same end") {
  const auto expected = undisturbedEnd();
  unsigned interrupted = 0;
  for (unsigned n = 0;; n += 13 * stride) {
    Machine machine;
    machine.adjust = withUploadedCertificates;
    machine.clock.interruptAtSleep = n;
    CAPTURE(n);
    try {
      machine.init();
      break;
    } catch (const Error& error) {
      CHECK(error.exitCode() == ExitCode::interrupted);
      ++interrupted;
    }
    machine.clock.interruptAtSleep.reset();
    CHECK(machine.initFails() == "");
    CHECK(differing(expected, endState(machine)) == Lines{});
  }
  CHECK(interrupted > 10 / stride);
}

TEST_CASE("a machine that lost its power after the kubelet's start is taken up where it was") {
  const auto expected = undisturbedEnd();
  Machine machine;
  machine.adjust = withUploadedCertificates;
  machine.selection.skip = {"addon"};
  machine.init();
  machine.host.services["kubelet"] = {
      .exists = true, .enabled = true, .active = "inactive", .sub = "dead", .result = "success"};
  machine.selection.skip = {};
  CHECK(machine.initFails() == "");
  CHECK(differing(expected, endState(machine)) == Lines{});
}
