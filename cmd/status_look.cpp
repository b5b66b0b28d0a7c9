// What the cluster shows of itself, by whichever API server answers, and etcd, which may answer when none does.
#include "cmd/status_look.hpp"

#include "cmd/control_plane.hpp"
#include "cmd/etcd_access.hpp"
#include "cmd/node_look.hpp"
#include "cmd/own_cluster.hpp"

#include "config/rolling.hpp"
#include "etcd/health.hpp"
#include "kube/reading.hpp"
#include "manifests/components.hpp"
#include "manifests/guard.hpp"
#include "phases/taints.hpp"
#include "phases/webhooks.hpp"
#include "plan/leaving.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::cmd {

namespace {

using namespace phases::status;
namespace paths = config::paths;

constexpr std::string_view admission = "admissionregistration.k8s.io/v1";

void describe(const config::Cluster& cluster, Seen& seen) {
  seen.cluster = cluster.name;
  seen.version = cluster.version.tag();
  seen.layout = manifests::isHosted(cluster) ? "hosted" : "plain";
  seen.hosting = cluster.kubestrap.hosting == config::Hosting::self ? "self" : "static";
  if (cluster.controlPlaneEndpoint) seen.endpoint = cluster.controlPlaneEndpoint->string();
}

// ---- nodes and pods

NodeSeen nodeSeen(const Value& node) {
  NodeSeen seen{.name = stringAt(node, "metadata.name"),
                .address = addressOf(node),
                .kubelet = stringAt(node, "status.nodeInfo.kubeletVersion"),
                .controlPlane = kube::isControlPlane(node),
                .ready = kube::isReady(node)};
  seen.addresses = kube::internalAddresses(node);
  if (const auto* labels = find(node, "metadata.labels")) seen.labels = *labels;
  if (const auto* taints = find(node, "spec.taints")) seen.taints = *taints;
  if (const auto* annotations = find(node, "metadata.annotations")) {
    seen.givenLabels = annotations->value(std::string(phases::status::givenLabelsNotice), "");
    seen.givenTaints = annotations->value(std::string(phases::fleet::givenTaintsNotice), "");
    seen.settingsFollow = annotations->contains(std::string(config::settingsFollowNotice));
  }
  const auto* unschedulable = find(node, "spec.unschedulable");
  seen.schedulable = !unschedulable || *unschedulable != true;
  const auto* status = find(node, "status");
  if (!status) return seen;
  for (const auto& each : status->value("conditions", Value::array()))
    if (stringAt(each, "type") == "Ready" && !seen.ready) seen.trouble = stringAt(each, "message");
  return seen;
}

/// "CrashLoopBackOff", or how it has ended; empty where nothing is wrong.
std::string troubleOf(const Value& pod) {
  if (const auto phase = stringAt(pod, "status.phase"); phase == "Failed") return fmt::format("{} ({})", phase, stringAt(pod, "status.reason", "no reason given"));
  const auto* status = find(pod, "status");
  const auto containers = status ? status->value("containerStatuses", Value::array()) : Value::array();
  for (const auto& each : containers)
    if (const auto reason = stringAt(each, "state.waiting.reason"); !reason.empty()) return fmt::format("{} {}", reason, stringAt(each, "state.waiting.message"));
  return {};
}

std::string slotOf(const Value& pod) {
  if (const auto slot = kube::annotationOf(pod, manifests::slotAnnotation)) return *slot;
  const auto name = stringAt(pod, "metadata.name");
  if (kube::labelOf(pod, manifests::hostingLabel) != "rescue") return {};
  return std::string(manifests::slotName(name.find("-rescue-prev-") == std::string::npos ? manifests::Slot::rescue : manifests::Slot::previous));
}

PodSeen podSeen(const Value& pod) {
  PodSeen seen{.node = stringAt(pod, "spec.nodeName"), .component = kube::labelOf(pod, "component").value_or(""), .slot = slotOf(pod), .version = {}, .trouble = troubleOf(pod)};
  if (const auto* container = manifests::containerOf(pod, seen.component)) seen.version = manifests::tagOf(stringAt(*container, "image"));
  seen.ready = kube::isReady(pod);
  return seen;
}

std::optional<TimePoint> momentAt(const Value& object, std::string_view path) {
  const auto text = stringAt(object, path);
  return text.empty() ? std::nullopt : std::optional(parseRfc3339(text));
}

void lookAtPlan(kube::Client& client, Seen& seen) {
  const auto plan = client.get({"v1", "ConfigMap", "kube-system", std::string(config::planName)});
  if (!plan) return;
  seen.plan = PlanSeen{.operation = stringAt(*plan, "data.operation"),
                       .state = stringAt(*plan, "data.state"),
                       .holder = stringAt(*plan, "data.holder"),
                       .step = stringAt(*plan, "data.step"),
                       .since = momentAt(*plan, "data.since"),
                       .refreshed = momentAt(*plan, "data.refreshed")};
}

// ---- etcd

EtcdMemberSeen memberSeen(const etcd::MemberHealth& health) {
  EtcdMemberSeen seen{.name = health.member.name,
                      .id = health.member.hexId(),
                      .endpoint = join(health.member.clientUrls, ","),
                      .version = {},
                      .learner = health.member.learner,
                      .leads = health.leads(),
                      .alarms = health.alarms,
                      .silent = health.silent};
  if (!health.status) return seen;
  seen.version = health.status->version;
  seen.seesLeader = health.status->leaderId != 0;
  seen.size = health.status->dbSize;
  seen.inUse = health.status->dbSizeInUse;
  seen.quota = health.status->quota;
  return seen;
}

void lookAtEtcd(Machine& machine, const config::Cluster& cluster, kube::Client* client, Seen& seen) {
  if (!seen.machine.controlPlane) return;
  try {
    auto etcd = connectEtcd(machine, cluster, client);
    for (const auto& each : etcd::look(etcd)) seen.etcd.members.push_back(memberSeen(each));
    std::ranges::sort(seen.etcd.members, {}, &EtcdMemberSeen::name);
  } catch (const Interrupted&) {
    throw;
  } catch (const Error& error) {
    seen.etcd.silent = error.message();
  }
}

// ---- what doctor asks besides

/// Whether somebody is ready behind a Service; nothing: the webhook is not in the cluster.
std::optional<bool> isServed(kube::Client& client, const std::string& backend) {
  const auto slash = backend.find('/');
  if (backend.starts_with("https://") || slash == std::string::npos) return {};
  for (const auto& slice : client.list("discovery.k8s.io/v1", "EndpointSlice", backend.substr(0, slash), "kubernetes.io/service-name=" + backend.substr(slash + 1)))
    for (const auto& endpoint : slice.value("endpoints", Value::array())) {
      const auto* ready = find(endpoint, "conditions.ready");
      if (!ready || *ready == true) return true;
    }
  return false;
}

/// The pods that have to be made for a control plane to live.
std::vector<Labels> controlPlanePods() {
  std::vector<Labels> all;
  for (const auto component : manifests::hostedComponents) {
    const std::string name(component);
    all.push_back({{"component", name}, {"tier", "control-plane"}, {std::string(manifests::componentLabel), name}, {std::string(manifests::hostingLabel), "self"}});
  }
  return all;
}

void lookAtWebhooks(kube::Client& client, Seen& seen) {
  const auto nameSpace = client.get({"v1", "Namespace", "", "kube-system"});
  const auto labels = nameSpace ? kube::labelsOf(*nameSpace) : Labels{};
  for (const auto* kind : {"ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"})
    for (auto configuration : client.list(std::string(admission), kind, "")) {
      configuration["kind"] = kind; // items of a list may lack it
      for (auto& hook : webhooksOf(configuration, labels, controlPlanePods())) {
        if (!hook.catchesPods) continue;
        hook.served = isServed(client, hook.backend);
        seen.webhooks.push_back(std::move(hook));
      }
    }
}

/// The API server notes by its own clock when a kubelet has written its Lease, and the kubelet says in it what its clock was.
void lookAtClocks(kube::Client& client, Seen& seen) {
  for (const auto& lease : client.list("coordination.k8s.io/v1", "Lease", "kube-node-lease")) {
    const auto renewed = momentAt(lease, "spec.renewTime");
    std::optional<TimePoint> written;
    const auto* entries = find(lease, "metadata.managedFields");
    if (!entries || !renewed) continue;
    for (const auto& entry : *entries)
      if (const auto time = momentAt(entry, "time")) written = std::max(written.value_or(*time), *time);
    // It notes whole seconds.
    if (written) seen.clocks[stringAt(lease, "metadata.name")] = *renewed - *written - std::chrono::milliseconds(500);
  }
}

void lookAtCluster(Machine& machine, kube::Client& client, Depth depth, Seen& seen) {
  std::optional<config::Cluster> cluster;
  // What may not be read (a worker's own credentials may read next to nothing) is left empty.
  whatCanBe("the configuration", [&] { cluster = storedCluster(client); });
  if (cluster) describe(*cluster, seen);
  whatCanBe("the control plane", [&] { seen.controlPlane = lookAtControlPlane(client, seen.now); });
  whatCanBe("nodes", [&] {
    for (const auto& node : client.list("v1", "Node", "")) seen.nodes.push_back(nodeSeen(node));
  });
  std::ranges::sort(seen.nodes, {}, &NodeSeen::name);
  whatCanBe("pods", [&] {
    for (const auto& pod : client.list("v1", "Pod", "kube-system", "tier=control-plane")) seen.pods.push_back(podSeen(pod));
  });
  whatCanBe("the plan", [&] { lookAtPlan(client, seen); });
  lookAtEtcd(machine, cluster.value_or(config::Cluster{}), &client, seen);
  if (depth == Depth::glance) return;
  whatCanBe("webhooks", [&] { lookAtWebhooks(client, seen); });
  whatCanBe("clocks", [&] { lookAtClocks(client, seen); });
}

} // namespace

std::vector<Finding> findingsAfterwards(const std::function<Seen()>& look, plan::Clock& clock) {
  constexpr auto patience = std::chrono::seconds(60), pause = std::chrono::seconds(3);
  const auto begin = clock.now();
  for (;;) {
    auto findings = judge(look());
    if (std::ranges::none_of(findings, mayPass) || clock.now() - begin >= patience) return findings;
    clock.sleep(pause);
  }
}

Seen lookForStatus(Machine& machine, const std::optional<std::string>& kubeconfig, Depth depth) {
  Seen seen{.now = machine.clock().now()};
  lookAtMachine(machine, depth, seen);
  auto& host = machine.host();
  auto path = kubeconfig ? std::filesystem::absolute(*kubeconfig) : paths::adminConf;
  if (!kubeconfig && !host.status(path)) path = paths::kubeletConf;
  const auto text = host.read(path);
  if (!text && !seen.machine.controlPlane)
    throw Error(fmt::format("this machine is no node, and {} is absent", path.string()), "run this on a control plane node, or name an administrator's file with --kubeconfig", ExitCode::usage);
  if (!text) {
    seen.silent = fmt::format("{} is absent", path.string());
    return seen;
  }
  std::optional<kube::Client> client;
  try {
    const auto parsed = kube::parseKubeconfig(*text, path.string());
    auto world = machine.world();
    client.emplace(machine.http(), parsed, plan::answeringServer(parsed, world));
  } catch (const Interrupted&) {
    throw;
  } catch (const Error& error) {
    seen.silent = error.message();
  }
  if (client) {
    lookAtCluster(machine, *client, depth, seen);
  } else {
    seen.layout = host.status(paths::nodeState) ? "hosted" : "";
    lookAtEtcd(machine, {}, nullptr, seen);
  }
  return seen;
}

} // namespace kubestrap::cmd
