#pragma once

#include "config/join.hpp"
#include "plan/report.hpp"
#include "plan/world.hpp"

#include <optional>
#include <string>
#include <vector>

namespace kubestrap::cmd {

/// What the join workflow needs to know of a cluster that exists: found by discovery, or, on a machine that has joined already, by its own
/// kubeconfig. Only reads, and throws before anything is written: for a token, a hash or a key that is wrong, for a Node of this name
/// that is Ready, for control plane files that are missing or of another cluster.
/// What it sees of other machines goes into `facts`. `certificates` is the Secret kubeadm-certs where it was brought along; else the cluster is asked.
config::Setup learnAboutCluster(config::JoinRequest wanted, const std::optional<Value>& certificates, config::Facts& facts, plan::World& world, plan::Reporter& reporter,
                                std::vector<std::string>& warnings);

} // namespace kubestrap::cmd
