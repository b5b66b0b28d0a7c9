#pragma once

#include "config/model.hpp"
#include "manifests/components.hpp"

#include <array>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace kubestrap::manifests {

// The hosted layout (decision D6): an instance of kube-apiserver, kube-controller-manager or kube-scheduler listens on a
// loopback address of its own, its slot, with the component's usual port, and the front of the node leads to those that are ready. So
// two instances of a component run side by side on a node, and each can be asked by itself.

/// blue and green: the pods of DaemonSets, whose revisions alternate. rescue: the static pod from the standby of this node. previous: the
/// one before, should that one not work.
enum class Slot { blue, green, rescue, previous };
inline constexpr std::array allSlots{Slot::blue, Slot::green, Slot::rescue, Slot::previous};

std::string_view slotName(Slot slot);    ///< "blue"
std::string_view slotAddress(Slot slot); ///< "127.64.43.1"
/// Throws Error for a name that is none.
Slot slotOf(std::string_view name);
inline Slot otherColour(Slot slot) { return slot == Slot::blue ? Slot::green : Slot::blue; }

/// The components that have slots, in the order in which they are needed: kube-apiserver first.
inline constexpr std::array<std::string_view, 3> hostedComponents{"kube-apiserver", "kube-controller-manager", "kube-scheduler"};

/// A pod of a DaemonSet has to last for so long before the one that it follows ends. What it is good for is asked meanwhile: an API server by itself, as long as the other one takes what leads
/// back; the others have nothing to show before they lead (phases/roll.cpp).
constexpr std::chrono::seconds minReady(std::string_view component) { return std::chrono::seconds(component == "kube-apiserver" ? 10 : 2); }

/// Labels and annotations.
inline constexpr std::string_view componentLabel = "kubestrap.io/component";   ///< on pods of both kinds
inline constexpr std::string_view hostingLabel = "kubestrap.io/hosting";       ///< self: a DaemonSet's pod; rescue: a static one
inline constexpr std::string_view selfHostedLabel = "kubestrap.io/self-hosted"; ///< "true" on Nodes that DaemonSets' pods may come to
inline constexpr std::string_view slotAnnotation = "kubestrap.io/slot";         ///< of a template: "blue"
/// On a template: a sign of what its component reads once, as it was when the template came. Another sign makes new pods of it.
inline constexpr std::string_view readAnnotation = "kubestrap.io/read";
/// Counts the times that a standby was promoted; the mirror pod that has it proves that the kubelet has taken that manifest up.
inline constexpr std::string_view activationAnnotation = "kubestrap.io/activation";
/// On a Node: the components, with commas between them, whose static pod is not to be taken away; "" is none of them.
inline constexpr std::string_view heldAnnotation = "kubestrap.io/held";

/// Whether control planes of the cluster have slots.
bool isHosted(const config::Cluster& cluster);

/// The port of a component on its slots.
int slotPort(const Component& component, const config::Setup& setup);
/// The port that the command line in a pod of its says; nothing: it does not.
std::optional<int> servingPort(const Component& component, const Value& pod);
/// What says that an instance is ready: "/readyz", "/healthz".
std::string_view readyPath(const Component& component);

/// The static pod of the rescue slot as init and join write it: the plain pod with slot, probes and environment of this layout. Called
/// "kube-apiserver-rescue"; its only references are to paths of the machine, since a static pod may have no others.
Value rescuePod(const Component& component, const config::Setup& setup);

/// The DaemonSet (surge 1, unavailable 0) whose pods run in `slot` on nodes with both labels.
Value daemonSet(const Component& component, const config::Setup& setup, Slot slot, int revision);

/// The DaemonSet whose pods are in `slot` what a standby is in its own, rescue or previous: rescuePodOf's opposite.
Value daemonSetOf(const Component& component, const Value& standby, Slot of, Slot slot, int revision);

/// What a component reads that goes on by the template that it has.
struct Reading {
  std::string sign;        ///< of all that it reads once: "ca:0123456789abcdef", the authority and a digest
  std::string before = {}; ///< the sign of what was read when a template has none of this authority
  std::string signer = {}; ///< of kube-controller-manager: the file of the certificate by which it signs; empty: as it is
  friend bool operator==(const Reading&, const Reading&) = default;
};
/// The DaemonSet of a template that is in force, in another slot, for a component that is to read again.
Value daemonSetReading(const Component& component, const Value& podTemplate, const Reading& reading, Slot slot, int revision);
/// Whether pods of the template have read that.
bool hasRead(const Component& component, const Value& podTemplate, const Reading& reading);
/// --cluster-signing-cert-file of a controller-manager's template.
std::string signerOf(const Component& component, const Value& podTemplate);

/// The rescue pod of a DaemonSet's pod template: the same container in the slot rescue, without what only API servers understand. Throws
/// Error for a template that a static pod cannot be made of (references to objects of the API, no slot, ports).
Value rescuePodOf(const Component& component, const Value& podTemplate);
/// The standby before it: another name and slot, so that both can run.
Value previousPodOf(const Component& component, const Value& rescuePod);
/// With the count of the promotion, which makes it a new pod to the kubelet.
Value activated(Value rescuePod, int activation);
/// Whether a static pod may have all that is in it. Nothing, or what it may not have.
std::string notFitForStaticPod(const Value& pod);

/// "/etc/kubernetes/manifests/rescue-kube-apiserver.yaml", "rescue-prev-kube-apiserver.yaml": what the kubelet runs when it is there.
/// `slot` is rescue or previous.
config::Path rescueManifest(const Component& component, Slot slot);
/// "/etc/kubernetes/kubestrap/standby/current/kube-apiserver.yaml", ".../previous/...": what is put there when it is needed.
config::Path standby(const Component& component, Slot slot);
/// "/etc/kubernetes/kubestrap/credentials/kube-scheduler": a folder with "kubeconfig", which the component's pod mounts.
config::Path credentialsFolder(const Component& component);

} // namespace kubestrap::manifests
