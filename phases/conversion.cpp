#include "phases/conversion.hpp"

#include "config/store.hpp"
#include "manifests/addons.hpp"
#include "manifests/cluster_objects.hpp"
#include "manifests/front.hpp"
#include "manifests/guard.hpp"
#include "manifests/hosted.hpp"
#include "manifests/node_op.hpp"
#include "phases/certificates.hpp"
#include "phases/hosted.hpp"
#include "phases/node.hpp"
#include "support/encoding.hpp"
#include "support/text.hpp"
#include "support/yaml.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace kubestrap::phases::conversion {

namespace {

using config::Cluster;
using config::EndpointMode;
using config::Layout;
using plan::Next;
using plan::Resources;
using plan::Step;
using plan::Stuck;
using plan::Waiting;

constexpr std::array<std::string_view, 2> layouts{"plain", "hosted"};
constexpr auto forNode = std::chrono::minutes(2), forGuard = std::chrono::minutes(2), onNodePatience = std::chrono::minutes(15);
constexpr std::string_view endpointAnnotation = "kubestrap.io/endpoint";

bool isAddress(const std::string& host) { return IpAddress::parse(host).has_value(); }
std::string madeUpName(const Cluster& cluster) { return fmt::format("api.{}.internal", lower(cluster.name)); }

std::optional<Stuck> cannotBeHosted(const Cluster& present, const Goal& goal) {
  if (!present.etcd.isLocal())
    return Stuck{"etcd is elsewhere, and a control plane of layout hosted has its own", "stay with layout plain"};
  if (present.networks.services.front().isV6()) return Stuck{"hosted has slots on IPv4's loopback only, and the cluster's addresses are IPv6", "stay with layout plain"};
  const auto& endpoint = goal.endpoint ? goal.endpoint : present.controlPlaneEndpoint;
  if (endpoint && isAddress(endpoint->host))
    return Stuck{fmt::format("controlPlaneEndpoint is the address {}, and on every node a name has to stand for that node's balancer", endpoint->string()),
                 fmt::format("give it a name: --control-plane-endpoint {}; the address stays in the API servers' certificates", madeUpName(present))};
  return std::nullopt;
}

std::optional<Stuck> cannotBePlain(const Goal& goal, std::size_t controlPlanes) {
  if (goal.endpointMode == EndpointMode::single && !goal.endpoint && controlPlanes > 1)
    return Stuck{fmt::format("there are {} control planes, and endpoint.mode single has one", controlPlanes),
                 "keep the balancers, or name what leads to all of them with --endpoint-mode external"};
  return std::nullopt;
}

} // namespace

std::string_view name(Layout layout) { return layouts[static_cast<std::size_t>(layout)]; }

Layout layoutOf(const std::string& text) {
  const auto found = std::ranges::find(layouts, text);
  if (found == layouts.end()) throw Error(text.empty() ? "the layout was not given" : fmt::format("there is no layout {}", text), "--to hosted, or --to plain", ExitCode::usage);
  return static_cast<Layout>(found - layouts.begin());
}

Cluster converted(Cluster cluster, const Goal& goal, int port) {
  const auto former = cluster.controlPlaneEndpoint;
  cluster.kubestrap.layout = goal.layout;
  if (goal.endpointMode) cluster.kubestrap.endpointMode = *goal.endpointMode;
  if (goal.layout == Layout::hosted && !manifests::hasFront(cluster)) cluster.kubestrap.endpointMode = EndpointMode::local;
  if (goal.endpoint) cluster.controlPlaneEndpoint = goal.endpoint;
  if (manifests::hasFront(cluster)) {
    if (!cluster.controlPlaneEndpoint) cluster.controlPlaneEndpoint = config::Endpoint{madeUpName(cluster), port};
  } else {
    cluster.kubestrap.vip.reset();
    // The name that was made up means nothing where no balancer stands behind it.
    if (cluster.controlPlaneEndpoint && cluster.kubestrap.endpointMode == EndpointMode::single && cluster.controlPlaneEndpoint->host == madeUpName(cluster))
      cluster.controlPlaneEndpoint.reset();
  }
  // Whoever still goes by the former one finds it in the certificates.
  auto& names = cluster.apiServerCertSANs;
  if (former && goal.endpoint && former->host != goal.endpoint->host && std::ranges::find(names, former->host) == names.end()) names.push_back(former->host);
  return cluster;
}

std::optional<Stuck> refusal(const Cluster& present, const Goal& goal, std::size_t controlPlanes) {
  return goal.layout == Layout::hosted ? cannotBeHosted(present, goal) : cannotBePlain(goal, controlPlanes);
}

namespace {

// ---- in the cluster

Resources by(const plan::Access& access, std::vector<Value> documents, plan::ApplyMode mode = plan::ApplyMode::apply) {
  Resources all;
  for (auto& document : documents) all.push_back(plan::Object{.document = std::move(document), .mode = mode, .access = access});
  return all;
}

std::vector<Value> rightsOf(const Cluster& cluster) {
  auto all = manifests::guardRules(cluster);
  for (auto* part : {&manifests::keepEndpointsPolicy, &manifests::guardRailsPolicy})
    for (auto& each : part()) all.push_back(std::move(each));
  return all;
}

Value nameOf(const Value& document) {
  Value metadata = Value::object({{"name", stringAt(document, "metadata.name")}});
  if (const auto space = stringAt(document, "metadata.namespace"); !space.empty()) metadata["namespace"] = space;
  return Value::object({{"apiVersion", stringAt(document, "apiVersion")}, {"kind", stringAt(document, "kind")}, {"metadata", std::move(metadata)}});
}

Value guardLease(const NodeSeen& node) {
  return Value::object({{"apiVersion", "coordination.k8s.io/v1"}, {"kind", "Lease"},
                        {"metadata", Value::object({{"name", manifests::guardLease(node.name)}, {"namespace", "kube-system"}})}});
}

/// What guards and pivot have written on a Node.
Value withoutWishes(const NodeSeen& node) {
  return Value::object({{"apiVersion", "v1"}, {"kind", "Node"},
                        {"metadata", Value::object({{"name", node.name},
                                                    {"annotations", Value::object({{manifests::heldAnnotation, Value()}, {manifests::allowUnlabelAnnotation, Value()}})}})}});
}

bool isHosted(const Intent& intent) { return manifests::isHosted(intent.setup.cluster); }

} // namespace

Resources rights(const Intent& intent, const std::vector<NodeSeen>& nodes) {
  const auto& access = intent.nodes.access;
  auto documents = rightsOf(intent.setup.cluster);
  if (isHosted(intent)) return by(access, std::move(documents));
  for (auto& each : manifests::putBackRights()) documents.push_back(std::move(each)); // of a roll that nobody has brought to its end
  // Bindings before what they bind.
  std::ranges::reverse(documents);
  for (auto& document : documents) document = nameOf(document);
  auto all = by(access, std::move(documents), plan::ApplyMode::absent);
  for (const auto& node : nodes) {
    if (!node.controlPlane) continue;
    append(all, by(access, {guardLease(node)}, plan::ApplyMode::absent));
    append(all, by(access, {withoutWishes(node)}, plan::ApplyMode::mark));
  }
  return all;
}

Resources told(const Intent& intent) {
  const auto& setup = intent.setup;
  Resources all{plan::Object{.document = manifests::clusterInfo(),
                             .access = intent.nodes.access,
                             .fills = {{Pointer(std::string(manifests::clusterInfoKubeconfigAt)),
                                        plan::DiscoveryKubeconfig{setup.outsideEndpoint().url(), certificateFile(setup.cluster, "ca")}}}}};
  if (!intent.kubeProxy) return all;
  for (auto& document : manifests::kubeProxy(setup))
    if (stringAt(document, "kind") == "ConfigMap") append(all, by(intent.nodes.access, {std::move(document)}));
  // Its pods read their kubeconfig once: another template makes new ones.
  const auto annotations = Value::object({{endpointAnnotation, setup.publicEndpoint().string()}});
  append(all, by(intent.nodes.access,
                 {Value::object({{"apiVersion", "apps/v1"}, {"kind", "DaemonSet"}, {"metadata", Value::object({{"name", "kube-proxy"}, {"namespace", "kube-system"}})},
                                 {"spec", Value::object({{"template", Value::object({{"metadata", Value::object({{"annotations", annotations}})}})}})}})},
                 plan::ApplyMode::mark));
  return all;
}

Resources stored(const Intent& intent) {
  auto all = by(intent.nodes.access, manifests::uploadedKubeadmConfig(intent.setup.cluster));
  append(all, by(intent.nodes.access, manifests::uploadedKubestrapConfig(intent.setup.cluster)));
  return all;
}

plan::RunOnNode runOn(const Intent& intent, const std::string& node, OnNode what) {
  const auto& [cluster, self, request] = intent.setup;
  std::vector<std::string> command{"kubestrap", "node", "convert", "--cluster", base64(config::storedText(cluster)), "--endpoint", intent.endpoint};
  for (const auto& [other, endpoint] : request.apiServers) command.insert(command.end(), {"--api-server", fmt::format("{}={}", other, endpoint.string())});
  if (!intent.patches.empty()) command.insert(command.end(), {"--patches", intent.patches});
  if (intent.force) command.emplace_back("--force");
  if (what == OnNode::look) command.emplace_back("--look");
  return {.access = intent.nodes.access,
          .pod = manifests::nodeOpPod(intent.nodes.image, node, "convert", command),
          .what = what == OnNode::look ? fmt::format("{}: how far it is", node) : fmt::format("{}: layout {}", node, name(cluster.kubestrap.layout)),
          .patience = onNodePatience};
}

namespace {

// ---- what comes next

enum class Part { rights, node, told, stored };
struct Coming {
  Part part = Part::stored;
  const NodeSeen* node = nullptr;
};

bool isDone(const Coming& each, const Seen& seen) {
  switch (each.part) {
  case Part::rights: return seen.rights;
  case Part::node: return each.node->converted;
  case Part::told: return seen.told;
  case Part::stored: return seen.stored;
  }
  return true;
}

/// Whoever is led somewhere finds it there: balancers come before those that are told of them, and go after them. What the cluster keeps of itself
/// comes last, so that it says where a conversion came from until it is over.
std::vector<Coming> inOrder(const Intent& intent, const Seen& seen) {
  std::vector<Coming> controlPlanes, workers, order;
  for (const auto& node : seen.nodes) (node.controlPlane ? controlPlanes : workers).push_back({Part::node, &node});
  const auto add = [&](const std::vector<Coming>& all) { order.insert(order.end(), all.begin(), all.end()); };
  const bool hosted = isHosted(intent), balanced = manifests::hasFront(intent.setup.cluster);
  if (hosted) add({{Part::rights}});
  if (!balanced) add({{Part::told}});
  add(balanced ? controlPlanes : workers);
  add(balanced ? workers : controlPlanes);
  if (balanced) add({{Part::told}});
  if (!hosted) add({{Part::rights}});
  add({{Part::stored}});
  return order;
}

std::string stepName(const Intent& intent, const NodeSeen& node) {
  if (node.controlPlane) return fmt::format("{}: layout {}", node.name, name(intent.setup.cluster.kubestrap.layout));
  return fmt::format("{}: {}", node.name, manifests::hasFront(intent.setup.cluster) ? "goes by a balancer of its own" : "goes by the cluster's endpoint");
}

Step step(const Intent& intent, const Seen& seen, const Coming& coming) {
  switch (coming.part) {
  case Part::rights:
    return {isHosted(intent) ? "guards may do their work, and policies protect it" : "what guards may do, and what protects them, is removed", rights(intent, seen.nodes)};
  case Part::told: return {fmt::format("cluster-info and kube-proxy go by {}", intent.setup.publicEndpoint().string()), told(intent)};
  case Part::stored: return {"the cluster's configuration says so", stored(intent)};
  case Part::node: break;
  }
  const auto& node = *coming.node;
  if (node.name == intent.setup.node.name) return {stepName(intent, node), onNode(intent.setup, intent.here)};
  return {stepName(intent, node), {plan::Task{runOn(intent, node.name, OnNode::work)}}};
}

std::optional<Next> inTheWay(const Intent& intent, const Seen& seen) {
  std::vector<std::string> obstacles;
  for (const auto& node : seen.nodes)
    for (const auto& each : node.obstacles) obstacles.push_back(fmt::format("{}: {}", node.name, each));
  if (!obstacles.empty())
    return Stuck{join(obstacles, "; "), intent.force ? "" : fmt::format("put it right, then: kubestrap {}", intent.command)};
  for (const auto& node : seen.nodes) {
    if (!node.ready)
      return Waiting{fmt::format("{} is Ready", node.name), "its kubelet does not say so", forNode,
                     fmt::format("look at the kubelet of {}: journalctl -u kubelet; or take it out: kubestrap node remove {}", node.name, node.name)};
    if (isHosted(intent) && node.controlPlane && node.converted && !node.guarded)
      return Waiting{fmt::format("the guard of {} reports", node.name), "it has not yet", forGuard,
                     fmt::format("look at: kubectl -n kube-system logs kubestrap-guard-{}", node.name)};
  }
  return std::nullopt;
}

} // namespace

Next next(const Intent& intent, const Seen& seen) {
  if (seen.selfHosted) {
    if (isHosted(intent)) return plan::Done{};
    return Stuck{"the control plane runs in its own cluster", "first: kubestrap unpivot"};
  }
  if (auto trouble = inTheWay(intent, seen)) return *std::move(trouble);
  for (const auto& coming : inOrder(intent, seen))
    if (!isDone(coming, seen)) return step(intent, seen, coming);
  return plan::Done{};
}

Seen assumed(const Intent& intent, Seen seen, const Next& done) {
  if (!std::holds_alternative<Step>(done)) return seen;
  for (const auto& coming : inOrder(intent, seen)) {
    if (isDone(coming, seen)) continue;
    switch (coming.part) {
    case Part::rights: seen.rights = true; break;
    case Part::told: seen.told = true; break;
    case Part::stored: seen.stored = true; break;
    case Part::node: {
      auto& node = *std::ranges::find(seen.nodes, coming.node->name, &NodeSeen::name);
      node.converted = node.guarded = true;
      break;
    }
    }
    break;
  }
  return seen;
}

} // namespace kubestrap::phases::conversion
