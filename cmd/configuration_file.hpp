#pragma once

#include "cmd/machine.hpp"
#include "config/load.hpp"
#include "config/v1beta4.hpp"
#include "support/error.hpp"

#include <fmt/format.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kubestrap::cmd {

/// Which document of a file a command goes by.
struct ConfigurationKind {
  std::string_view kind;     ///< "ResetConfiguration"
  std::string_view others;   ///< what another kind does not mean anything to: "reset"
  std::string_view defaults; ///< how `config print` calls its defaults: "reset-defaults"
};

/// That document, the last one where there are several, with defaults filled in; without a file the defaults alone. Throws Problems for
/// what is wrong in it, and Error (usage) for a file that has none.
template <class Configuration>
Configuration configurationIn(const std::optional<std::string>& file, const ConfigurationKind& kind, Machine& machine, std::vector<std::string>& warnings) {
  Configuration configuration;
  bool found = !file;
  for (const auto& document : file ? machine.readDocuments(*file) : std::vector<Document>{}) {
    if (stringAt(document.value, "kind") != kind.kind) {
      warnings.push_back(fmt::format("{}: a {} means nothing to {}", *file, stringAt(document.value, "kind", "document"), kind.others));
      continue;
    }
    if (auto problems = config::validateDocuments({document}, warnings); !problems.empty()) throw Problems(std::move(problems));
    configuration = config::v1beta4::decode<Configuration>(document.value);
    found = true;
  }
  if (!found) throw Error(fmt::format("{} has no {}", *file, kind.kind), fmt::format("see: kubestrap config print {}", kind.defaults), ExitCode::usage);
  config::v1beta4::applyDefaults(configuration);
  return configuration;
}

} // namespace kubestrap::cmd
