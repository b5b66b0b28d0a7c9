#pragma once
// rescue: a component is kept as a static pod on one node, whatever its DaemonSet does, until it is handed back to the guard. Pure.

#include "config/model.hpp"
#include "manifests/hosted.hpp"
#include "plan/resource.hpp"

#include <map>
#include <set>
#include <string>
#include <vector>

namespace kubestrap::phases::rescue {

/// What can be promoted of a component.
struct Standby {
  manifests::Slot slot = manifests::Slot::rescue; ///< or previous, where the present one is unfit
  Value pod;
  bool promoted = false; ///< it is already
  bool besides = false;  ///< the one before it is promoted, which is enough for the guard
};

struct Seen {
  bool apiAnswers = false, guardRuns = false;
  std::string mode = "selfhosted";  ///< of node.json
  std::set<std::string> held;       ///< by the Node's word, or node.json's while there is no API
  std::map<std::string, Standby> standbys;
  int activation = 0; ///< how many promotions there have been
};

using Components = std::vector<std::string>;

/// The components are held and serve. The guard promotes them; where none runs, it is done here.
plan::Resources hold(const config::Setup& setup, const Components& components, const Seen& seen);
/// The guard decides about them again: it takes the static pod away once a pod of the DaemonSet serves.
plan::Resources release(const config::Setup& setup, const Components& components, const Seen& seen);
/// What stands by is made anew from the configuration.
plan::Resources standbysOf(const config::Setup& setup, const Components& components);

} // namespace kubestrap::phases::rescue
