#pragma once

#include "cmd/machine.hpp"
#include "config/model.hpp"
#include "etcd/client.hpp"
#include "kube/client.hpp"

#include <optional>

namespace kubestrap::cmd {

/// etcd's members, as this control plane node reaches them: the one on this machine, else those that etcd's pods or the cluster's
/// configuration name. `client` may be null: there is no API. Throws Error where no member or no credentials are known.
etcd::Client connectEtcd(Machine& machine, const config::Cluster& cluster, kube::Client* client);

} // namespace kubestrap::cmd
