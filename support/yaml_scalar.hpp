#pragma once

#include <string_view>

namespace kubestrap {

/// What a plain scalar means in YAML 1.2's core schema. The reader and the emitter ask the same function, so that what
/// one writes without quotes the other reads as text.
enum class ScalarKind { text, null, boolean, integer, decimal, notFinite };
ScalarKind scalarKind(std::string_view plain);

} // namespace kubestrap
