#include "phases/taints.hpp"

#include "config/machine_defaults.hpp"
#include "support/text.hpp"

#include <algorithm>

namespace kubestrap::phases::fleet {

namespace {

std::string nameOf(const Value& taint) { return stringAt(taint, "key") + ":" + stringAt(taint, "effect"); }

std::string_view keyOf(std::string_view name) { return name.substr(0, name.rfind(':')); }

/// Of the node and cloud controllers, and of pod networks and drivers, which take their own away when they are ready there: given anew it would end pods.
bool isOfBeginning(std::string_view name) {
  const auto key = keyOf(name);
  const auto domain = key.substr(0, key.find('/'));
  return domain == "node.kubernetes.io" || domain == "node.cloudprovider.kubernetes.io" || key.ends_with("not-ready") || key.ends_with("uninitialized");
}

Taints lasting(const std::optional<Taints>& wanted) {
  auto kept = wanted.value_or(Taints{});
  std::erase_if(kept, [](const auto& each) { return isOfBeginning(each.first); });
  return kept;
}

Value taintOf(const std::string& name, const std::string& value) {
  Value taint{{"key", std::string(keyOf(name))}};
  if (!value.empty()) taint["value"] = value;
  taint["effect"] = name.substr(name.rfind(':') + 1);
  return taint;
}

} // namespace

Taints taintsByName(const Value& taints) {
  Taints named;
  if (!taints.is_array()) return named;
  for (const auto& each : taints) named[nameOf(each)] = stringAt(each, "value");
  return named;
}

std::map<std::string, std::optional<std::string>> taintChanges(const std::optional<Taints>& wanted, bool controlPlane, const Labels& has) {
  auto given = has.given;
  for (const auto& taint : config::defaultControlPlaneTaints()) {
    if (!controlPlane) break;
    std::erase(given, nameOf(taint));
    if (wanted) given.push_back(nameOf(taint));
  }
  return labelChanges(lasting(wanted), {has.all, given});
}

std::string taintWord(const std::string& name, const std::optional<std::string>& value) {
  if (!value) return name + "-";
  return value->empty() ? name : std::string(keyOf(name)) + "=" + *value + name.substr(name.rfind(':'));
}

Value taintPatch(const Value& node, bool controlPlane, const std::optional<Taints>& wanted) {
  const auto* found = find(node, "spec.taints");
  auto taints = found && found->is_array() ? *found : Value::array();
  const std::string notice(givenTaintsNotice);
  const auto* annotations = find(node, "metadata.annotations");
  const auto before = annotations ? annotations->value(notice, "") : "";
  const auto changes = taintChanges(wanted, controlPlane, {taintsByName(taints), split(before, ',')});
  std::vector<std::string> names;
  for (const auto& [name, value] : lasting(wanted)) names.push_back(name);
  const auto given = join(names, ",");
  if (changes.empty() && given == before) return {};
  auto list = Value::array();
  for (const auto& each : taints)
    if (!changes.contains(nameOf(each))) list.push_back(each);
  for (const auto& [name, value] : changes)
    if (value) list.push_back(taintOf(name, *value));
  Value patch{{"metadata", {{"resourceVersion", stringAt(node, "metadata.resourceVersion")}, {"annotations", {{notice, given.empty() ? Value() : Value(given)}}}}}};
  if (!changes.empty()) patch["spec"] = Value::object({{"taints", list}});
  return patch;
}

} // namespace kubestrap::phases::fleet
