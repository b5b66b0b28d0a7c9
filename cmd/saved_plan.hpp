#pragma once
// Plans of an upgrade that were kept as a file: what `upgrade plan` said, so that `upgrade apply` does that or nothing.

#include "support/value.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace kubestrap::cmd {

/// Whether an argument of `upgrade apply` is the name of a file, and no version: it has a slash, or ends like one.
bool isPlanFile(std::string_view argument);

/// The UpgradePlan in a text of JSON or YAML. Throws Error where it is none.
Value parsePlan(const std::string& text, const std::string& source);

/// What is another in a plan that is made now, in sentences; empty: the same would be done. Findings do not count: they are judged anew, and
/// what keeps from an upgrade then ends it.
std::vector<std::string> moved(const Value& saved, const Value& now);

/// The command that does what the plan was made for by its version, with the flags that it was made with: where it has begun the plan itself fits no more.
std::string withoutPlan(const Value& plan);

} // namespace kubestrap::cmd
