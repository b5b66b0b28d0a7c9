#pragma once
// What a guard tells of itself: the same document in its Lease and on its machine.

#include "phases/guard.hpp"
#include "support/time.hpp"
#include "support/value.hpp"

#include <array>
#include <string>

namespace kubestrap::guard {

/// `standbys`: the revisions of what would be promoted, "" where there is nothing.
Value report(const std::string& node, const phases::guard::Seen& seen, const phases::guard::Decision& decision,
             const std::array<std::string, phases::guard::count>& standbys);
/// The guard's Lease with the report in it; `now` is for readers, no guard goes by it.
Value leaseOf(const std::string& node, const Value& report, TimePoint now);

/// What is remembered over a restart of the guard, though not of the machine: demotions, patience, and how a roll came out.
Value memory(const phases::guard::State& state);
/// Puts it into a state that begins. What is none of it is passed over.
void recall(const Value& memory, phases::guard::State& state);

} // namespace kubestrap::guard
