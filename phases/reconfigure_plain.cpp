// Other settings for a plain control plane: one node after the other, its static pods one by one. The tables at the end are read from top to bottom.
#include "phases/in_cluster.hpp"
#include "phases/node.hpp"
#include "phases/reconfigure.hpp"
#include "phases/replaced_pods.hpp"
#include "phases/upgrade.hpp"
#include "phases/workflows.hpp"
#include "support/text.hpp"

#include <algorithm>
#include <utility>

namespace kubestrap::phases {

namespace {

using config::Setup;
using plan::Phase;
using plan::Resources;

const config::Reconfiguring& reconfiguring(const Setup& setup) { return setup.request.reconfiguring; }

Resources images(const Setup& setup, const Phase&) { return controlPlaneImages(setup); }

/// Each component by itself: where one does not get well the next one is not touched. etcd goes with the API server, where it goes at all (phases/upgrade.cpp).
Resources controlPlane(const Setup& setup, const Phase&) {
  auto resources = reconfigure::certificateAndPolicy(setup, reconfiguring(setup).goingNames);
  append(resources, running(setup, {"kube-apiserver", "etcd"}));
  append(resources, running(setup, {"kube-controller-manager"}));
  append(resources, running(setup, {"kube-scheduler"}));
  append(resources, turnGivenBack(setup));
  if (leavesItsBalancer(setup)) append(resources, kubeletKubeconfig(setup, {}));
  resources.push_back(reconfigure::showsItsNames(setup));
  return resources;
}

/// Names that a run before this one, which was stopped, has changed; those that this one has, were put back with the files of its phase.
Resources formerCertificate(const Setup& setup) {
  if (!setup.request.upgrading.goesOn || setup.node.externalAuthority) return {};
  auto former = setup;
  const auto others = std::exchange(former.cluster.apiServerCertSANs, reconfiguring(setup).formerNames);
  return {reconfigure::certificateAndPolicy(former, others).front(), reconfigure::showsItsNames(setup)};
}

/// An API server that was well is left alone where another component was not.
Resources formerControlPlane(const Setup& setup, const Phase&) {
  auto resources = putBack(setup, {"kube-apiserver", "etcd"});
  append(resources, putBack(setup, {"kube-controller-manager"}));
  append(resources, putBack(setup, {"kube-scheduler"}));
  append(resources, formerCertificate(setup));
  append(resources, wayBackEnds(setup));
  return resources;
}

template <Resources (*addon)(const Setup&, const Phase&)> Resources whereItDiffers(const Setup& setup, const Phase& phase) {
  return reconfiguring(setup).addons ? addon(setup, phase) : Resources{};
}

plan::Object notice(const Setup& setup, const std::string& node, const Value& follow) {
  const std::string name(config::settingsFollowNotice);
  return {.document = Value::object({{"apiVersion", "v1"}, {"kind", "Node"},
                                     {"metadata", Value::object({{"name", node}, {"annotations", Value::object({{name, follow}})}})}}),
          .mode = plan::ApplyMode::mark,
          .access = asAdmin(setup)};
}

/// The names that go, and those that were to go by a change before this one and have not.
std::string goingFrom(const config::Upgrading::Node& node, const Setup& setup) {
  auto names = reconfiguring(setup).goingNames;
  for (auto& each : split(node.settingsFollow.value_or(""), ','))
    if (!each.empty() && std::ranges::find(names, each) == names.end()) names.push_back(std::move(each));
  std::erase_if(names, [&](const std::string& each) { return std::ranges::find(setup.cluster.apiServerCertSANs, each) != setup.cluster.apiServerCertSANs.end(); });
  return join(names, ",");
}

/// Who has to follow is marked first: a run that ends between the two marks anew, and nobody is forgotten.
Resources stored(const Setup& setup, const Phase& phase) {
  if (!reconfiguring(setup).stores) return {};
  Resources resources;
  for (const auto& node : setup.request.upgrading.nodes)
    if (node.controlPlane && node.name != setup.node.name) resources.push_back(notice(setup, node.name, goingFrom(node, setup)));
  append(resources, kubeadmConfig(setup, phase));
  return resources;
}

/// What was kept for this node's way back goes, and then the mark that it has to follow: whoever is stopped in between comes here again by that.
Resources tidy(const Setup& setup, const Phase&) {
  auto resources = keptNoLonger("the settings are in force");
  for (const auto& node : setup.request.upgrading.nodes)
    if (node.name == setup.node.name && node.settingsFollow) resources.push_back(notice(setup, node.name, nullptr));
  return resources;
}

const Phase addons[] = {{"coredns", "CoreDNS, where it differs", whereItDiffers<coreDns>}, {"kube-proxy", "kube-proxy, where it differs", whereItDiffers<kubeProxy>}};

constexpr auto preflightSaid = "See whether this control plane can be changed, and pull images";
constexpr auto backupSaid = "Keep what the way back needs";
constexpr auto controlPlaneSaid = "Certificate, audit log and static pods of this node as they shall be";
constexpr auto tidySaid = "Take away what was kept for the way back";

} // namespace

const plan::Workflow& reconfigureWorkflow() {
  using plan::OnFailure;
  static const Phase phases[] = {
      {.name = "preflight", .summary = preflightSaid, .desired = images, .judge = judgeReconfiguration},
      {.name = "backup", .summary = backupSaid, .desired = backup, .undo = noBackup},
      // What fails in the next phase is taken back, and the cluster has heard nothing of it.
      {.name = "control-plane", .summary = controlPlaneSaid, .desired = controlPlane, .onFailure = OnFailure::restoreFiles, .undo = formerControlPlane},
      // From here on this node has proved the settings.
      {.name = "addon", .summary = "What every cluster needs, with its images as they shall be", .children = addons},
      // Once the cluster keeps the settings nobody may have a reason to run this again: no way back that leads past them stays behind.
      {.name = "post-reconfigure", .summary = tidySaid, .desired = tidy},
      {.name = "upload-config", .summary = "Keep the settings in the cluster, and note who has to follow", .desired = stored, .looksForOthers = asAdmin},
      // From here on a control plane that joins has them, and others take them by `reconfigure node`.
  };
  static const plan::Workflow workflow{"reconfigure", "Give the control plane other settings", phases};
  return workflow;
}

const plan::Workflow& reconfigureNodeWorkflow() {
  using plan::OnFailure;
  static const Phase phases[] = {
      {.name = "preflight", .summary = preflightSaid, .desired = images, .judge = judgeReconfiguration},
      {.name = "backup", .summary = backupSaid, .desired = backup, .undo = noBackup},
      {.name = "control-plane", .summary = controlPlaneSaid, .desired = controlPlane, .onFailure = OnFailure::restoreFiles, .undo = formerControlPlane},
      {.name = "post-reconfigure", .summary = tidySaid, .desired = tidy},
  };
  static const plan::Workflow workflow{"reconfigure node", "Give a further plain control plane the settings that the cluster keeps", phases};
  return workflow;
}

} // namespace kubestrap::phases
