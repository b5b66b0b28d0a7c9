#pragma once

#include "support/value.hpp"

#include <map>
#include <string>

namespace kubestrap::kube {

using Labels = std::map<std::string, std::string>;

/// The labels of an object.
Labels labelsOf(const Value& object);

/// Whether a selector of the API (matchLabels, matchExpressions) chooses what has these labels. Nothing in it chooses all.
bool selects(const Value& selector, const Labels& labels);

} // namespace kubestrap::kube
