#include "guard/report.hpp"

#include "manifests/guard.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::guard {

using phases::guard::Component;
using phases::guard::nameOf;

namespace {

constexpr int leaseSeconds = 40; // a guard renews it every ten

Value slotsOf(const phases::guard::ComponentSeen& seen) {
  Value slots = Value::object();
  for (const auto slot : manifests::allSlots) slots[std::string(manifests::slotName(slot))] = nameOf(seen.at(slot));
  return slots;
}

/// MicroTime, as Leases have it.
std::string microTime(TimePoint time) {
  const auto text = formatRfc3339(time);
  const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch()).count() % 1'000'000;
  return fmt::format("{}.{:06}Z", text.substr(0, text.size() - 1), micros);
}

} // namespace

Value report(const std::string& node, const phases::guard::Seen& seen, const phases::guard::Decision& decision,
             const std::array<std::string, phases::guard::count>& standbys) {
  Value held = Value::array(), components = Value::object(), conditions = Value::array();
  for (const auto component : seen.held) held.push_back(nameOf(component));
  for (Component component = 0; component < phases::guard::count; ++component) {
    const auto& own = seen.components[component];
    components[std::string(nameOf(component))] = Value::object({{"hosting", nameOf(decision.state.components[component].hosting)},
                                                                {"slots", slotsOf(own)},
                                                                {"promoted", own.promoted || own.previousPromoted},
                                                                {"standby", standbys[component]}});
  }
  for (const auto& each : decision.conditions) conditions.push_back(Value::object({{"name", each.name}, {"message", each.message}}));
  return Value::object({{"node", node},
                        {"etcd", seen.etcdReady},
                        {"api", seen.apiAnswers},
                        {"held", std::move(held)},
                        {"components", std::move(components)},
                        {"conditions", std::move(conditions)}});
}

Value leaseOf(const std::string& node, const Value& report, TimePoint now) {
  return Value::object({{"apiVersion", "coordination.k8s.io/v1"},
                        {"kind", "Lease"},
                        {"metadata", Value::object({{"name", manifests::guardLease(node)},
                                                    {"namespace", "kube-system"},
                                                    {"labels", Value::object({{manifests::guardLabel, ""}})},
                                                    {"annotations", Value::object({{manifests::guardAnnotation, report.dump()}})}})},
                        {"spec", Value::object({{"holderIdentity", node}, {"leaseDurationSeconds", leaseSeconds}, {"renewTime", microTime(now)}})}});
}

Value memory(const phases::guard::State& state) {
  Value document = Value::object();
  for (Component component = 0; component < phases::guard::count; ++component) {
    const auto& own = state.components[component];
    Value item = Value::object({{"stable", own.stable.count()}});
    if (own.demoted) item["demoted"] = own.demoted->count();
    document[std::string(nameOf(component))] = std::move(item);
  }
  const auto& roll = state.roll;
  for (const auto& [name, holds] : {std::pair("proved", roll.proved), {"rolledBack", roll.rolledBack}})
    if (holds) document[name] = Value::object({{"component", nameOf(roll.rolling->component)}, {"to", roll.rolling->to}, {"from", roll.rolling->from}});
  return document;
}

namespace {

/// The roll that has proved itself, lest a guard that was restarted puts it back; or went back, which is still to be told.
void recallRoll(const Value& memory, const char* name, bool phases::guard::RollState::*holds, phases::guard::RollState& roll) {
  const auto* found = memory.is_object() ? find(memory, name) : nullptr;
  if (!found) return;
  const auto component = std::ranges::find(manifests::hostedComponents, stringAt(*found, "component"));
  if (component == manifests::hostedComponents.end()) return;
  roll.rolling = {.component = static_cast<Component>(component - manifests::hostedComponents.begin()), .to = stringAt(*found, "to"), .from = stringAt(*found, "from")};
  roll.*holds = true;
}

} // namespace

void recall(const Value& memory, phases::guard::State& state) {
  recallRoll(memory, "proved", &phases::guard::RollState::proved, state.roll);
  recallRoll(memory, "rolledBack", &phases::guard::RollState::rolledBack, state.roll);
  for (Component component = 0; component < phases::guard::count; ++component) {
    auto& own = state.components[component];
    const auto number = [&](std::string_view field) -> std::optional<phases::guard::Moment> {
      const auto* item = memory.is_object() && memory.contains(nameOf(component)) ? &memory.at(std::string(nameOf(component))) : nullptr;
      const auto* found = item ? find(*item, field) : nullptr;
      if (!found || !found->is_number_integer()) return {};
      return phases::guard::Moment(found->get<Duration::rep>());
    };
    own.stable = number("stable").value_or(Duration::zero());
    // One of the future is of another start of the machine.
    if (const auto demoted = number("demoted"); demoted && *demoted <= state.began) own.demoted = demoted;
  }
}

} // namespace kubestrap::guard
