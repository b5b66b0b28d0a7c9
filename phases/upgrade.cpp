// The story of `upgrade` in the plain layout: one node of a control plane after the other, then the workers. In the layout hosted a control plane has
// nothing but its kubelet from here. The tables at the end are read from top to bottom.
#include "phases/upgrade.hpp"
#include "phases/workflows.hpp"

#include "manifests/cluster_objects.hpp"
#include "manifests/components.hpp"
#include "manifests/front.hpp"
#include "manifests/hosted.hpp"
#include "manifests/kubelet.hpp"
#include "manifests/static_pods.hpp"
#include "phases/bundle.hpp"
#include "phases/certificates.hpp"
#include "phases/hosted.hpp"
#include "phases/in_cluster.hpp"
#include "phases/node.hpp"
#include "phases/renewal.hpp"
#include "phases/security.hpp"
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
namespace paths = config::paths;
using Names = std::initializer_list<std::string_view>;

const config::Upgrading& upgrading(const Setup& setup) { return setup.request.upgrading; }

// ---- the static pods, as they were and as they shall be

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

plan::Condition isReady(const Setup& setup, const Pod& pod) {
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

/// The pods are as they shall be, and ready.
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
    resources.push_back(isReady(setup, *each));
    // From here on something is written that must not be lost: there is no way back to the copy any more.
    if (each->component->name == "etcd") resources.push_back(plan::Absent{.path = dataCopy, .depth = plan::Absent::Depth::tree, .reason = "etcd is well"});
  }
  return resources;
}

// ---- preflight

/// Of layout hosted all but the kubelet is the roll's.
bool ownsItsControlPlane(const Setup& setup) { return setup.node.controlPlane && !manifests::isHosted(setup.cluster); }

Resources images(const Setup& setup, const Phase&) { return ownsItsControlPlane(setup) ? controlPlaneImages(setup) : Resources{}; }

// ---- backup

Resources snapshot(const Setup& setup) {
  const auto etcd = podsOf(setup, Which::wanted, {"etcd"});
  if (etcd.empty() || isFormer(setup, etcd.front())) return {};
  return {plan::Task{plan::SaveEtcdSnapshot{.access = etcdAccessOf(setup.cluster, asAdmin(setup)),
                                            .endpoint = manifests::etcdClientUrl(setup.node),
                                            .file = upgradeSnapshot,
                                            .newerThan = upgradeConfiguration}}};
}

/// What the way back needs, and a run that finds no API server; nothing where nothing is replaced.
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

/// What an earlier run has kept is the way back still: it may have changed something since.
Resources noBackup(const Setup& setup, const Phase&) { return upgrading(setup).goesOn ? Resources{} : keptNoLonger("nothing was changed"); }

// ---- control-plane

Resources certificates(const Setup& setup) {
  Resources resources;
  if (!upgrading(setup).renewsCertificates) return resources;
  if (setup.cluster.etcd.isLocal())
    append(resources, renewedCertificates(setup, {"etcd-server", "etcd-peer", "etcd-healthcheck-client", "apiserver-etcd-client"}));
  append(resources, renewedCertificates(setup, {"apiserver", "apiserver-kubelet-client", "front-proxy-client"}));
  for (const auto& component : manifests::components())
    if (!component.kubeconfig.empty()) append(resources, renewedKubeconfig(setup, component.kubeconfig));
  return resources;
}

/// A component whose manifest stays as it was takes its kubeconfig up all the same.
Resources takesUpItsKubeconfig(const Setup& setup, std::string_view name) {
  if (!upgrading(setup).renewsCertificates) return {};
  return {plan::Task{plan::RestartStaticPod{staticPodOf(setup, name), {paths::kubernetes / manifests::component(name).kubeconfig}}},
          isReady(setup, podsOf(setup, Which::wanted, {name}).front())};
}

/// The API server and etcd are away together, once: an API server without its etcd hangs, and the kubelet with it, for a minute and more.
Resources controlPlane(const Setup& setup, const Phase& phase) {
  if (!ownsItsControlPlane(setup)) return {};
  auto resources = certificates(setup);
  append(resources, auditLog(setup));
  append(resources, running(setup, {"kube-apiserver", "etcd"}));
  // From here on the API server is new; the others may be older than it, and never newer.
  append(resources, running(setup, {"kube-controller-manager", "kube-scheduler"}));
  for (const auto* name : {"kube-controller-manager", "kube-scheduler"}) append(resources, takesUpItsKubeconfig(setup, name));
  resources.push_back(plan::Task{plan::GiveTurnBack{turnOf(setup)}});
  if (upgrading(setup).renewsCertificates) append(resources, renewedAdministrators(setup, phase));
  return resources;
}

/// A kubelet is never newer than the API server that it speaks to: on a control plane that is its own.
Resources kubeletKubeconfig(const Setup& setup, const Phase&) {
  if (!ownsItsControlPlane(setup)) return {};
  Resources resources{rotatedKubeletConf(setup)};
  append(resources, kubeletTakesUpItsKubeconfig(setup));
  return resources;
}

/// The way back: everything as it was, but for an etcd that is well: its data may not suit the former one any more, and it serves the
/// former API server as well. Who has not got the turn in the first place has nothing to put back, unless an earlier run has left something.
Resources formerControlPlane(const Setup& setup, const Phase&) {
  if (!ownsItsControlPlane(setup)) return {};
  const auto pods = podsOf(setup, Which::former, {"kube-scheduler", "kube-controller-manager", "kube-apiserver", "etcd"});
  if (pods.empty()) return {};
  plan::ReplaceStaticPods replace{.pods = {}, .patience = setup.request.timeouts.upgradeManifests, .data = {}, .among = among(setup)};
  replace.among->turn.patience = setup.request.timeouts.kubernetesAPICall;
  replace.among->member.clear(); // an etcd that is well is left
  replace.among->takes = plan::ReplaceStaticPods::Among::Takes::whereItServes;
  for (const auto& each : pods)
    replace.pods.push_back({each.pod, emitYaml(each.document), each.component->name == "etcd" ? readinessUrl(each) : ""});
  replace.data = dataOf(setup, plan::ReplaceStaticPods::Data::Does::putBack);
  Resources resources{plan::Task{std::move(replace)}};
  for (auto each = pods.rbegin(); each != pods.rend(); ++each) resources.push_back(isReady(setup, *each));
  resources.push_back(plan::Task{plan::GiveTurnBack{turnOf(setup)}});
  if (withoutBalancer(setup)) append(resources, kubeletKubeconfig(setup, {}));
  resources.push_back(plan::Absent{.path = dataCopy, .depth = plan::Absent::Depth::tree, .reason = "it was put back"});
  append(resources, keptNoLonger("the upgrade was taken back"));
  return resources;
}

// ---- the kubelet

Resources kubeletSettings(const Setup& setup, const Phase&) {
  Resources resources{plan::File{.path = paths::kubeletInstanceConfig,
                                 .content = emitYaml(manifests::kubeletInstanceConfig(setup)),
                                 .compare = plan::Compare::presence},
                      plan::File{.path = paths::kubeletConfig, .content = emitYaml(manifests::kubeletConfig(setup)), .compare = plan::Compare::document},
                      plan::Service{.name = "kubelet", .restartWhenChanged = {paths::kubeletConfig}}};
  append(resources, kubeletIsHealthy(setup));
  return resources;
}

Resources kubeletProgram(const Setup& setup, const Phase&) {
  const auto& program = upgrading(setup).kubeletProgram;
  if (program.empty()) return {};
  using plan::Drain;
  const auto alone = upgrading(setup).force ? Drain::Alone::ended : Drain::Alone::refused;
  Resources resources{plan::Task{Drain{asAdmin(setup), setup.node.name, upgrading(setup).drainPatience, alone, Drain::Node::returns}}};
  append(resources, kubeletSwapped(setup, program));
  resources.push_back(plan::Task{plan::Uncordon{asAdmin(setup), setup.node.name}});
  return resources;
}

/// A node whose kubelet is the former one still takes pods again; of another the operator is told.
Resources kubeletStays(const Setup& setup, const Phase&) {
  const auto& program = upgrading(setup).kubeletProgram;
  if (program.empty()) return {};
  return {plan::Task{plan::Uncordon{asAdmin(setup), setup.node.name, plan::Uncordon::Unless{program, kubeletProgramOf(setup)}}}};
}

// ---- in the cluster

Resources joiningRights(const Setup& setup, const Phase&) {
  auto resources = objects(manifests::bootstrapTokenRules(), asAdmin(setup));
  append(resources, objects(manifests::clusterInfoRules(), asAdmin(setup)));
  return resources;
}

template <Resources (*addon)(const Setup&, const Phase&)> Resources afterTheLast(const Setup& setup, const Phase& phase) {
  return ownsItsControlPlane(setup) && upgrading(setup).addonsNow ? addon(setup, phase) : Resources{};
}

Resources tidy(const Setup& setup, const Phase&) {
  if (ownsItsControlPlane(setup)) return keptNoLonger("the upgrade is done");
  if (setup.node.controlPlane) return {keptCopy(setup)}; // the roll has seen to its driver's only
  return {};
}

const Phase addons[] = {{"coredns", "CoreDNS, once no control plane is left to be upgraded", afterTheLast<coreDns>},
                        {"kube-proxy", "kube-proxy, once no control plane is left to be upgraded", afterTheLast<kubeProxy>}};

} // namespace

config::Path formerManifest(std::string_view component) { return upgradeFolder / "manifests" / fmt::format("{}.yaml", component); }

std::vector<std::string> etcdMembersIn(std::string_view kept) {
  std::vector<std::string> members;
  for (auto& line : split(kept, '\n'))
    if (!trim(line).empty()) members.push_back(std::move(line));
  return members;
}

config::Path kubeletProgramOf(const Setup& setup) { return setup.node.kubeletWithoutSettings.value_or("/usr/bin/kubelet"); }

Resources kubeletSwapped(const Setup& setup, const config::Path& program) {
  const auto installed = kubeletProgramOf(setup);
  Resources resources;
  if (!program.empty()) resources.push_back(plan::Task{plan::InstallProgram{program, installed}});
  resources.push_back(plan::Service{.name = "kubelet", .restartWhenChanged = {installed}});
  append(resources, kubeletIsHealthy(setup));
  return resources;
}

const plan::Workflow& upgradeApplyWorkflow() {
  using plan::OnFailure;
  static const Phase uploadConfig[] = {{"kubeadm", "ClusterConfiguration with the new version, into its ConfigMap", kubeadmConfig},
                                       {"kubelet", "KubeletConfiguration into a ConfigMap", kubeletConfig}};
  static const Phase phases[] = {
      {.name = "bundle", .summary = "Put what the bundle of --bundle has in its places", .desired = bundle},
      {.name = "preflight", .summary = "See whether the cluster can be upgraded, and pull images", .desired = images, .judge = judgeUpgrade},
      // From here on nothing about the cluster is doubted.
      {.name = "backup", .summary = "Keep what the way back needs, and a snapshot of etcd", .desired = backup, .undo = noBackup},
      // What fails in the next phase is taken back: the old version serves.
      {.name = "control-plane", .summary = "Upgrade etcd and the control plane of this node", .desired = controlPlane,
       .onFailure = OnFailure::restoreFiles, .undo = formerControlPlane},
      // From here on this node serves the new version.
      {.name = "upload-config", .summary = "Keep the configuration in the cluster", .children = uploadConfig},
      {.name = "kubeconfig", .summary = "Let the kubelet of a control plane speak to its own API server", .desired = kubeletKubeconfig},
      {.name = "kubelet-config", .summary = "Write the kubelet's settings, and let it take them up", .desired = kubeletSettings},
      {.name = "bootstrap-token", .summary = "Let nodes join: rights", .desired = joiningRights},
      {.name = "addon", .summary = "Upgrade what every cluster needs", .children = addons, .looksForOthers = asAdmin},
      {.name = "post-upgrade", .summary = "Take away what was kept for the way back", .desired = tidy},
  };
  static const plan::Workflow workflow{"upgrade apply", "Upgrade the first control plane node, and with it the cluster, to another version", phases};
  return workflow;
}

const plan::Workflow& upgradeHostedWorkflow() {
  static const Phase phases[] = {{.name = "preflight", .summary = "See whether the cluster can be upgraded", .judge = judgeUpgrade}};
  static const plan::Workflow workflow{"upgrade apply", "What stands before a roll to another version", phases};
  return workflow;
}

bool standsAloneInRoll(std::string_view phase) {
  const auto judged = plan::phaseNames(upgradeHostedWorkflow());
  return phase == "bundle" || std::ranges::find(judged, phase) != judged.end();
}

const plan::Workflow& upgradeNodeWorkflow() {
  using plan::OnFailure;
  static const Phase phases[] = {
      {.name = "bundle", .summary = "Put what the bundle of --bundle has in its places", .desired = bundle},
      {.name = "preflight", .summary = "See whether this node can be upgraded, and pull images", .desired = images, .judge = judgeUpgradeOfNode},
      {.name = "backup", .summary = "Keep what the way back needs, and a snapshot of etcd", .desired = backup, .undo = noBackup},
      {.name = "control-plane", .summary = "Upgrade etcd and the control plane of this node", .desired = controlPlane,
       .onFailure = OnFailure::restoreFiles, .undo = formerControlPlane},
      {.name = "kubeconfig", .summary = "Let the kubelet of a control plane speak to its own API server", .desired = kubeletKubeconfig},
      {.name = "kubelet-config", .summary = "Write the kubelet's settings, and let it take them up", .desired = kubeletSettings},
      {.name = "kubelet", .summary = "Drain the node and put another kubelet in place, where --kubelet names one", .desired = kubeletProgram, .undo = kubeletStays},
      {.name = "addon", .summary = "Upgrade what every cluster needs, on the last control plane node", .children = addons, .looksForOthers = asAdmin},
      {.name = "post-upgrade", .summary = "Take away what was kept for the way back; of layout hosted, keep the configuration here, too", .desired = tidy},
  };
  static const plan::Workflow workflow{"upgrade node", "Upgrade a further node to the version that the cluster has been given", phases};
  return workflow;
}

} // namespace kubestrap::phases
