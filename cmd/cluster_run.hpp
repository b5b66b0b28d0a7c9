#pragma once

#include "cmd/live_view.hpp"
#include "phases/fleet.hpp"
#include "support/error.hpp"
#include "support/time.hpp"
#include "support/value.hpp"

#include <functional>
#include <optional>
#include <stop_token>
#include <vector>

namespace kubestrap::cmd {

/// What became of a step.
struct StepOutcome {
  phases::fleet::State state = phases::fleet::State::waiting;
  Duration took{};
  std::optional<Error> error;
};

/// Does all that can be done, as much at once as may be; a line in the view for each step that ends. What fails keeps only that from being done that
/// needs it. Throws Interrupted when asked to stop, once all that was under way has ended.
std::vector<StepOutcome> carryOut(const phases::fleet::Plan& plan, const std::function<void(const phases::fleet::Step&)>& perform, LiveView& view, std::stop_token stop);

/// The plan by machine, as people read it, and for programs.
std::string planText(const phases::fleet::Wish& wish, const phases::fleet::Plan& plan);
/// That another kubestrap is at work on these machines, and is waited for.
Value waitingEvent(const std::string& busy);
Value planValue(const phases::fleet::Wish& wish, const phases::fleet::Plan& plan);
Value outcomesValue(const phases::fleet::Plan& plan, const std::vector<StepOutcome>& outcomes);
/// All that went wrong, with what to do; empty: nothing did.
std::string failuresText(const phases::fleet::Plan& plan, const std::vector<StepOutcome>& outcomes);

} // namespace kubestrap::cmd
