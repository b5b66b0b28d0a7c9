// Which webhooks stand between the control plane and its pods (apiserver: pkg/admission/plugin/webhook/predicates).
#include "phases/webhooks.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::phases::status {

namespace {

bool names(const Value& list, std::string_view word) {
  return std::ranges::any_of(list, [&](const Value& each) { return each == "*" || each == word; });
}

bool isAboutNewPods(const Value& hook) {
  const auto rules = hook.value("rules", Value::array());
  return std::ranges::any_of(rules, [](const Value& rule) {
    const auto resources = rule.value("resources", Value::array());
    return names(rule.value("operations", Value::array()), "CREATE") && names(rule.value("apiGroups", Value::array()), "") &&
           (names(resources, "pods") || names(resources, "*/*")) && rule.value("scope", "*") != "Cluster";
  });
}

std::string backendOf(const Value& hook) {
  const auto* service = find(hook, "clientConfig.service");
  return service ? fmt::format("{}/{}", stringAt(*service, "namespace"), stringAt(*service, "name")) : stringAt(hook, "clientConfig.url");
}

} // namespace

std::vector<WebhookSeen> webhooksOf(const Value& configuration, const Labels& nameSpace, const std::vector<Labels>& pods) {
  std::vector<WebhookSeen> found;
  for (const auto& hook : configuration.value("webhooks", Value::array())) {
    const auto object = hook.value("objectSelector", Value());
    const bool chosen = kube::selects(hook.value("namespaceSelector", Value()), nameSpace) &&
                        std::ranges::any_of(pods, [&](const Labels& labels) { return kube::selects(object, labels); });
    found.push_back({.configuration = stringAt(configuration, "metadata.name"),
                     .kind = stringAt(configuration, "kind"),
                     .name = stringAt(hook, "name"),
                     .failsClosed = stringAt(hook, "failurePolicy", "Fail") == "Fail",
                     .catchesPods = chosen && isAboutNewPods(hook),
                     .served = {},
                     .backend = backendOf(hook)});
  }
  return found;
}

} // namespace kubestrap::phases::status
