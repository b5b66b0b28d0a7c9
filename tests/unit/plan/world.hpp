#pragma once
// A small world for the engine's parts: a machine, a runtime and an API server in memory, and a clock that jumps.

#include "plan/kinds.hpp"
#include "tests/fakes/fake_api.hpp"
#include "tests/fakes/fake_cri.hpp"
#include "tests/fakes/fake_host.hpp"

namespace kubestrap::plan {

struct JumpingClock : Clock {
  explicit JumpingClock(fakes::FakeHost& machine) : host(machine) {}
  TimePoint now() const override { return host.now; }
  void sleep(Duration duration) override {
    if (stopped) throw Interrupted();
    host.now += duration;
    ++sleeps;
  }
  fakes::FakeHost& host;
  bool stopped = false;
  unsigned sleeps = 0;
};

struct CountingEntropy : Entropy {
  std::string bytes(std::size_t count) override { return std::string(count, static_cast<char>(next++)); }
  unsigned char next = 1;
};

struct SmallWorld {
  fakes::FakeHost host;
  fakes::FakeCri cri{&host};
  fakes::FakeApi api;
  JumpingClock clock{host};
  CountingEntropy entropy;
  World world{host, cri, api, clock, entropy};

  Context applying(Duration patience = std::chrono::seconds(60)) {
    return {.world = world,
            .applying = true,
            .apiPatience = patience,
            .phase = "test",
            .reporter = nullptr,
            .keys = nullptr};
  }
  Context looking() {
    return {
        .world = world, .applying = false, .apiPatience = {}, .phase = "test", .reporter = nullptr, .keys = nullptr};
  }

  /// Compares, enacts, and compares again: the verdict before, "verb (reason)"; the one after must be keep.
  template <typename Kind> std::string make(const Kind& wanted);
};

inline std::string verdict(const Change& change) {
  return std::string(futureTense(change.verb)) + (change.reason.empty() ? "" : " (" + change.reason + ")");
}

template <typename Kind> std::string SmallWorld::make(const Kind& wanted) {
  const auto change = diff(wanted, applying());
  if (change.changes()) enact(wanted, change, applying());
  if (const auto after = diff(wanted, looking()); after.changes())
    return verdict(change) + ", and then still " + verdict(after);
  return verdict(change);
}

/// The message of the Error with which `body` ends, "" when it does not.
template <typename Body> std::string messageOf(Body&& body) {
  try {
    body();
    return {};
  } catch (const Error& error) {
    return error.message();
  }
}

} // namespace kubestrap::plan
