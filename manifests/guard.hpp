#pragma once

#include "config/model.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace kubestrap::manifests {

// The guard of a hosted control plane node: the pod beside the front that promotes and demotes standbys (phases/guard.hpp says when), who
// it is to the cluster, and what it may do there.

/// Its static pod. It has no credentials but its own kubeconfig, no capability, and nothing listens.
Value guardPod(const config::Setup& setup);
config::Path guardManifest();
/// Where the guard tells of itself on its own machine; a folder that is empty after each start.
inline constexpr std::string_view guardStatusFolder = "/run/kubestrap";

/// Who guards are to the API: "kubestrap:guard:n1", in this group.
inline constexpr std::string_view guardUser = "kubestrap:guard:", guardGroup = "kubestrap:guards";
/// "kubestrap-guard-n1": the Lease in kube-system by which a guard tells of itself.
std::string guardLease(std::string_view node);
/// An annotation of that Lease: what the guard sees and does, as JSON.
inline constexpr std::string_view guardAnnotation = "kubestrap.io/guard";
/// A label of it, for whoever looks for guards.
inline constexpr std::string_view guardLabel = "kubestrap.io/guard";

/// What node.json says: "bootstrap", "selfhosted" or "leaving", and the components that are held.
Value nodeState(std::string_view mode, const std::vector<std::string>& held);
/// The first node.json: all components are held until pivot lets them go.
Value bootstrapState();

/// What guards may do, as roles and bindings, and a policy without which a guard could write the Leases of others.
std::vector<Value> guardRules(const config::Cluster& cluster);

/// What guards may do besides for as long as a roll goes on: put the revision before in force again. A role and its binding.
std::vector<Value> putBackRights();
/// What keeps guards from doing anything else with these rights: it has to be there before they are.
std::vector<Value> putBackPolicy();
inline constexpr std::string_view putBackRole = "kubestrap:guard-put-back";

/// Forbids that the addresses of the Service kubernetes are emptied (decision D20): an API server that stops, or starts, removes its own.
std::vector<Value> keepEndpointsPolicy();

/// Let a DaemonSet of the control plane be deleted, and a node lose its label, all the same.
inline constexpr std::string_view allowDeleteAnnotation = "kubestrap.io/allow-delete", allowUnlabelAnnotation = "kubestrap.io/allow-unlabel";
/// Refuses changes of the control plane's DaemonSets and of nodes' labels that would take a control plane down, and says what to do instead.
std::vector<Value> guardRailsPolicy();

} // namespace kubestrap::manifests
