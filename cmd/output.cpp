#include "cmd/output.hpp"

#include "support/yaml.hpp"

#include <fmt/format.h>

namespace kubestrap::cmd {

void printResult(const Value& result, Format format) {
  fmt::print("{}", format == Format::yaml ? emitYaml(result) : result.dump(2) + "\n");
}

Value result(std::string_view kind) { return {{"apiVersion", "output.kubestrap.io/v1alpha1"}, {"kind", kind}}; }

} // namespace kubestrap::cmd
