#pragma once

#include "support/value.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kubestrap {

/// A TOML document; nothing when it is none. Dates and times become text.
std::optional<Value> parseToml(std::string_view text);

/// A document with one setting put in or changed, everything else, comments too, left as it was: people keep such files
/// by hand. `table` are the names of the table that holds it. Nothing where this cannot be done by lines, as inside an
/// inline table: the result is parsed again, and must differ in this setting only.
std::optional<std::string> withTomlSetting(std::string_view text, const std::vector<std::string>& table,
                                           const std::string& key, const Value& value);

} // namespace kubestrap
