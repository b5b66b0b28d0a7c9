#pragma once

#include "support/yaml_builder.hpp"

#include <optional>

namespace kubestrap {

/// Reads an input that is strict JSON. It takes a way of its own because YAML knows no pairs of \u escapes, and because
/// that is ten times faster. Nothing if it is no JSON; throws Abandoned.
std::optional<Document> readJson(Input& input);

} // namespace kubestrap
