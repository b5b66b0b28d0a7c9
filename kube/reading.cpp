#include "kube/reading.hpp"

#include <algorithm>

namespace kubestrap::kube {

namespace {

const Value* condition(const Value& object, std::string_view type) {
  const auto* conditions = find(object, "status.conditions");
  if (!conditions || !conditions->is_array()) return nullptr;
  const auto found = std::ranges::find_if(*conditions, [&](const Value& each) { return stringAt(each, "type") == type; });
  return found == conditions->end() ? nullptr : &*found;
}

std::optional<std::string> marked(const Value& object, std::string_view list, std::string_view name) {
  const auto* marks = find(object, list);
  if (!marks || !marks->is_object()) return {};
  const auto found = marks->find(std::string(name));
  if (found == marks->end() || !found->is_string()) return {};
  return found->get<std::string>();
}

} // namespace

std::optional<std::string> labelOf(const Value& object, std::string_view name) { return marked(object, "metadata.labels", name); }
std::optional<std::string> annotationOf(const Value& object, std::string_view name) { return marked(object, "metadata.annotations", name); }

long numberAt(const Value& object, std::string_view dottedPath) {
  const auto* found = find(object, dottedPath);
  return found && found->is_number_integer() ? found->get<long>() : 0;
}

std::vector<std::string> internalAddresses(const Value& node) {
  std::vector<std::string> found;
  const auto* addresses = find(node, "status.addresses");
  if (!addresses || !addresses->is_array()) return found;
  for (const auto& each : *addresses)
    if (stringAt(each, "type") == "InternalIP") found.push_back(stringAt(each, "address"));
  return found;
}

bool isControlPlane(const Value& node) { return labelOf(node, controlPlaneLabel).has_value(); }

bool hasCondition(const Value& object, std::string_view type) {
  const auto* found = condition(object, type);
  return found && stringAt(*found, "status") == "True";
}

bool isReady(const Value& object) { return hasCondition(object, "Ready"); }

bool runsHostPods(const Value& node) {
  const auto* ready = condition(node, "Ready");
  return ready && (stringAt(*ready, "status") == "True" ||
                   (stringAt(*ready, "status") == "False" && stringAt(*ready, "message").starts_with("container runtime network not ready")));
}

} // namespace kubestrap::kube
