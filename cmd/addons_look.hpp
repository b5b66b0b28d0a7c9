#pragma once
// What add-ons there are: manifests on this machine, and the cluster's records.

#include "config/model.hpp"
#include "host/cri.hpp"
#include "host/host.hpp"
#include "kube/client.hpp"

#include <functional>
#include <string>

namespace kubestrap::cmd {

/// Reads the manifests of those add-ons of the configuration that `wanted` says; a bundle that is still to be put in place counts as if it
/// were. Throws Problems for all that is wrong with them.
void takeAddons(config::Setup& setup, host::Host& host, const std::function<bool(const std::string& name)>& wanted);

/// What the cluster has of every add-on that there is; and of those that were read, what was there before them.
void takeAddonRecords(config::Setup& setup, kube::Client& client);

/// Throws Error (refused) where the runtime of this machine lacks an image of the add-ons that were read.
void refusePulls(const config::Setup& setup, host::Cri& runtime);

} // namespace kubestrap::cmd
