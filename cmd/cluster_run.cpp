#include "cmd/cluster_run.hpp"

#include "cmd/cluster_fleet.hpp"
#include "cmd/globals.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

namespace kubestrap::cmd {

namespace {

using namespace phases::fleet;
using Clock = std::chrono::steady_clock;

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

std::string_view nameOf(State state) {
  switch (state) {
  case State::waiting: return "waiting";
  case State::running: return "running";
  case State::done: return "done";
  case State::failed: return "failed";
  case State::left: return "not begun";
  }
  return "";
}

class Runner {
public:
  Runner(const Plan& plan, const std::function<void(const Step&)>& perform, LiveView& view, std::stop_token stop)
      : plan_(plan), perform_(perform), view_(view), stop_(std::move(stop)), progress_(plan.steps.size(), State::waiting), outcomes_(plan.steps.size()) {}

  std::vector<StepOutcome> all() {
    std::unique_lock lock(mutex_);
    for (;;) {
      if (!stop_.stop_requested()) begin();
      if (running_ == 0) break;
      changed_.wait(lock);
    }
    lock.unlock();
    threads_.clear();
    if (stop_.stop_requested()) throw Interrupted();
    return std::move(outcomes_);
  }

private:
  void begin() {
    const auto coming = next(plan_, progress_);
    for (const auto& [at, needed] : coming.left) {
      outcomes_[at].error = Error(fmt::format("not begun, since {} has failed on {}", phases::fleet::nameOf(plan_.steps[needed].task), plan_.steps[needed].host));
      ended(at, State::left);
    }
    for (const auto at : coming.begin) {
      if (running_ >= fleetWidth) break;
      progress_[at] = State::running;
      ++running_;
      tell(at, "stepBegins");
      threads_.emplace_back([this, at] { run(at); });
    }
  }

  void run(std::size_t at) {
    const auto began = Clock::now();
    std::optional<Error> error;
    try {
      perform_(plan_.steps[at]);
    } catch (const Error& caught) {
      error = caught;
    } catch (const std::exception& caught) {
      error = Error(caught.what());
    }
    const std::lock_guard lock(mutex_);
    outcomes_[at].took = Clock::now() - began;
    outcomes_[at].error = error;
    --running_;
    ended(at, error ? State::failed : State::done);
    changed_.notify_all();
  }

  void ended(std::size_t at, State state) {
    progress_[at] = outcomes_[at].state = state;
    tell(at, "stepEnds");
  }

  void tell(std::size_t at, std::string_view event) const {
    const auto& step = plan_.steps[at];
    const auto& outcome = outcomes_[at];
    const auto elapsed = seconds(Clock::now() - began_);
    const bool ends = event == "stepEnds";
    const std::string name(phases::fleet::nameOf(step.task));
    if (!ends) view_.begins(step.host, name);
    if (format(globals()) == Format::text) {
      if (!ends) return;
      const auto took = outcome.took > Duration::zero() ? fmt::format(" ({:.1f} s)", seconds(outcome.took)) : "";
      return view_.ends(step.host, name, fmt::format("{:7.1f} s  {}: {} {}{}{}", elapsed, step.host, name, nameOf(outcome.state), took, outcome.state == State::failed ? ": " + outcome.error->message() : ""));
    }
    Value record{{"event", event}, {"host", step.host}, {"step", name}, {"elapsedSeconds", elapsed}};
    if (ends) record["result"] = nameOf(outcome.state), record["seconds"] = seconds(outcome.took);
    if (ends && outcome.error) record["error"] = outcome.error->message();
    if (ends) return view_.ends(step.host, name, record.dump());
    fmt::print(stderr, "{}\n", record.dump());
    std::fflush(stderr);
  }

  const Plan& plan_;
  const std::function<void(const Step&)>& perform_;
  LiveView& view_;
  std::stop_token stop_;
  Clock::time_point began_ = Clock::now();
  std::mutex mutex_;
  std::condition_variable changed_;
  Progress progress_;
  std::vector<StepOutcome> outcomes_;
  std::size_t running_ = 0;
  std::vector<std::jthread> threads_;
};

std::string described(const Step& step) { return std::string(phases::fleet::nameOf(step.task)) + (step.reason.empty() ? "" : " (" + step.reason + ")"); }

std::map<std::string, std::vector<const Step*>> byHost(const Plan& plan) {
  std::map<std::string, std::vector<const Step*>> all;
  for (const auto& step : plan.steps) all[step.host].push_back(&step);
  return all;
}

const Trouble* troubleOf(const Plan& plan, std::string_view host) {
  const auto found = std::ranges::find(plan.troubles, host, &Trouble::host);
  return found == plan.troubles.end() ? nullptr : &*found;
}

/// Those of the file in its order, then others that something is done about.
std::vector<HostWish> hostsOf(const Wish& wish, const Plan& plan) {
  auto hosts = wish.hosts;
  for (const auto& step : plan.steps)
    if (std::ranges::find(hosts, step.host, &HostWish::name) == hosts.end()) hosts.push_back({step.host, "", step.controlPlane});
  return hosts;
}

std::string told(const Trouble& trouble) {
  return fmt::format("{}{}\n{}", trouble.host.empty() ? "" : trouble.host + ": ", trouble.cause, trouble.remedy.empty() ? "" : "  try: " + trouble.remedy + "\n");
}

} // namespace

std::vector<StepOutcome> carryOut(const Plan& plan, const std::function<void(const Step&)>& perform, LiveView& view, std::stop_token stop) {
  return Runner(plan, perform, view, std::move(stop)).all();
}

std::string planText(const Wish& wish, const Plan& plan) {
  std::string text;
  const auto steps = byHost(plan);
  std::vector<std::string> unchanged;
  for (const auto& host : hostsOf(wish, plan)) {
    const auto own = steps.find(host.name);
    if (own == steps.end()) {
      if (!troubleOf(plan, host.name)) unchanged.push_back(host.name);
      continue;
    }
    text += fmt::format("{} ({}{})\n", host.name, host.controlPlane ? "control plane" : "worker", host.address.empty() ? "" : ", " + host.address);
    for (const auto* step : own->second) text += fmt::format("  {}\n", described(*step));
  }
  if (!unchanged.empty()) text += fmt::format("nothing to do: {}\n", join(unchanged, ", "));
  for (const auto& trouble : plan.troubles)
    if (!trouble.host.empty()) text += told(trouble); // what is everybody's is an error of its own
  for (const auto& note : plan.notes) text += note + "\n";
  if (!plan.busy.empty()) text += fmt::format("another kubestrap is at work on {}: what is planned there may be done by it\n", join(plan.busy, ", "));
  return text;
}

Value waitingEvent(const std::string& busy) { return {{"event", "waiting"}, {"for", "another kubestrap"}, {"busy", busy}}; }

Value planValue(const Wish& wish, const Plan& plan) {
  Value value{{"changed", !plan.steps.empty()}, {"hosts", Value::array()}};
  const auto steps = byHost(plan);
  for (const auto& host : hostsOf(wish, plan)) {
    Value own{{"name", host.name}, {"address", host.address}, {"role", host.controlPlane ? "control-plane" : "worker"}, {"steps", Value::array()}};
    if (const auto found = steps.find(host.name); found != steps.end())
      for (const auto* step : found->second) own["steps"].push_back({{"name", phases::fleet::nameOf(step->task)}, {"reason", step->reason}});
    if (const auto* trouble = troubleOf(plan, host.name)) own["error"] = trouble->cause, own["hint"] = trouble->remedy;
    value["hosts"].push_back(std::move(own));
  }
  value["notes"] = plan.notes;
  value["busy"] = plan.busy;
  return value;
}

Value outcomesValue(const Plan& plan, const std::vector<StepOutcome>& outcomes) {
  auto list = Value::array();
  for (std::size_t at = 0; at < outcomes.size(); ++at) {
    Value one{{"host", plan.steps[at].host}, {"step", phases::fleet::nameOf(plan.steps[at].task)}, {"result", nameOf(outcomes[at].state)}, {"seconds", seconds(outcomes[at].took)}};
    if (outcomes[at].error) one["error"] = outcomes[at].error->message(), one["hint"] = outcomes[at].error->hint();
    list.push_back(std::move(one));
  }
  return list;
}

std::string failuresText(const Plan& plan, const std::vector<StepOutcome>& outcomes) {
  std::string text;
  for (std::size_t at = 0; at < outcomes.size(); ++at) {
    if (!outcomes[at].error) continue;
    const auto& error = *outcomes[at].error;
    text += fmt::format("{}: {}: {}\n", plan.steps[at].host, phases::fleet::nameOf(plan.steps[at].task), error.message());
    for (const auto& context : error.contexts()) text += fmt::format("  while {}\n", context);
    if (!error.hint().empty()) text += fmt::format("  try: {}\n", error.hint());
  }
  for (const auto& trouble : plan.troubles) text += told(trouble);
  return text;
}

} // namespace kubestrap::cmd
