// Turns: what only one node may do at a time, by a Lease.
#include "plan/kinds.hpp"

#include <fmt/format.h>

namespace kubestrap::plan {

namespace {

kube::ObjectKey leaseKey(const std::string& name) { return {"coordination.k8s.io/v1", "Lease", "kube-system", name}; }

/// Who has a turn, since when, and until when if it is not given back; nothing when nobody has it any more.
struct Holder {
  std::string name;
  TimePoint since;
  std::optional<TimePoint> until;
};
std::optional<Holder> holderOf(const Value& lease, TimePoint now) {
  Holder holder{.name = stringAt(lease, "spec.holderIdentity"), .since = {}, .until = {}};
  if (holder.name.empty()) return std::nullopt;
  const auto* seconds = find(lease, "spec.leaseDurationSeconds");
  holder.since = parseRfc3339(stringAt(lease, "spec.acquireTime"));
  if (seconds && seconds->is_number_integer()) holder.until = holder.since + std::chrono::seconds(seconds->get<long>());
  if (holder.until && *holder.until < now) return std::nullopt;
  return holder;
}

Value leaseOf(const Turn& turn, TimePoint now) {
  // MicroTime, as the API has it.
  const auto time = formatRfc3339(now);
  const auto micro = time.substr(0, time.size() - 1) + ".000000Z";
  return {{"apiVersion", "coordination.k8s.io/v1"},
          {"kind", "Lease"},
          {"metadata", {{"name", turn.lease}, {"namespace", "kube-system"}}},
          {"spec",
           {{"holderIdentity", turn.holder},
            {"leaseDurationSeconds", std::chrono::duration_cast<std::chrono::seconds>(turn.validFor).count()},
            {"acquireTime", micro},
            {"renewTime", micro}}}};
}

struct Obstacle {
  std::string what;
  TimePoint until{}; ///< it is in the way at the longest, as far as that is known
};

/// Takes the turn if it is free; else says who has it.
std::optional<Obstacle> tryToTake(const Turn& turn, const Context& context) {
  auto client = connect(turn.access, context);
  const auto now = context.world.clock.now();
  auto wanted = leaseOf(turn, now);
  try {
    const auto found = client.get(leaseKey(turn.lease));
    if (!found) {
      client.create(wanted);
      return std::nullopt;
    }
    if (const auto holder = holderOf(*found, now); holder && holder->name != turn.holder)
      return Obstacle{fmt::format("{} has it since {}{}", holder->name, formatRfc3339(holder->since),
                                  holder->until ? fmt::format(", until {} at the longest", formatRfc3339(*holder->until)) : ""),
                      holder->until.value_or(now)};
    wanted["metadata"]["resourceVersion"] = stringAt(*found, "metadata.resourceVersion");
    client.mergePatch(leaseKey(turn.lease), wanted);
    return std::nullopt;
  } catch (const Conflict&) {
    return Obstacle{"somebody else was faster"};
  } catch (const kube::ApiError& error) {
    if (error.reason() != "AlreadyExists") throw;
    return Obstacle{"somebody else was faster"};
  }
}

Condition isTaken(const Turn& turn) {
  return {.what = fmt::format("it is this node's turn ({})", turn.lease), .probe = ApiServerAnswers{turn.access}, .patience = turn.patience,
          .hint = fmt::format("a node that died while it had the turn gives it up after {}", humanDuration(turn.validFor))};
}

/// At the server of its own and, where that does not answer, at the one that the kubeconfig names: a balancer knows others.
std::optional<Obstacle> tryToTakeAnywhere(const Turn& turn, const Context& context) {
  try {
    return tryToTake(turn, context);
  } catch (const net::TransportError&) {
    if (turn.access.server.empty()) throw;
  } catch (const kube::ApiError& error) {
    if (!error.retriable() || turn.access.server.empty()) throw;
  }
  auto elsewhere = turn;
  elsewhere.access.server.clear();
  return tryToTake(elsewhere, context);
}

} // namespace

void takeTurn(const Turn& turn, const Context& context) {
  const auto wanted = isTaken(turn);
  await(wanted, {.verb = Verb::wait, .subject = wanted.what}, context, [&]() -> std::optional<std::string> {
    const auto obstacle = tryToTake(turn, context);
    return obstacle ? std::optional(obstacle->what) : std::nullopt;
  });
}

TurnTaken takeTurnIfAnswered(const Turn& turn, const Context& context) {
  constexpr auto enough = std::chrono::seconds(5);
  const auto wanted = isTaken(turn);
  std::optional<TimePoint> silentSince;
  TimePoint heldUntil{}; // by one whose absence may be what keeps others from answering
  auto taken = TurnTaken::yes;
  const auto lack = [&]() -> std::optional<std::string> {
    std::string trouble;
    try {
      const auto obstacle = tryToTakeAnywhere(turn, context);
      if (!obstacle) return std::nullopt;
      silentSince.reset();
      heldUntil = obstacle->until;
      return obstacle->what;
    } catch (const net::TransportError& error) {
      trouble = error.message();
    } catch (const kube::ApiError& error) {
      if (!error.retriable()) throw;
      trouble = error.message();
    }
    const auto now = context.world.clock.now();
    if (!silentSince) silentSince = now;
    if (now - *silentSince < enough || now < heldUntil) return trouble;
    taken = TurnTaken::nobodyAnswers;
    return std::nullopt;
  };
  await(wanted, {.verb = Verb::wait, .subject = wanted.what}, context, lack);
  return taken;
}

std::string otherThatHas(std::string_view lease, const std::string& self, kube::Client& client, TimePoint now) {
  const auto found = client.get(leaseKey(std::string(lease)));
  const auto holder = found ? holderOf(*found, now) : std::nullopt;
  return holder && holder->name != self ? holder->name : "";
}

void endTurn(const Turn& turn, const Context& context) {
  auto client = connect(turn.access, context);
  const auto found = client.get(leaseKey(turn.lease));
  if (!found || stringAt(*found, "spec.holderIdentity") != turn.holder) return;
  try {
    client.mergePatch(leaseKey(turn.lease), {{"metadata", {{"resourceVersion", stringAt(*found, "metadata.resourceVersion")}}},
                                             {"spec", {{"holderIdentity", ""}, {"leaseDurationSeconds", 1}}}});
  } catch (const Conflict&) {
    // It has passed to another since it was looked at.
  }
}

Change needed(const GiveTurnBack& wanted, const Context& context) {
  Change change{.subject = subject(Task{wanted})};
  if (!context.applying) return change; // a plan has no turn
  try {
    const auto found = connect(wanted.turn.access, context).get(leaseKey(wanted.turn.lease));
    if (!found || stringAt(*found, "spec.holderIdentity") != wanted.turn.holder) return change;
  } catch (const Interrupted&) {
    throw;
  } catch (const Error&) {
    // Who does the work says why.
  }
  change.verb = Verb::update;
  change.reason = "others may have it";
  return change;
}

/// One that cannot be given back passes by itself: what it was taken for is done.
void perform(const GiveTurnBack& wanted, const Change&, const Context& context) {
  try {
    withPatience(context, wanted.turn.lease, [&] { endTurn(wanted.turn, context); });
  } catch (const Interrupted&) {
    throw;
  } catch (const Error& error) {
    if (context.reporter)
      context.reporter->warning(context.phase, fmt::format("the turn {} could not be given back ({}): others get it {} after it was taken", wanted.turn.lease, error.message(),
                                                           humanDuration(wanted.turn.validFor)));
  }
}

} // namespace kubestrap::plan
