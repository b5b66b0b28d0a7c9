#include "phases/preflight_checks.hpp"

namespace kubestrap::phases {

namespace {

using namespace std::chrono_literals;

/// etcd complains of a peer whose clock differs by more (etcd: rafthttp/probing_status.go).
constexpr Duration etcdTolerates = 1s;
/// Certificates of a cluster begin five minutes before they are signed (kube-controller-manager: signer backdating).
constexpr Duration certificatesTolerate = 5min;

} // namespace

Observations clock(const Setup&, const Facts& facts) {
  const auto& clock = facts.clock;
  if (clock.ahead) {
    const auto behind = *clock.ahead < Duration::zero();
    const auto distance = behind ? -*clock.ahead : *clock.ahead;
    // What the measurement cannot tell is not held against the machine.
    const auto certain = distance - clock.uncertainty;
    const auto evidence = fmt::format("this machine's clock is {} {} of that of {} (give or take {})",
                                      humanDuration(distance), behind ? "behind" : "ahead", clock.comparedWith,
                                      humanDuration(clock.uncertainty));
    if (certain > certificatesTolerate) return {error(evidence + "; certificates of the one are not valid for the other")};
    if (certain > etcdTolerates) return {warning(evidence)};
  }
  if (clock.synchronised && !*clock.synchronised)
    return {warning("nothing keeps this machine's clock: the kernel says that it is not synchronised")};
  return {};
}

} // namespace kubestrap::phases
