#include "plan/operation.hpp"

#include "config/rolling.hpp"
#include "kube/reading.hpp"
#include "plan/kinds.hpp"
#include "plan/run.hpp"
#include "support/log.hpp"

#include <fmt/format.h>

namespace kubestrap::plan {

namespace {

constexpr auto refreshed = std::chrono::seconds(10), abandoned = std::chrono::seconds(60);
constexpr auto pause = std::chrono::seconds(1);
/// For an API server that does not answer: it may be the one that is being replaced.
constexpr auto apiPatience = std::chrono::seconds(60);

const kube::ObjectKey planKey{"v1", "ConfigMap", "kube-system", std::string(config::planName)};

bool isUnderWay(const std::string& state) { return !state.empty() && state != "done" && state != "aborted"; }

/// The plan in the cluster: who drives what, and how far it is. A write that meets another's is refused by its resourceVersion.
class Plan {
public:
  Plan(const Operation& operation, const Context& context) : operation_(operation), context_(context) {}

  void take() {
    withPatience(context_, planKey.string(), [&] {
      auto client = connect(operation_.access, context_);
      const auto found = client.get(planKey);
      if (found) {
        refuseIfHeld(*found);
        refuseIfRolling(*found, client);
      }
      notes_ = found ? notesIn(*found) : Value::object();
      const auto now = formatRfc3339(context_.world.clock.now());
      const auto wanted = document({{"operation", operation_.name}, {"state", operation_.state}, {"holder", operation_.holder},
                                    {"since", now}, {"refreshed", now}, {"step", ""}, {"notes", notes_.dump()}});
      if (found) client.mergePatch(planKey, versioned(wanted, stringAt(*found, "metadata.resourceVersion")));
      else client.create(wanted);
      written_ = context_.world.clock.now();
    });
  }

  /// Says that this driver lives, and what it is at.
  void refresh(const std::string& step) {
    const auto now = context_.world.clock.now();
    if (now - written_ < refreshed) return;
    write({{"refreshed", formatRfc3339(now)}, {"step", step}});
  }

  /// The same, with what the step notes.
  void begin(const Step& step) {
    for (const auto& [name, text] : step.notes) {
      if (text.empty()) notes_.erase(name);
      else notes_[name] = text;
    }
    write({{"refreshed", formatRfc3339(context_.world.clock.now())}, {"step", step.name}, {"notes", notes_.dump()}});
  }

  /// The same while a step is at work, which does not end for an API server that is away, nor for somebody who has taken over: what is written next says so.
  void giveSign(const std::string& step) {
    const auto now = context_.world.clock.now();
    if (now - written_ < refreshed) return;
    written_ = now; // so that an API server that is away is not asked all the time
    try {
      writeOnce({{"refreshed", formatRfc3339(now)}, {"step", step}});
    } catch (const Interrupted&) { // noticed where the step waits
    } catch (const Error& error) {
      log::info(1, "{}", error.message());
    }
  }

  /// So that guards do not go by it, if there is somebody to tell; the first error is the one to tell the operator.
  void giveUp() {
    try {
      end("aborted");
    } catch (const Error&) {
    }
  }

  void end(const std::string& state) { write({{"state", state}, {"refreshed", formatRfc3339(context_.world.clock.now())}}); }

  void isDone() {
    notes_ = Value::object();
    write({{"state", "done"}, {"refreshed", formatRfc3339(context_.world.clock.now())}, {"notes", notes_.dump()}});
  }

private:
  static Value document(const std::vector<std::pair<std::string, std::string>>& data) {
    Value value = Value::object({{"apiVersion", "v1"},
                                 {"kind", "ConfigMap"},
                                 {"metadata", Value::object({{"name", config::planName}, {"namespace", "kube-system"}})},
                                 {"data", Value::object()}});
    for (const auto& [key, text] : data) value["data"][key] = text;
    return value;
  }

  static Value allNotesIn(const Value& found) {
    auto notes = Value::parse(stringAt(found, "data.notes"), nullptr, false);
    return notes.is_object() ? notes : Value::object();
  }

  /// Of the same operation, which is gone on with.
  Value notesIn(const Value& found) const {
    return stringAt(found, "data.operation") == operation_.name ? allNotesIn(found) : Value::object();
  }

  static Value versioned(Value value, const std::string& version) {
    value["metadata"]["resourceVersion"] = version;
    return value;
  }

  void refuseIfHeld(const Value& found) const {
    const auto text = [&](std::string_view key) { return stringAt(found, fmt::format("data.{}", key)); };
    if (!isUnderWay(text("state")) || text("holder") == operation_.holder) return;
    const auto since = text("refreshed");
    if (context_.world.clock.now() - parseRfc3339(since) > abandoned) return;
    throw Error(fmt::format("{} is at it already: {} since {} (step: {})", text("holder"), text("operation"), text("since"), text("step")),
                fmt::format("wait for its end; a driver that has not been heard of for {} may be followed by another", humanDuration(abandoned)),
                ExitCode::refused);
  }

  /// The notes of a roll go with its plan, and guards would not put back any more what does not get on. When they have, or the DaemonSet is gone, nothing rolls.
  void refuseIfRolling(const Value& found, kube::Client& client) const {
    const auto notes = allNotesIn(found);
    const auto name = stringAt(found, "data.operation"), component = stringAt(notes, config::rollingNote);
    if (operation_.endsAll || name == operation_.name || component.empty() || !isUnderWay(stringAt(found, "data.state"))) return;
    const auto set = client.get({"apps/v1", "DaemonSet", "kube-system", component});
    const auto* podTemplate = set ? find(*set, "spec.template") : nullptr;
    if (!podTemplate || kube::annotationOf(*podTemplate, config::revisionAnnotation) != stringAt(notes, config::toNote)) return;
    throw Error(fmt::format("{} was giving {} another revision when its driver was not heard of any more", name, component),
                fmt::format("go on with it, or roll back, first: kubestrap {}", name), ExitCode::refused);
  }

  void write(const std::vector<std::pair<std::string, std::string>>& data) {
    withPatience(context_, planKey.string(), [&] { writeOnce(data); });
  }

  void writeOnce(const std::vector<std::pair<std::string, std::string>>& data) {
    auto client = connect(operation_.access, context_);
    // An answer that was lost makes the version look outdated: what counts is who holds it.
    const auto found = client.get(planKey);
    if (!found || stringAt(*found, "data.holder") != operation_.holder)
      throw Error("somebody else has taken the operation over", "look at ConfigMap kube-system/kubestrap-plan");
    client.mergePatch(planKey, versioned(document(data), stringAt(*found, "metadata.resourceVersion")));
    written_ = context_.world.clock.now();
  }

  const Operation& operation_;
  const Context& context_;
  TimePoint written_{};
  Value notes_ = Value::object();
};

/// Tells what another one tells, and gives a sign where a step, or a look, waits: it may do so for longer than a driver is thought to live.
class GivingSigns : public Reporter {
public:
  GivingSigns(Reporter& inner, Plan& plan, std::string step) : inner_(inner), plan_(plan), step_(std::move(step)) {}

  void phaseBegins(std::string_view phase, std::string_view summary) override { inner_.phaseBegins(phase, summary); }
  void phaseEnds(std::string_view phase) override { inner_.phaseEnds(phase); }
  void phaseSkipped(std::string_view phase) override { inner_.phaseSkipped(phase); }
  void planned(std::string_view phase, const Change& change) override { inner_.planned(phase, change); }
  void done(std::string_view phase, const Change& change, Duration took) override { inner_.done(phase, change, took); }
  void waiting(std::string_view phase, const Change& change, Duration elapsed, Duration patience, std::string_view seen) override {
    inner_.waiting(phase, change, elapsed, patience, seen);
    plan_.giveSign(step_);
  }
  void warning(std::string_view phase, std::string_view text) override { inner_.warning(phase, text); }

private:
  Reporter& inner_;
  Plan& plan_;
  std::string step_;
};

/// How long one thing has been waited for.
class Wait {
public:
  void goesOn(const Waiting& waiting, const Context& context, const std::string& operation) {
    const auto now = context.world.clock.now();
    if (waiting.what != what_) {
      what_ = waiting.what;
      began_ = now;
    }
    const auto elapsed = now - began_;
    if (elapsed >= waiting.patience)
      throw Error(fmt::format("{}: still not after {}: {}", waiting.what, humanDuration(waiting.patience), waiting.lacking),
                  fmt::format("{}; kubestrap {} goes on from here", waiting.hint, operation));
    context.reporter->waiting(operation, change(), elapsed, waiting.patience, waiting.lacking);
  }

  void isOver(const Context& context, const std::string& operation) {
    if (!what_.empty()) context.reporter->done(operation, change(), context.world.clock.now() - began_);
    what_.clear();
  }

private:
  Change change() const { return {.verb = Verb::wait, .subject = what_}; }

  std::string what_;
  TimePoint began_{};
};

} // namespace

namespace {

void drive(const Operation& operation, Plan& plan, World& world, const Context& context) {
  Wait wait;
  std::string last;
  GivingSigns looking(*context.reporter, plan, "looking at the nodes");
  for (;;) {
    world.clock.sleep({}); // the place where an interrupt is noticed
    std::optional<Next> next;
    withPatience(context, operation.name, [&] { next = operation.nextByAsking ? operation.nextByAsking(looking) : operation.next(); });
    if (const auto* waiting = std::get_if<Waiting>(&*next)) {
      plan.refresh(waiting->what);
      wait.goesOn(*waiting, context, operation.name);
      world.clock.sleep(pause);
      continue;
    }
    wait.isOver(context, operation.name);
    if (std::holds_alternative<Done>(*next)) return;
    if (const auto* stuck = std::get_if<Stuck>(&*next)) throw Error(stuck->cause, stuck->remedy);
    const auto& step = std::get<Step>(*next);
    if (step.name == last) throw Error(fmt::format("{} had no effect", step.name), "somebody else may be changing it back");
    last = step.name;
    plan.begin(step);
    GivingSigns reporter(*context.reporter, plan, step.name);
    enactAll(step.work, step.name, operation.name, world, reporter);
  }
}

} // namespace

void perform(const Operation& operation, World& world, Reporter& reporter) {
  Kubeconfigs kubeconfigs;
  const Context context{.world = world, .applying = true, .apiPatience = apiPatience, .phase = operation.name, .reporter = &reporter,
                        .kubeconfigs = &kubeconfigs};
  Plan plan(operation, context);
  plan.take();
  try {
    drive(operation, plan, world, context);
  } catch (const Interrupted&) {
    throw; // nothing is sent any more; guards leave a plan alone whose driver gives no sign
  } catch (const Error&) {
    plan.giveUp();
    throw;
  }
  plan.isDone();
}

} // namespace kubestrap::plan
