#pragma once

#include "phases/status.hpp"
#include "support/value.hpp"

#include <map>
#include <string>
#include <vector>

namespace kubestrap::phases::status {

using Labels = std::map<std::string, std::string>;

/// Whether a selector of the API (matchLabels, matchExpressions) chooses what has these labels. Nothing in it chooses all.
bool selects(const Value& selector, const Labels& labels);

/// The webhooks of a ValidatingWebhookConfiguration or MutatingWebhookConfiguration that are asked when a pod with one of these sets of
/// labels is made in a namespace with those. matchConditions are taken to hold: they cannot be worked out here.
std::vector<WebhookSeen> webhooksOf(const Value& configuration, const Labels& nameSpace, const std::vector<Labels>& pods);

} // namespace kubestrap::phases::status
