// Static pods that take the place of others: one node of a control plane after the other, with the way back.
#include "phases/replaced_pods.hpp"

#include "manifests/components.hpp"
#include "manifests/front.hpp"
#include "manifests/hosted.hpp"
#include "manifests/static_pods.hpp"
#include "phases/node.hpp"
#include "phases/upgrade.hpp"
#include "support/error.hpp"
#include "support/text.hpp"
#include "support/yaml.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::phases {

namespace {

using config::Setup;
using manifests::Component;
using plan::Phase;
using plan::Resources;

const config::Upgrading& upgrading(const Setup& setup) { return setup.request.upgrading; }

std::optional<Value> former(const Setup& setup, std::string_view component) {
  const auto found = upgrading(setup).manifests.find(std::string(component));
  if (found == upgrading(setup).manifests.end()) return std::nullopt;
  return parseYamlValue(found->second, std::string(component) + ".yaml");
}

std::string imageOf(const Value& pod, std::string_view component) {
  const auto* container = manifests::containerOf(pod, component);
  return container ? stringAt(*container, "image") : "";
}

std::string flagOf(const Value& pod, std::string_view component, std::string_view flag) {
  const auto* container = manifests::containerOf(pod, component);
  const auto* command = container ? find(*container, "command") : nullptr;
  const auto prefix = fmt::format("--{}=", flag);
  if (command && command->is_array())
    for (const auto& word : *command)
      if (word.is_string() && word.get<std::string>().starts_with(prefix)) return word.get<std::string>().substr(prefix.size());
  return {};
}

/// etcd reads who its members are in its first start only: what the manifest says of it stays.
Value wantedEtcd(const Setup& setup) {
  const auto was = former(setup, "etcd");
  const bool joined = was && flagOf(*was, "etcd", "initial-cluster-state") == "existing";
  return manifests::etcdPod(setup, joined ? flagOf(*was, "etcd", "initial-cluster") : "");
}

Value wantedPod(const Component& component, const Setup& setup) {
  return component.name == "etcd" ? wantedEtcd(setup) : component.pod(setup);
}

/// One that is no version counts as the oldest.
Version versionOfImage(const std::string& image) { return readVersion(manifests::tagOf(image)).value_or(Version{}); }

/// etcd is left where the operator said so, and never goes back to an older version.
bool upgradesEtcd(const Setup& setup) {
  if (!setup.cluster.etcd.isLocal() || !upgrading(setup).upgradesEtcd) return false;
  const auto was = former(setup, "etcd");
  return !was || !(versionOfImage(setup.cluster.images.etcd) < versionOfImage(imageOf(*was, "etcd")));
}

enum class Which { wanted, former };

struct Pod {
  const Component* component;
  Value document;
  plan::StaticPod pod;
};

std::vector<Pod> podsOf(const Setup& setup, Which which, Names names) {
  std::vector<Pod> pods;
  for (const auto name : names) {
    if (name == "etcd" && !upgradesEtcd(setup)) continue;
    const auto& component = manifests::component(name);
    auto document = which == Which::wanted ? std::optional(wantedPod(component, setup)) : former(setup, name);
    if (!document) continue;
    plan::StaticPod pod{std::string(name), imageOf(*document, name), manifests::manifestPath(component)};
    pods.push_back({&component, *std::move(document), std::move(pod)});
  }
  return pods;
}

std::string readinessUrl(const Pod& pod) {
  auto url = manifests::livenessUrl(*pod.component, pod.document);
  const auto& live = pod.component->livenessPath;
  const auto& ready = pod.component->readinessPath.empty() ? live : pod.component->readinessPath;
  return url.substr(0, url.size() - live.size()) + std::string(ready);
}

plan::Condition ready(const Setup& setup, const Pod& pod) {
  plan::Condition condition{.patience = setup.request.timeouts.controlPlaneComponentHealthCheck,
                            .hint = fmt::format("look at its log below /var/log/pods/kube-system_{}-{}_*", pod.pod.component, setup.node.name),
                            .fatal = {plan::UnitFails{"kubelet"}, plan::StaticPodFails{pod.pod}}};
  if (pod.component->name == "kube-apiserver") {
    condition.probe = plan::ApiServerAnswers{asAdmin(setup), "/readyz"};
    condition.what = fmt::format("kube-apiserver is ready at {}/readyz", apiServerOf(setup));
  } else {
    const auto url = readinessUrl(pod);
    condition.probe = plan::ComponentHealthy{pod.pod.component, url};
    condition.what = fmt::format("{} is ready at {}", pod.pod.component, url);
  }
  return condition;
}

bool isFormer(const Setup& setup, const Pod& wanted) {
  const auto was = former(setup, wanted.pod.component);
  return was && sameDocument(*was, wanted.document);
}

const config::Path dataCopy = upgradeFolder / "etcd";

/// What the one member of etcd has stored, for another version of it. Of several members none may go back in time, nor one that may be of several.
std::optional<plan::ReplaceStaticPods::Data> dataOf(const Setup& setup, plan::ReplaceStaticPods::Data::Does does) {
  const auto etcd = podsOf(setup, Which::wanted, {"etcd"});
  if (etcd.empty() || isFormer(setup, etcd.front()) || upgrading(setup).etcd.members.size() != 1) return std::nullopt;
  return plan::ReplaceStaticPods::Data{"etcd", setup.cluster.etcd.local.dataDir, dataCopy, readinessUrl(etcd.front()), does, upgrading(setup).now};
}

/// Of two control planes that are away at once etcd misses two members, which of three are too many, and of two there is no API left.
plan::Turn turnOf(const Setup& setup) {
  const auto& timeouts = setup.request.timeouts;
  const Duration away = timeouts.upgradeManifests + timeouts.controlPlaneComponentHealthCheck * 2;
  return {.access = asAdmin(setup), .lease = std::string(plan::controlPlaneTurn), .holder = setup.node.name, .validFor = away, .patience = away * 2};
}

plan::ReplaceStaticPods::Among among(const Setup& setup) {
  return {.turn = turnOf(setup),
          .etcd = etcdAccessOf(setup.cluster, asAdmin(setup)),
          .member = setup.cluster.etcd.isLocal() ? manifests::etcdClientUrl(setup.node) : "",
          .patience = setup.request.timeouts.etcdAPICall};
}

/// By its balancer a kubelet comes to another node's API server while its own is away. Of two control planes that one has no etcd then, and hangs, and the kubelet with it; its own refuses at once.
std::optional<plan::Kubeconfig> withoutBalancer(const Setup& setup) {
  if (!manifests::hasFront(setup.cluster) || upgrading(setup).etcd.members.size() != 2) return std::nullopt;
  auto kubeconfig = rotatedKubeletConf(setup);
  kubeconfig.server = apiServerOf(setup);
  return kubeconfig;
}

Resources snapshot(const Setup& setup) {
  const auto etcd = podsOf(setup, Which::wanted, {"etcd"});
  if (etcd.empty() || isFormer(setup, etcd.front())) return {};
  return {plan::Task{plan::SaveEtcdSnapshot{.access = etcdAccessOf(setup.cluster, asAdmin(setup)),
                                            .endpoint = manifests::etcdClientUrl(setup.node),
                                            .file = upgradeSnapshot,
                                            .newerThan = upgradeConfiguration}}};
}

} // namespace

bool ownsItsControlPlane(const Setup& setup) { return setup.node.controlPlane && !manifests::isHosted(setup.cluster); }

std::string imageIn(const std::string& manifest, std::string_view component) { return imageOf(parseYamlValue(manifest, std::string(component) + ".yaml"), component); }

std::string wantedImage(const Setup& setup, std::string_view component) { return imageOf(wantedPod(manifests::component(component), setup), component); }

plan::Condition isReady(const Setup& setup, std::string_view component) { return ready(setup, podsOf(setup, Which::wanted, {component}).front()); }

Resources turnGivenBack(const Setup& setup) { return {plan::Task{plan::GiveTurnBack{turnOf(setup)}}}; }

bool leavesItsBalancer(const Setup& setup) { return withoutBalancer(setup).has_value(); }

Resources backup(const Setup& setup, const Phase&) {
  if (!ownsItsControlPlane(setup)) return {};
  const auto pods = podsOf(setup, Which::wanted, {"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"});
  if (std::ranges::all_of(pods, [&](const auto& each) { return isFormer(setup, each); })) return {};
  Resources resources{plan::File{.path = upgradeConfiguration, .content = upgrading(setup).configuration, .mode = 0600, .folderMode = 0700}};
  for (const auto& [component, manifest] : upgrading(setup).manifests)
    resources.push_back(plan::File{.path = formerManifest(component), .content = manifest, .mode = 0600, .compare = plan::Compare::presence, .folderMode = 0700});
  if (const auto& members = upgrading(setup).etcd.members; !members.empty())
    resources.push_back(plan::File{.path = upgradeEtcdMembers, .content = join(members, "\n") + "\n", .mode = 0600, .folderMode = 0700});
  append(resources, snapshot(setup));
  return resources;
}

Resources keptNoLonger(std::string reason) {
  return {plan::Absent{.path = upgradeFolder / "manifests", .depth = plan::Absent::Depth::tree, .reason = reason},
          plan::Absent{.path = upgradeEtcdMembers, .reason = reason},
          plan::Absent{.path = upgradeConfiguration, .reason = reason}};
}

Resources noBackup(const Setup& setup, const Phase&) { return upgrading(setup).goesOn ? Resources{} : keptNoLonger("nothing was changed"); }

Resources running(const Setup& setup, Names names) {
  const auto pods = podsOf(setup, Which::wanted, names);
  if (pods.empty()) return {};
  plan::ReplaceStaticPods replace{.pods = {}, .patience = setup.request.timeouts.upgradeManifests, .data = {}, .among = among(setup)};
  for (const auto& each : pods) {
    replace.pods.push_back({each.pod, emitYaml(each.document), {}});
    if (each.component->name == "etcd") replace.data = dataOf(setup, plan::ReplaceStaticPods::Data::Does::keep);
    if (each.component->name == "kube-apiserver") replace.kubelet = withoutBalancer(setup);
  }
  Resources resources{plan::Task{std::move(replace)}};
  for (auto each = pods.rbegin(); each != pods.rend(); ++each) {
    resources.push_back(ready(setup, *each));
    // From here on something is written that must not be lost: there is no way back to the copy any more.
    if (each->component->name == "etcd") resources.push_back(plan::Absent{.path = dataCopy, .depth = plan::Absent::Depth::tree, .reason = "etcd is well"});
  }
  return resources;
}

Resources kubeletKubeconfig(const Setup& setup, const Phase&) {
  if (!ownsItsControlPlane(setup)) return {};
  Resources resources{rotatedKubeletConf(setup)};
  append(resources, kubeletTakesUpItsKubeconfig(setup));
  return resources;
}

Resources putBack(const Setup& setup, Names names) {
  const auto pods = podsOf(setup, Which::former, names);
  if (pods.empty()) return {};
  plan::ReplaceStaticPods replace{.pods = {}, .patience = setup.request.timeouts.upgradeManifests, .data = {}, .among = among(setup)};
  replace.among->turn.patience = setup.request.timeouts.kubernetesAPICall;
  replace.among->member.clear(); // an etcd that is well is left
  replace.among->takes = plan::ReplaceStaticPods::Among::Takes::whereItServes;
  for (const auto& each : pods) {
    const bool isEtcd = each.component->name == "etcd";
    replace.pods.push_back({each.pod, emitYaml(each.document), isEtcd ? readinessUrl(each) : ""});
    if (isEtcd) replace.data = dataOf(setup, plan::ReplaceStaticPods::Data::Does::putBack);
  }
  Resources resources{plan::Task{std::move(replace)}};
  for (auto each = pods.rbegin(); each != pods.rend(); ++each) resources.push_back(ready(setup, *each));
  return resources;
}

Resources wayBackEnds(const Setup& setup) {
  auto resources = turnGivenBack(setup);
  if (leavesItsBalancer(setup)) append(resources, kubeletKubeconfig(setup, {}));
  resources.push_back(plan::Absent{.path = dataCopy, .depth = plan::Absent::Depth::tree, .reason = "it was put back"});
  append(resources, keptNoLonger("what was begun was taken back"));
  return resources;
}

} // namespace kubestrap::phases
