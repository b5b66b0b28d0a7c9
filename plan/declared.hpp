#pragma once

#include "support/value.hpp"

#include <string>
#include <vector>

namespace kubestrap::plan {

/// A place in a document, as Pointer for programs and dotted for people.
struct Place {
  Pointer at;
  std::string dotted;
};

/// Members that an earlier apply of ours owns in the live object, and the document no longer has.
std::vector<Place> ownedButUnwanted(const Value& live, const Value& wanted);

/// The live object as far as `wanted` speaks of it, so that the two can be laid beside each other: the members that it names, in its
/// order, in its own words where they mean the same, and those that go since they are ours and unwanted. Nothing of what the server or
/// others have added.
Value asDeclared(const Value& live, const Value& wanted);

} // namespace kubestrap::plan
