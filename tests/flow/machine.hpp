#pragma once
// A whole machine in memory on which the real engine runs `init`: files, services, runtime, API server, and a kubelet
// that brings the control plane up when it finds what it needs. Time passes only when somebody sleeps or has an effect.

#include "config/load.hpp"
#include "phases/workflows.hpp"
#include "plan/run.hpp"
#include "tests/fakes/fake_api.hpp"
#include "tests/fakes/fake_cri.hpp"
#include "tests/fakes/fake_host.hpp"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace kubestrap::flow {

/// Jumps instead of waiting.
class JumpingClock : public plan::Clock {
public:
  explicit JumpingClock(fakes::FakeHost& host) : host_(host) {}
  TimePoint now() const override { return host_.now; }
  void sleep(Duration duration) override;

  std::function<void()> onSleep;            ///< after the jump
  std::optional<unsigned> interruptAtSleep; ///< the n-th sleep from now throws Interrupted

private:
  fakes::FakeHost& host_;
};

/// The same bytes in every program, never the same twice in one.
class SteadyEntropy : public plan::Entropy {
public:
  std::string bytes(std::size_t count) override;

private:
  std::size_t block_ = 0;
};

/// What was told, one line an event: "[certs/ca] created certificate ca (missing)".
class Listener : public plan::Reporter {
public:
  std::vector<std::string> lines;
  std::vector<std::string> waits; ///< "subject: what was seen", each change once
  std::string previews;

  void phaseBegins(std::string_view, std::string_view) override {}
  void phaseEnds(std::string_view) override {}
  void phaseSkipped(std::string_view phase) override;
  void planned(std::string_view phase, const plan::Change& change) override;
  void done(std::string_view phase, const plan::Change& change, Duration took) override;
  void waiting(std::string_view phase, const plan::Change& change, Duration, Duration, std::string_view seen) override;
  void warning(std::string_view phase, std::string_view text) override;
};

inline constexpr const char* kCertificateKey = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
inline constexpr const char* kTokenSecret = "0123456789abcdef";

/// How long after the kubelet's start something happens.
struct Timetable {
  Duration kubeletHealthy = std::chrono::seconds(1);
  Duration clientCertificate = std::chrono::seconds(2);
  Duration apiServer = std::chrono::seconds(3);
  Duration others = std::chrono::seconds(4); ///< controller-manager, scheduler
  Duration node = std::chrono::seconds(5);
};
inline constexpr Duration kNever = std::chrono::hours(1000000);

class Machine {
public:
  Machine();
  Machine(const Machine&) = delete;

  fakes::FakeHost host;
  fakes::FakeCri cri{&host};
  fakes::FakeApi api;
  net::Transport* http = &api; ///< by which the world is reached
  JumpingClock clock{host};
  SteadyEntropy entropy;
  Listener listener;
  Timetable timetable;
  std::string version = "v1.37.2"; ///< of Kubernetes
  plan::Selection selection;
  std::function<void(config::Setup&)> adjust; ///< changes what was asked for

  /// The world as it is now; a kubelet, once started, goes on with its work.
  void settle();
  /// As its kubelet does where an API server takes it.
  void registerNode();

  config::Setup setup();
  plan::Outcome plan();
  plan::Outcome init();
  /// The message and hint of the Error with which init ends; "" when it does not.
  std::string initFails();
  /// Runs init until its n-th effect, on this machine or in the cluster, is about to happen; false when it ended
  /// before.
  bool initStoppedAt(std::size_t n);

  /// Makes it a bare machine again; `force` goes on where the cluster ends with it.
  enum class Force { no, yes };
  plan::Outcome reset(Force force = Force::yes, plan::Mode mode = plan::Mode::apply);
  std::string resetFails(Force force = Force::yes);
  bool resetStoppedAt(std::size_t n);
  plan::Selection resetSelection;
  std::function<void(config::Setup&)> adjustReset;

  /// Effects on machine and cluster, in order: "write /etc/...", "start kubelet", "PATCH /api/v1/...".
  const std::vector<std::string>& effects() const { return host.effects; }
  std::size_t effectsOf(const std::function<void()>& body);

private:
  plan::Outcome run(plan::Mode mode);
  bool isRescued(const std::string& component) const;
  bool runs(const std::string& component) const;
};

/// The verdicts that are not keep, as "phase: verb subject (reason)".
std::vector<std::string> changesOf(const plan::Outcome& outcome);

} // namespace kubestrap::flow
