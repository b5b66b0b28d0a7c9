#pragma once
// repair: a DaemonSet of the control plane that is gone or ruined is made again, of what stands by on this node. Pure: one look in, the next
// step out (plan/next.hpp). Static pods serve meanwhile: those that the guards have promoted, or that are asked for here.

#include "phases/pivot.hpp"
#include "support/value.hpp"

#include <map>
#include <optional>
#include <set>
#include <string>

namespace kubestrap::phases::repair {

/// What stands by on this node for a component.
struct Standby {
  Value pod;
  manifests::Slot slot = manifests::Slot::rescue;
};

struct Seen {
  pivot::Seen controlPlane;
  std::map<std::string, Value> daemonSets;  ///< as the API has them
  std::map<std::string, Standby> standbys;  ///< of this node; none: it is made from the configuration
};

/// What is to be repaired: components, and whether they are made anew whatever they look like.
struct Wanted {
  std::set<std::string> components;
  bool anyway = false;
};

/// Why a DaemonSet has to be made again; empty: it need not.
std::string ruinOf(const std::string& component, const Seen& seen);

/// `remade`: those that were made again in this run already.
plan::Next next(const Wanted& wanted, const config::Setup& setup, const Seen& seen, const std::set<std::string>& remade);

} // namespace kubestrap::phases::repair
