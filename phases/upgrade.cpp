// The story of `upgrade` in the plain layout: one node of a control plane after the other, then the workers. In the layout hosted a control plane has
// nothing but its kubelet from here. The tables at the end are read from top to bottom.
#include "phases/upgrade.hpp"
#include "phases/workflows.hpp"

#include "manifests/cluster_objects.hpp"
#include "manifests/components.hpp"
#include "manifests/hosted.hpp"
#include "manifests/kubelet.hpp"
#include "phases/bundle.hpp"
#include "phases/certificates.hpp"
#include "phases/hosted.hpp"
#include "phases/in_cluster.hpp"
#include "phases/node.hpp"
#include "phases/replaced_pods.hpp"
#include "phases/renewal.hpp"
#include "phases/security.hpp"
#include "support/text.hpp"
#include "support/yaml.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::phases {

namespace {

using config::Setup;
using plan::Phase;
using plan::Resources;
namespace paths = config::paths;

const config::Upgrading& upgrading(const Setup& setup) { return setup.request.upgrading; }

// ---- preflight

Resources images(const Setup& setup, const Phase&) { return ownsItsControlPlane(setup) ? controlPlaneImages(setup) : Resources{}; }

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
          isReady(setup, name)};
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
  append(resources, turnGivenBack(setup));
  if (upgrading(setup).renewsCertificates) append(resources, renewedAdministrators(setup, phase));
  return resources;
}

Resources formerControlPlane(const Setup& setup, const Phase&) {
  if (!ownsItsControlPlane(setup)) return {};
  auto resources = putBack(setup, {"kube-scheduler", "kube-controller-manager", "kube-apiserver", "etcd"});
  if (!resources.empty()) append(resources, wayBackEnds(setup));
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
