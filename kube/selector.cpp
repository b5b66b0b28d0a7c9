#include "kube/selector.hpp"

#include <algorithm>

namespace kubestrap::kube {

namespace {

bool holds(const Value& requirement, const Labels& labels) {
  const auto found = labels.find(stringAt(requirement, "key"));
  const auto verb = stringAt(requirement, "operator");
  const auto values = requirement.value("values", Value::array());
  const bool there = found != labels.end();
  const bool among = there && std::ranges::find(values, Value(found->second)) != values.end();
  if (verb == "In") return among;
  if (verb == "NotIn") return !among;
  if (verb == "Exists") return there;
  return !there;
}

} // namespace

Labels labelsOf(const Value& object) {
  Labels labels;
  const auto* found = find(object, "metadata.labels");
  if (!found || !found->is_object()) return labels;
  for (const auto& [name, value] : found->items())
    if (value.is_string()) labels[name] = value.get<std::string>();
  return labels;
}

bool selects(const Value& selector, const Labels& labels) {
  if (!selector.is_object()) return true;
  const auto equal = selector.value("matchLabels", Value::object());
  for (const auto& [key, value] : equal.items())
    if (const auto found = labels.find(key); found == labels.end() || found->second != value.get<std::string>()) return false;
  return std::ranges::all_of(selector.value("matchExpressions", Value::array()), [&](const Value& each) { return holds(each, labels); });
}

} // namespace kubestrap::kube
