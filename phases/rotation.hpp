#pragma once
// An authority, or the service account key, is replaced by another one over all nodes of a cluster that goes on working: both are trusted,
// then the next one signs, then the former is dropped; docs/design/rotate-ca.md. Pure: what is seen of the nodes in, the next step out
// (plan/next.hpp), and for one node what shall be true of its files and components.

#include "phases/node_reset.hpp"

#include "config/model.hpp"
#include "phases/roll.hpp"
#include "plan/next.hpp"

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kubestrap::phases::rotation {

/// What can be rotated: "sa", "front-proxy-ca", "etcd-ca", "ca".
std::vector<std::string> rotatable();
/// Whether workers know it too.
bool isKnownToWorkers(std::string_view authority);

/// How far a node is. Its file of the authority says it: who is in it, and who is the first.
enum class Stage {
  former,  ///< the former alone
  trusted, ///< both, and the former signs
  issuing, ///< both, and the next one signs
  dropped  ///< the next one alone
};
std::string_view name(Stage stage);
std::optional<Stage> parseStage(std::string_view name);

/// A certificate, or of "sa" a public key, in PEM; and the key, which only control planes have.
struct Generation {
  std::string certificate;
  Secret key;
};
struct Material {
  Generation former, next;
  std::string bridge; ///< the next one's key, certified by the former; empty: not of this kind of authority
};

/// Whether the kubelet's client certificate follows. It cannot before every controller-manager signs as is wanted.
enum class Kubelet { asItIs, follows };

/// What shall be true of one node.
struct Wish {
  std::string authority;
  Stage stage = Stage::trusted;
  Kubelet kubelet = Kubelet::follows;
  /// At its end, and what only the rotation needed has been removed already: that is not missed.
  bool forgotten = false;
  Material material;
  std::map<std::string, std::string> manifests; ///< of components, as they are
  std::string kubeletConf;                      ///< as it is, but that it trusts whom it shall
};
plan::Resources onNode(const config::Setup& setup, const Wish& wish);
/// Whom its file of the authority trusts, in PEM.
std::string trusted(const Wish& wish);

/// What a component of a control plane that runs in its own cluster reads once, and the file that a controller-manager may name as the one by
/// which it signs: instead of the authority's own, which has two certificates meanwhile.
std::map<std::string, manifests::Reading> readings(const Wish& wish, const config::Cluster& cluster);
config::Path signerFile(const config::Cluster& cluster);

/// Both generations are on the machine that drives, and the next one has been made.
plan::Resources prepared(const config::Setup& setup, const std::string& authority);
/// Where they lie as long as it takes: "next.crt", "former.key".
config::Path staged(std::string_view authority, std::string_view file);
plan::Resources forgotten(const std::string& authority);
/// The authority's own file, and its key's.
config::Path trustFile(const config::Cluster& cluster, std::string_view authority);
config::Path keyFileOf(const config::Cluster& cluster, std::string_view authority);

// ---- over all nodes

struct NodeSeen {
  std::string name;
  bool controlPlane = false, ready = true;
  Stage stage = Stage::former;
  bool settled = false;           ///< all of it is as the stage wants
  bool settledButKubelet = false; ///< all but the kubelet's certificate
  bool staged = false;            ///< it still has what only the rotation needs
  Duration since = {};            ///< its file of the authority was written
  std::string receiver = {};      ///< a certificate, in PEM, for whose key secrets can be sealed
};

/// Whom an object of the cluster tells everybody to trust.
struct Told {
  bool former = false, next = false;
};
struct Seen {
  bool prepared = false;       ///< both generations are here
  std::vector<NodeSeen> nodes; ///< this machine first
  std::optional<Told> clusterInfo;
  std::optional<Told> rootCertificates;  ///< kube-root-ca.crt: `next` only if it is in all namespaces, `former` if in any
  std::optional<Told> aggregation;       ///< extension-apiserver-authentication
  bool uploaded = false;                 ///< kubeadm-certs is there, with the keys
  Duration issuedFor{};                  ///< since every control plane lets the next one sign
  std::optional<roll::Seen> hosted;      ///< of a control plane that runs in its own cluster
  std::optional<roll::Failure> failure;  ///< of its components' way to what they have to read
};

enum class Direction { onward, back };
enum class Former { stays, goes };
/// Whether another generation may be made: not when one was seen in this run, since then it is over.
enum class Beginning { allowed, over };

struct Intent {
  config::Setup setup; ///< of the machine that drives
  std::string authority;
  Direction direction = Direction::onward;
  Former former = Former::stays; ///< onward: whether it is dropped in the end
  Beginning beginning = Beginning::allowed;
  Duration soak{};               ///< that tokens live for: so long the next one signs before the former goes
  NodeAccess nodes;
  Material material;
  std::map<std::string, std::string> manifests;
  std::map<Stage, std::string> kubeletConfs; ///< of the machine that drives, as each stage wants it
};

plan::Next next(const Intent& intent, const Seen& seen);
/// Components of a control plane that runs in its own cluster follow together, when the files of all nodes are at a stage: what they have to
/// read then. Nothing: it is not their turn.
std::optional<roll::Intent> rollNow(const Intent& intent, const Seen& seen);
/// The look after a step that went well.
Seen assumed(const Intent& intent, Seen seen, const plan::Next& done);

/// Where the next authority's key waits for another node, sealed for it, and as which member.
std::string secretOf(const std::string& node);
inline constexpr std::string_view keyMember = "next.key";

/// The command that does on another node what is wanted there; without a stage it only tells how far the node is.
std::vector<std::string> commandOnNode(const Intent& intent, std::optional<Stage> stage, Kubelet kubelet);
/// By a pod on that node.
plan::RunOnNode runOn(const Intent& intent, const std::string& node, const std::string& what, std::vector<std::string> command);

} // namespace kubestrap::phases::rotation
