// Turns: what only one node may do at a time, by a Lease.
#include "plan/kinds.hpp"

#include <fmt/format.h>

namespace kubestrap::plan {

namespace {

kube::ObjectKey leaseKey(const std::string& name) { return {"coordination.k8s.io/v1", "Lease", "kube-system", name}; }

/// Who has a turn, and since when; nothing when nobody has it any more.
struct Holder {
  std::string name;
  TimePoint since;
};
std::optional<Holder> holderOf(const Value& lease, TimePoint now) {
  const auto name = stringAt(lease, "spec.holderIdentity");
  if (name.empty()) return std::nullopt;
  const auto* seconds = find(lease, "spec.leaseDurationSeconds");
  const auto since = parseRfc3339(stringAt(lease, "spec.acquireTime"));
  if (seconds && seconds->is_number_integer() && since + std::chrono::seconds(seconds->get<long>()) < now) return std::nullopt;
  return Holder{name, since};
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

/// Takes the turn if it is free; else says who has it.
std::optional<std::string> tryToTake(const Turn& turn, const Context& context) {
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
      return fmt::format("{} has it since {}", holder->name, formatRfc3339(holder->since));
    wanted["metadata"]["resourceVersion"] = stringAt(*found, "metadata.resourceVersion");
    client.mergePatch(leaseKey(turn.lease), wanted);
    return std::nullopt;
  } catch (const Conflict&) {
    return "somebody else was faster";
  } catch (const kube::ApiError& error) {
    if (error.reason() != "AlreadyExists") throw;
    return "somebody else was faster";
  }
}

} // namespace

void takeTurn(const Turn& turn, const Context& context) {
  const Condition wanted{.what = fmt::format("it is this node's turn ({})", turn.lease), .probe = ApiServerAnswers{turn.access}, .patience = turn.patience,
                         .hint = fmt::format("a node that died while it had the turn gives it up after {}", humanDuration(turn.validFor))};
  await(wanted, {.verb = Verb::wait, .subject = wanted.what}, context, [&] { return tryToTake(turn, context); });
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

} // namespace kubestrap::plan
