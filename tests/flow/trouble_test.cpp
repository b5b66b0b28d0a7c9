// What disk, cluster and operator can do to a run: it says so and ends, the next one comes to the same end, and reset to a bare machine.
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
constexpr std::size_t coarse = 6;
#else
constexpr std::size_t coarse = 1;
#endif

Value aBareMachine(Machine& machine) {
  machine.host.put("/proc/self/mounts", "/dev/vda1 / ext4 rw 0 0\n");
  return machine.host.inventory();
}

Lines left(const Value& before, Machine& machine) {
  Lines lines;
  for (const auto& each : plan::deviations(before, machine.host.inventory())) lines.push_back(each.part + " " + each.name + ": " + each.before + " -> " + each.now);
  return lines;
}

bool isOfDisk(const std::string& effect, std::initializer_list<std::string_view> verbs) {
  return std::ranges::any_of(verbs, [&](std::string_view verb) { return effect.starts_with(verb); });
}

/// From the n-th effect on the disk takes nothing more: "No space left on device" refuses what needs room, "Read-only file system" all.
void breakDisk(Machine& machine, std::size_t n, const std::string& how) {
  const auto count = std::make_shared<std::size_t>(0);
  machine.host.onEffect = [=](const std::string& effect) {
    const bool needsRoom = isOfDisk(effect, {"write ", "append ", "make "});
    const bool refused = how == "Read-only file system" ? needsRoom || isOfDisk(effect, {"remove ", "rename ", "mode ", "owner "}) : needsRoom;
    if (++*count >= n && refused) throw Error("cannot " + effect + ": " + how);
  };
}

const std::string kinds[] = {"No space left on device", "Read-only file system"};

/// Whether a call for the cluster is answered by a failure, from the n-th on.
void breakCluster(Machine& machine, std::size_t n, const std::string& how) {
  const auto count = std::make_shared<std::size_t>(0);
  machine.api.intercept = [=, usual = machine.api.intercept](const net::Request& request) -> std::optional<net::Response> {
    if (++*count < n) return usual(request);
    if (how == "hangs") throw net::TransportError(net::TransportError::Kind::timeout, request.url + ": no answer in time");
    return net::Response{.status = 500, .headers = {}, .body = R"({"kind":"Status","apiVersion":"v1","status":"Failure","message":"etcdserver: request timed out","code":500})"};
  };
}

} // namespace

TEST_CASE("init on a disk that takes no more says so; with room again it comes to the same end, and reset to a bare machine") {
  Machine whole;
  aBareMachine(whole);
  whole.init();
  const auto expected = endState(whole);
  for (const auto& how : kinds)
    for (std::size_t n = 1; n < 150; n += 7 * coarse) {
      CAPTURE(how);
      CAPTURE(n);
      Machine again, gone;
      const auto before = aBareMachine(again);
      aBareMachine(gone);
      for (auto* machine : {&again, &gone}) {
        breakDisk(*machine, n, how);
        CHECK(machine->initFails().find(how) != std::string::npos);
        machine->host.onEffect = nullptr;
      }
      CHECK(again.initFails() == "");
      CHECK(differing(expected, endState(again)) == Lines{});
      CHECK(gone.resetFails() == "");
      CHECK(left(before, gone) == Lines{});
    }
}

TEST_CASE("join on a disk that takes no more says so; with room again it comes to the same end, and reset to a bare machine") {
  for (const auto role : {Role::worker, Role::controlPlane}) {
    Joining whole(role);
    aBareMachine(whole.machine);
    REQUIRE(whole.joinFails() == "");
    const auto expected = endState(whole.machine);
    for (const auto& how : kinds)
      for (std::size_t n = 1; n < (role == Role::worker ? 20u : 90u); n += 5 * coarse) {
        CAPTURE(how);
        CAPTURE(n);
        Joining again(role), gone(role);
        const auto before = aBareMachine(again.machine);
        aBareMachine(gone.machine);
        for (auto* joining : {&again, &gone}) {
          breakDisk(joining->machine, n, how);
          CHECK(joining->joinFails().find(how) != std::string::npos);
          joining->machine.host.onEffect = nullptr;
        }
        CHECK(again.joinFails() == "");
        CHECK(differing(expected, endState(again.machine)) == Lines{});
        CHECK(gone.machine.resetFails() == "");
        CHECK(left(before, gone.machine) == Lines{});
      }
  }
}

TEST_CASE("reset on a disk that takes no more says what is left, and the next one ends the work") {
  for (const auto& how : kinds)
    for (std::size_t n = 1; n < 45; n += 7 * coarse) {
      CAPTURE(how);
      CAPTURE(n);
      Machine machine;
      const auto before = aBareMachine(machine);
      machine.init();
      breakDisk(machine, n, how);
      const auto failure = machine.resetFails();
      machine.host.onEffect = nullptr;
      CHECK(failure.find(how) != std::string::npos);
      CHECK(machine.resetFails() == "");
      CHECK(left(before, machine) == Lines{});
    }
}

TEST_CASE("a cluster that answers 500, or hangs, ends an init; when it answers again the next one goes on, and reset comes to a bare machine") {
  Machine whole;
  aBareMachine(whole);
  whole.init();
  const auto expected = endState(whole);
  for (const std::string how : {"500", "hangs"})
    for (std::size_t n = 1; n < 60; n += 9 * coarse) {
      CAPTURE(how);
      CAPTURE(n);
      Machine again, gone;
      const auto before = aBareMachine(again);
      aBareMachine(gone);
      const auto usual = again.api.intercept;
      for (auto* machine : {&again, &gone}) {
        breakCluster(*machine, n, how);
        CHECK(machine->initFails() != "");
      }
      again.api.intercept = usual;
      CHECK(again.initFails() == "");
      CHECK(differing(expected, endState(again)) == Lines{});
      CHECK(gone.resetFails() == ""); // while it fails still
      CHECK(left(before, gone) == Lines{});
    }
}

TEST_CASE("a cluster that answers 500, or hangs, at whatever moment of a forced reset, keeps no machine a node") {
  for (const std::string how : {"500", "hangs"})
    for (std::size_t n = 1; n < 13; n += coarse) {
      CAPTURE(how);
      CAPTURE(n);
      Joining joining(Role::controlPlane);
      auto& machine = joining.machine;
      const auto before = aBareMachine(machine);
      REQUIRE(joining.joinFails() == "");
      breakCluster(machine, n, how);
      const auto began = machine.host.now;
      CHECK(machine.resetFails() == "");
      CHECK(left(before, machine) == Lines{});
      CHECK(machine.host.now - began < std::chrono::minutes(5)); // of the machine in memory: patience has an end
      CHECK(std::ranges::any_of(machine.listener.lines, [](const auto& line) { return line.find("warning: ") != std::string::npos; }));
    }
}

TEST_CASE("a cluster that answers 500, or hangs, ends a join; when it answers again the next one goes on") {
  for (const auto role : {Role::worker, Role::controlPlane}) {
    Joining whole(role);
    aBareMachine(whole.machine);
    REQUIRE(whole.joinFails() == "");
    const auto expected = endState(whole.machine);
    for (const std::string how : {"500", "hangs"})
      for (std::size_t n = 1; n < 12; n += 2 * coarse) {
        CAPTURE(how);
        CAPTURE(n);
        Joining joining(role);
        aBareMachine(joining.machine);
        const auto usual = joining.machine.api.intercept;
        breakCluster(joining.machine, n, how);
        const auto failure = joining.joinFails();
        joining.machine.api.intercept = usual;
        if (role == Role::controlPlane) CHECK(failure != "");
        CHECK(joining.joinFails() == "");
        CHECK(differing(expected, endState(joining.machine)) == Lines{});
      }
  }
}

TEST_CASE("a join that the operator interrupts says so, and the next one comes to the same end") {
  for (const auto role : {Role::worker, Role::controlPlane}) {
    Joining whole(role);
    aBareMachine(whole.machine);
    REQUIRE(whole.joinFails() == "");
    const auto expected = endState(whole.machine);
    unsigned interrupted = 0;
    for (unsigned n = 0;; n += 7 * coarse) {
      Joining joining(role);
      aBareMachine(joining.machine);
      joining.machine.clock.interruptAtSleep = n;
      CAPTURE(n);
      try {
        joining.join();
        break;
      } catch (const Interrupted& error) {
        CHECK(error.exitCode() == ExitCode::interrupted);
        ++interrupted;
      }
      CHECK(joining.joinFails() == "");
      CHECK(differing(expected, endState(joining.machine)) == Lines{});
    }
    CHECK(interrupted > 0);
  }
}
