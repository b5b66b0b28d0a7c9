#pragma once
// A control plane goes from one layout to the other, node by node, while the cluster goes on: from kubeadm's, or kubestrap's own plain one, to
// hosted (adoption), and back (hand-back); docs/design/convert.md. Pure: what is seen of the nodes in, the next step out (plan/next.hpp), and
// for one node what shall be true of its files and components.

#include "config/model.hpp"
#include "phases/node_reset.hpp"
#include "plan/next.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kubestrap::phases::conversion {

/// What is asked for.
struct Goal {
  config::Layout layout = config::Layout::hosted;
  std::optional<config::EndpointMode> endpointMode = {}; ///< of layout plain; nothing: as it is
  std::optional<config::Endpoint> endpoint = {};         ///< another controlPlaneEndpoint; nothing: as it is
};

/// "hosted"
std::string_view name(config::Layout layout);
/// Throws Error (usage) for a name that is none.
config::Layout layoutOf(const std::string& name);

/// The cluster's configuration once it is as is asked for. `port` is the API servers'.
config::Cluster converted(config::Cluster cluster, const Goal& goal, int port);

/// Why a cluster cannot become so, by its configuration; nothing: it can.
std::optional<plan::Stuck> refusal(const config::Cluster& present, const Goal& goal, std::size_t controlPlanes);

// ---- one node

/// As long as a node is on its way this file says where to: its API server may be away, and then nobody else can tell.
inline const config::Path underWay = config::paths::state / "conversion.yaml";

/// What only the machine of the node knows.
struct Here {
  bool superAdmin = false; ///< super-admin.conf is here
  /// What `underWay` is to say; empty: whether it is there does not matter. A node is looked at that way.
  std::string record = {};
};

/// What shall be true of a node, in the order that takes its API server away for the shortest time; `setup` has the cluster as it shall be.
plan::Resources onNode(const config::Setup& setup, const Here& here);

/// Static pods of layout plain that are not as the configuration says would lose what was changed by hand: one sentence each.
/// `manifests` are those that are there, by component.
std::vector<std::string> changedByHand(const config::Setup& setup, const std::map<std::string, std::string>& manifests);

// ---- over all nodes

struct NodeSeen {
  std::string name;
  bool controlPlane = false, ready = true;
  bool converted = false;                  ///< the engine would change nothing there
  bool guarded = true;                     ///< of a converted control plane of layout hosted: its guard reports
  std::vector<std::string> obstacles = {}; ///< why its machine cannot be converted
};

struct Seen {
  std::vector<NodeSeen> nodes; ///< this machine first
  bool selfHosted = false;     ///< the control plane runs in its own cluster, or is on its way there
  bool rights = false;         ///< of guards, and policies: as wanted
  bool told = false;           ///< cluster-info and kube-proxy go by the endpoint that is wanted
  bool stored = false;         ///< the cluster's configuration is as wanted
};

struct Intent {
  config::Setup setup; ///< of the machine that drives; the cluster as it shall be
  Here here;
  NodeAccess nodes;
  std::string endpoint;        ///< where kubelets without a balancer find the API: "https://10.0.0.11:6443"
  bool kubeProxy = false;      ///< the cluster has one
  bool force = false;          ///< what was changed by hand may be lost
  std::string patches = {};    ///< a folder, on every control plane
  std::string command = {};    ///< by which it is gone on with: "convert --to hosted"
};

plan::Next next(const Intent& intent, const Seen& seen);
/// The look after a step that went well.
Seen assumed(const Intent& intent, Seen seen, const plan::Next& done);

/// In the cluster: what guards may do, and policies; of layout plain their absence, and that of what guards have left.
plan::Resources rights(const Intent& intent, const std::vector<NodeSeen>& nodes);
/// By which endpoint others find the API: joining machines, and kube-proxy.
plan::Resources told(const Intent& intent);
/// The cluster's configuration.
plan::Resources stored(const Intent& intent);

/// What tells how far another node is; or, with `work`, brings it there.
enum class OnNode { look, work };
/// By a pod on that node.
plan::RunOnNode runOn(const Intent& intent, const std::string& node, OnNode what);

} // namespace kubestrap::phases::conversion
