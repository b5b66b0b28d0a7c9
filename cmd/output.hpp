#pragma once

#include "cmd/globals.hpp"
#include "support/value.hpp"

namespace kubestrap::cmd {

/// Prints a result on standard output as JSON or YAML. Results are records with apiVersion output.kubestrap.io/v1alpha1 and a kind.
void printResult(const Value& result, Format format);
/// An empty result of that kind.
Value result(std::string_view kind);

} // namespace kubestrap::cmd
