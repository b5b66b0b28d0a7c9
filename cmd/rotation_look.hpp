#pragma once
// What is seen of the rotation of an authority: on this machine, on other nodes by what they report, and in the cluster.

#include "kube/client.hpp"
#include "phases/rotation.hpp"
#include "plan/world.hpp"

#include <string>
#include <vector>

namespace kubestrap::cmd {

/// Whether both generations are on this machine.
bool isPrepared(host::Host& host, const std::string& authority);
/// Throws Error (refused) on a control plane that a rotation has left between two authorities: `what` would write its components' files as they are
/// without one.
void refuseWhileRotating(host::Host& host, std::string_view what);
/// Both generations as they are on this machine, as far as they are there: where nothing has been prepared, the present one is the former.
phases::rotation::Material materialHere(host::Host& host, const config::Cluster& cluster, const std::string& authority);
/// What a wish needs to know of this machine's files, for both a look and the work.
phases::rotation::Wish wishHere(host::Host& host, const std::string& authority, phases::rotation::Material material, phases::rotation::Stage stage);

/// How far this machine is. It is settled at a stage when the engine would change nothing there.
phases::rotation::NodeSeen lookHere(const config::Setup& setup, const std::string& authority, const phases::rotation::Material& material, plan::World& world);

/// For the log of a pod, and back.
std::string reportOf(const phases::rotation::NodeSeen& seen, host::Host& host, const config::Cluster& cluster);
void takeReport(phases::rotation::NodeSeen& seen, const std::string& log);

/// Whom the cluster's objects tell everybody to trust.
void lookAtTold(phases::rotation::Seen& seen, const std::string& authority, const phases::rotation::Material& material, kube::Client& client);

/// What only people can bring up to date: webhooks, aggregated APIs and conversions with the former authority in their bundle; of service
/// accounts, Secrets with tokens that the former key has signed.
std::vector<std::string> holdersOfFormer(const std::string& authority, const phases::rotation::Material& material, kube::Client& client);

} // namespace kubestrap::cmd
