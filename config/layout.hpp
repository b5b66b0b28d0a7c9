#pragma once

#include "config/load.hpp"

#include <vector>

namespace kubestrap::config {

/// Where neither documents nor flags say it, a new cluster's layout (decision D6): hosted, unless something is asked for that does not go
/// with it: an endpoint or an etcd of the operator's, or addresses of IPv6. `plainHere`: this machine has a control plane of layout plain already.
void chooseLayout(const std::vector<Document>& documents, InitFlags& flags, bool plainHere);

} // namespace kubestrap::config
