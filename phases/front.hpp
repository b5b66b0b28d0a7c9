#pragma once
// The balancer of a node (endpoint.mode local): what init and join say of it. Without it every list is empty.

#include "plan/phase.hpp"

namespace kubestrap::phases {

/// Its image is in the runtime.
plan::Resources frontImage(const config::Setup& setup);
/// Its files and its pod are there, and the control plane's name stands for this machine. A pod that has to be another one is
/// overlapped by one of the other slot, which takes the listening socket over, and only then goes.
plan::Resources front(const config::Setup& setup, const plan::Phase& phase);
/// A balancer of this manifest in this slot; those of other slots go once it lets connections through, and not before: from then on it has
/// the listening sockets, and they only what they had accepted. The sign tells that waiting for it is in vain.
plan::Resources frontInSlot(const config::Setup& setup, const std::string& slot, std::string manifest, plan::FatalSign sign);
/// It leads to an API server that answers; asked with this kubeconfig.
plan::Resources frontAnswers(const config::Setup& setup, const config::Path& kubeconfig);
/// So does the virtual address, of endpoint.mode vip.
plan::Resources vipAnswers(const config::Setup& setup, const config::Path& kubeconfig);
/// The cluster tells everybody of this node's API server, and so all balancers of it.
plan::Resources apiServerIsTold(const config::Setup& setup, const plan::Access& access);

} // namespace kubestrap::phases
