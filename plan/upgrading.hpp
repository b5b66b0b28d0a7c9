#pragma once
// What an upgrade has to know of a node and its cluster before anything is changed. Only reads.

#include "config/model.hpp"
#include "plan/resource.hpp"
#include "plan/world.hpp"

#include <string>
#include <string_view>

namespace kubestrap::plan {

/// Fills in `request.upgrading`: what this machine says, and what the cluster does. A cluster that does not answer is no error: why, is
/// told in `unreachable`.
void lookAtUpgrade(config::Setup& setup, const EtcdAccess& etcd, World& world);

/// The same for `reconfigure`, as far as that needs it.
void lookAtControlPlanes(config::Setup& setup, const EtcdAccess& etcd, World& world);

/// Looks anew at which other control planes are still to be upgraded, where this is one. What cannot be seen stays as it was seen before, and why is returned.
std::string lookForOthers(config::Setup& setup, const Access& access, World& world);

/// Of the API server's metrics: the outdated versions of APIs that somebody has asked for since it started, and that will be gone one day.
std::vector<config::Upgrading::Api> deprecatedApis(std::string_view metrics);

} // namespace kubestrap::plan
