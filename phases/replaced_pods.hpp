#pragma once
// The static pods of a plain control plane node as they shall be, in place of those that are there, and the way back to these: what `upgrade` and
// `reconfigure` have in common. How things were is in request.upgrading.

#include "config/facts.hpp"
#include "plan/phase.hpp"

#include <initializer_list>
#include <string>
#include <string_view>

namespace kubestrap::phases {

using Names = std::initializer_list<std::string_view>;

/// A control plane of layout plain. Of layout hosted all but the kubelet is the roll's.
bool ownsItsControlPlane(const config::Setup& setup);

/// The image that a component's pod has in this manifest; empty: it is none of that component.
std::string imageIn(const std::string& manifest, std::string_view component);
/// The image that it shall have, patches included.
std::string wantedImage(const config::Setup& setup, std::string_view component);

/// What the way back needs, and a run that finds no API server; nothing where nothing is replaced.
plan::Resources backup(const config::Setup& setup, const plan::Phase& phase);
/// What an earlier run has kept is the way back still: it may have changed something since.
plan::Resources noBackup(const config::Setup& setup, const plan::Phase& phase);
plan::Resources keptNoLonger(std::string reason);

/// These pods are as they shall be, and ready. Where one is not, all of them end at once, when it is this node's turn.
plan::Resources running(const config::Setup& setup, Names names);
/// A component is ready, as its manifest shall be.
plan::Condition isReady(const config::Setup& setup, std::string_view component);
/// Other control planes may have their turn.
plan::Resources turnGivenBack(const config::Setup& setup);

/// The way back: these pods as they were, but for an etcd that is well: its data may not suit the former one any more, and it serves the
/// former API server as well. Who has not got the turn in the first place has nothing to put back, unless an earlier run has left something.
plan::Resources putBack(const config::Setup& setup, Names names);
/// After all that was to be put back.
plan::Resources wayBackEnds(const config::Setup& setup);

/// The kubelet goes by this node's own API server while that is away.
bool leavesItsBalancer(const config::Setup& setup);
/// A kubelet is never newer than the API server that it speaks to: on a control plane that is its own.
plan::Resources kubeletKubeconfig(const config::Setup& setup, const plan::Phase& phase);

} // namespace kubestrap::phases
