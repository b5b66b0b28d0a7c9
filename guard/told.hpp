#pragma once
// What the API tells a guard, and what that means for its decisions. Pure.

#include "phases/guard.hpp"
#include "support/value.hpp"

#include <array>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace kubestrap::guard {

/// Documents as they came in one round. Nothing: it was not learned, which is another thing than that there is none.
struct Told {
  using Absentable = std::optional<std::optional<Value>>; ///< outer: learned; inner: there
  phases::guard::Moment at{};
  Absentable node, plan;
  std::optional<bool> unlabelledAtPeer;
  std::array<Absentable, phases::guard::count> daemonSets;
  std::optional<std::vector<Value>> pods; ///< of this node, with the component's label
  std::optional<std::map<std::string, Value>> leases; ///< of kube-system, by name
  std::string version; ///< of an API server that answered: "v1.37.2"; may be empty
};

phases::guard::Membership membershipIn(const Told::Absentable& node);
/// What is held as the Node says; nothing: it does not say.
std::optional<std::set<phases::guard::Component>> heldIn(const Told::Absentable& node);
phases::guard::Plan planIn(const Told::Absentable& plan);
/// When its driver gave its last sign, as it says; "" without a plan, nothing: not learned.
std::optional<std::string> planSignIn(const Told::Absentable& plan);
/// What the driver of an operation that runs has noted of the component that it rolls; nothing: no note, or not learned.
std::optional<phases::guard::Rolling> rollingIn(const Told::Absentable& plan);
/// A DaemonSet, and what lies here as standby of it.
phases::guard::DaemonSetSeen daemonSetIn(phases::guard::Component component, const std::optional<Value>& daemonSet, const std::optional<Value>& standby);
/// Whether the standby is more than a minor version behind.
bool isTooOld(const std::optional<Value>& standby, const std::string& version);

/// Puts into `seen` all that was told.
void put(const Told& told, const std::string& node, const std::array<std::optional<Value>, phases::guard::count>& standbys, phases::guard::Seen& seen);

} // namespace kubestrap::guard
