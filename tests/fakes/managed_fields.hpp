#pragma once
// Who owns which field of an object: enough of server-side apply (k8s.io: structured-merge-diff) for tests.

#include "support/value.hpp"

#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace kubestrap::fakes {

/// The way to a leaf as fieldsV1 has it: "f:spec", "f:containers", "k:{\"name\":\"etcd\"}", "f:image".
using FieldPath = std::vector<std::string>;
using FieldSet = std::set<FieldPath>;

struct Manager {
  std::string name;
  enum class Operation { apply, update } operation = Operation::update;
  FieldSet fields;
  std::string time;
};

/// The leaves of a document that managers can own. Lists that Kubernetes merges by a key (containers, env, ...) are
/// gone into, others are one leaf.
FieldSet fieldsOf(const Value& document);

struct ApplyConflict {
  std::string manager, field;
};
struct Applied {
  Value document;
  std::vector<Manager> managers;
  std::vector<ApplyConflict> conflicts; ///< not empty: nothing was changed
};
/// What becomes of `live` when `manager` applies `wanted`: it gets what is wanted, loses what this manager applied
/// before and does not want any more unless another one owns it too, and `force` takes fields over.
Applied serverSideApply(const Value& live, std::vector<Manager> managers, const Value& wanted,
                        const std::string& manager, bool force, const std::string& time);

/// The managers after a plain write that made `after` of `before`.
std::vector<Manager> managersAfterUpdate(const Value& before, const Value& after, std::vector<Manager> managers,
                                         const std::string& manager, const std::string& time);

/// metadata.managedFields
Value managedFields(const std::vector<Manager>& managers, const std::string& apiVersion);

} // namespace kubestrap::fakes
