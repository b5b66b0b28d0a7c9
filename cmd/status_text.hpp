#pragma once

#include "cmd/globals.hpp"
#include "phases/status.hpp"
#include "support/value.hpp"

#include <string>
#include <vector>

namespace kubestrap::cmd {

using phases::status::Finding;

/// Cluster, components, etcd and nodes, as tables for people.
std::string describe(const phases::status::Seen& seen);
/// The same as a result's members.
void put(const phases::status::Seen& seen, Value& document);

/// How much is said of each finding.
enum class Telling {
  briefly, ///< what is wrong and what to do
  fully    ///< and what was seen
};
std::string describe(const std::vector<Finding>& findings, Telling telling);
Value asValue(const std::vector<Finding>& findings);

} // namespace kubestrap::cmd
