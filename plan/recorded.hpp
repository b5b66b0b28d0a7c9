#pragma once

#include "config/model.hpp"
#include "host/host.hpp"
#include "support/value.hpp"

#include <string>
#include <vector>

namespace kubestrap::plan {

/// What the journal's records come to, once each, what was made last first: of several records of one thing the oldest says what was
/// there before. Contents that were kept are read.
std::vector<config::Recorded> recorded(const std::vector<Value>& records, host::Host& host);

/// Whether the machine was a node already when the inventory was taken.
bool isOfANode(const Value& inventory);

struct Deviation {
  std::string part;   ///< "files", "rules"
  std::string name;   ///< "/etc/kubernetes/admin.conf"
  std::string before; ///< empty: it was not there
  std::string now;    ///< empty: it is gone
};
/// How two inventories differ.
std::vector<Deviation> deviations(const Value& before, const Value& now);

} // namespace kubestrap::plan
