#pragma once

#include "support/value.hpp"

#include <initializer_list>
#include <string_view>

namespace kubestrap {

/// What a plain scalar means in YAML 1.2's core schema. The reader and the emitter ask the same function, so that what
/// one writes without quotes the other reads as text.
enum class ScalarKind { text, null, boolean, integer, decimal, notFinite };
ScalarKind scalarKind(std::string_view plain);

/// The number that an integer or a decimal stands for; infinite if it is too large for a double. Integers beyond 64
/// bits become doubles, as they do when JSON is read.
Value scalarInteger(std::string_view plain);
double scalarDecimal(std::string_view plain);

/// 0644 is octal to Go's YAML 1.1 and decimal to YAML 1.2: whoever reads it, one half of the readers is wrong.
bool isAmbiguousOctal(std::string_view integer);

bool isAnyOf(std::string_view text, std::initializer_list<std::string_view> words);

} // namespace kubestrap
