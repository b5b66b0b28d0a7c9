#pragma once

#include "kube/selector.hpp"
#include "phases/status.hpp"
#include "support/value.hpp"

#include <vector>

namespace kubestrap::phases::status {

using kube::Labels;

/// The webhooks of a ValidatingWebhookConfiguration or MutatingWebhookConfiguration that are asked when a pod with one of these sets of
/// labels is made in a namespace with those. matchConditions are taken to hold: they cannot be worked out here.
std::vector<WebhookSeen> webhooksOf(const Value& configuration, const Labels& nameSpace, const std::vector<Labels>& pods);

} // namespace kubestrap::phases::status
