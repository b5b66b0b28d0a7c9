// The story of `join`: a further machine becomes a node of a cluster that exists. The table at the end is read from top to bottom.
#include "phases/workflows.hpp"

#include "manifests/cluster_objects.hpp"
#include "manifests/components.hpp"
#include "manifests/front.hpp"
#include "manifests/hosted.hpp"
#include "manifests/kubelet.hpp"
#include "manifests/static_pods.hpp"
#include "phases/bundle.hpp"
#include "phases/certificates.hpp"
#include "phases/front.hpp"
#include "phases/hosted.hpp"
#include "phases/node.hpp"
#include "phases/preflight.hpp"
#include "support/yaml.hpp"

#include <fmt/format.h>

namespace kubestrap::phases {

namespace {

using config::Setup;
using plan::Access;
using plan::Phase;
using plan::Resources;
namespace paths = config::paths;

bool isControlPlane(const Setup& setup) { return setup.node.controlPlane; }
bool joinsEtcd(const Setup& setup) { return isControlPlane(setup) && setup.cluster.etcd.isLocal(); }

/// As admin at an API server that ran before this node joined: its own comes only later.
Access atTheCluster(const Setup& setup) { return {paths::adminConf, setup.request.joining.server}; }

plan::EtcdAccess etcdAccess(const Setup& setup) { return etcdAccessOf(setup.cluster, atTheCluster(setup)); }

// ---- preflight

Resources images(const Setup& setup, const Phase&) {
  auto resources = isControlPlane(setup) ? controlPlaneImages(setup) : Resources{};
  append(resources, frontImage(setup));
  return resources;
}

// ---- control-plane-prepare

Resources sharedFiles(const Setup& setup, const Phase&) {
  Resources resources;
  if (!isControlPlane(setup)) return resources;
  for (const auto& file : manifests::sharedFiles(setup.cluster)) {
    const auto content = setup.request.joining.sharedFiles.find(file.key);
    if (file.path.empty() || content == setup.request.joining.sharedFiles.end()) continue;
    const bool open = file.path.extension() == ".crt";
    resources.push_back(plan::File{.path = file.path,
                                   .content = content->second.reveal(),
                                   .mode = open ? 0644u : 0600u,
                                   .secrecy = open ? plan::Secrecy::open : plan::Secrecy::secret});
  }
  return resources;
}

Resources certificates(const Setup& setup, const Phase&) {
  Resources resources;
  if (!isControlPlane(setup)) return resources;
  for (const auto& row : certs::catalogue())
    if (!row.authority() && isNeeded(row, setup.cluster)) resources.push_back(plan::Certificate{resolve(row, setup)});
  return resources;
}

Resources kubeconfigs(const Setup& setup, const Phase&) {
  Resources resources;
  if (!isControlPlane(setup)) return resources;
  for (const auto& row : certs::kubeconfigs())
    if (!row.firstNodeOnly) resources.push_back(resolve(row, setup));
  return resources;
}

Resources controlPlane(const Setup& setup, const Phase&) {
  if (!isControlPlane(setup)) return {};
  Resources resources;
  for (const auto component : manifests::hostedComponents) append(resources, controlPlanePod(component, setup));
  return resources;
}

// ---- etcd

Resources etcdIsHealthy(const Setup& setup, const Phase&) {
  if (!joinsEtcd(setup)) return {};
  return {plan::Condition{.what = "most members of etcd are healthy",
                          .probe = plan::EtcdHealthy{etcdAccess(setup)},
                          .patience = setup.request.timeouts.etcdAPICall,
                          .hint = "a member is only added to a healthy cluster: look at etcd's pods on the other control planes"}};
}

plan::EtcdMember etcdMember(const Setup& setup, plan::Standing standing) {
  auto member = etcdMemberOf(setup, atTheCluster(setup), manifests::etcdPeerUrl(setup.node), standing);
  member.clientUrl = manifests::etcdClientUrl(setup.node);
  member.fatal = staticPodSigns(setup, {"etcd"});
  return member;
}

Resources joinEtcd(const Setup& setup, const Phase&) {
  if (!joinsEtcd(setup)) return {};
  auto manifest = staticPod("etcd", manifests::etcdPod(setup, std::string(plan::InitialCluster::placeholder)));
  manifest.initialCluster = plan::InitialCluster{etcdAccess(setup), setup.node.name, manifests::etcdPeerUrl(setup.node)};
  return {plan::Folder{setup.cluster.etcd.local.dataDir, 0700}, etcdMember(setup, plan::Standing::learner), std::move(manifest),
          etcdMember(setup, plan::Standing::voter)};
}

/// A member that did not get as far as to vote is taken out again: it would stand in the way of the next one. What it has copied goes with
/// it, since a member that was removed never starts again from its old data.
Resources leaveEtcd(const Setup& setup, const Phase&) {
  if (!joinsEtcd(setup)) return {};
  return {plan::Absent{manifests::manifestPath(manifests::component("etcd"))}, etcdMember(setup, plan::Standing::absent),
          plan::Absent{setup.cluster.etcd.local.dataDir / "member", plan::Absent::Depth::tree}};
}

// ---- kubelet

plan::Credential bootstrapCredential(const config::Joining& joining) {
  if (!joining.token.empty()) return plan::TokenCredential{joining.token};
  return plan::GivenCertificate{joining.clientCertificate, joining.clientKey};
}

/// With what the kubelet asks for its certificate, until it has one. It asks an API server that runs already, on a control plane too:
/// where it has to wait for its own, its attempts to register grow rare, and the Node comes up to 20 s late (kubelet 1.37:
/// kubelet_node_status.go doubles the pause up to 7 s).
Resources bootstrapKubeconfig(const Setup& setup) {
  const auto& joining = setup.request.joining;
  if (joining.kubeletHasCredentials) return {};
  return {plan::Kubeconfig{.path = paths::bootstrapKubeletConf,
                           .server = joining.server,
                           .clusterName = setup.cluster.name,
                           .user = joining.user,
                           .authority = joining.authorityFile,
                           .credential = bootstrapCredential(joining)}};
}

Resources kubelet(const Setup& setup, const Phase&) {
  const auto& joining = setup.request.joining;
  Resources resources;
  if (!isControlPlane(setup) || joining.authorityFile != certificateFile(setup.cluster, "ca"))
    resources.push_back(plan::File{.path = joining.authorityFile, .content = joining.authorities});
  append(resources, bootstrapKubeconfig(setup));
  // etcd's manifest comes later, when the running kubelet may take it up.
  append(resources, kubeletIsStarted(setup, {"kube-apiserver", "kube-controller-manager", "kube-scheduler"}));
  return resources;
}

/// A kubelet that has its certificate registers a moment later; whoever labels the node right after the join finds it. A control plane's
/// Node is waited for where its labels are set.
Resources workerIsRegistered(const Setup& setup) {
  if (isControlPlane(setup)) return {};
  return {plan::Condition{.what = fmt::format("the cluster has the node {}", setup.node.name),
                          .probe = plan::ObjectExists{{.kubeconfig = paths::kubeletConf, .server = {}}, "v1", "Node", "", setup.node.name},
                          .patience = setup.request.timeouts.tlsBootstrap,
                          .hint = "look at: journalctl -u kubelet",
                          .fatal = {plan::UnitFails{"kubelet"}}}};
}

Resources bootstrapIsDone(const Setup& setup, const Phase&) {
  auto resources = kubeletIsHealthy(setup);
  // A kubelet writes its kubeconfig first, and asks for the certificate that is named there afterwards.
  for (const auto& file : {paths::kubeletConf, paths::kubeletClientCertificate})
    resources.push_back(plan::Condition{.what = fmt::format("the kubelet has {}", file.string()),
                                        .probe = plan::FileExists{file},
                                        .patience = setup.request.timeouts.tlsBootstrap,
                                        .hint = "look at: journalctl -u kubelet, and on a control plane: kubectl get csr",
                                        .fatal = isControlPlane(setup) ? staticPodSigns(setup, {"etcd", "kube-apiserver"})
                                                                       : std::vector<plan::FatalSign>{plan::UnitFails{"kubelet"}}});
  resources.push_back(plan::Absent{paths::bootstrapKubeletConf});
  append(resources, workerIsRegistered(setup));
  return resources;
}

// ---- in the cluster

Resources controlPlaneMark(const Setup& setup, const Phase&) {
  if (!isControlPlane(setup)) return {};
  Resources resources;
  // Clusters that began before 1.30 may lack it, and then no API server of today may speak to a kubelet.
  resources.push_back(plan::Object{.document = manifests::apiServerKubeletClientBinding(), .access = atTheCluster(setup)});
  resources.push_back(plan::Object{.document = manifests::controlPlaneMark(setup.node), .mode = plan::ApplyMode::mark, .access = atTheCluster(setup)});
  return resources;
}

/// From the server that the machine was led to, the kubelet goes over to the one that it is to speak to.
Resources kubeletGoesOver(const Setup& setup) {
  Resources resources{rotatedKubeletConf(setup)};
  append(resources, kubeletTakesUpItsKubeconfig(setup));
  return resources;
}

/// Once this node's API server answers, the kubelet speaks to it before all others, without a balancer to no other: so it is never newer
/// than the server that it speaks to (kubeadm: ControlPlaneKubeletLocalMode).
Resources controlPlaneIsUp(const Setup& setup, const Phase&) {
  if (!isControlPlane(setup)) return {};
  auto resources = controlPlaneAnswers(setup, asAdmin(setup));
  append(resources, frontAnswers(setup, paths::adminConf));
  append(resources, vipAnswers(setup, paths::adminConf));
  append(resources, kubeletGoesOver(setup));
  append(resources, apiServerIsTold(setup, atTheCluster(setup)));
  return resources;
}

Resources workerIsUp(const Setup& setup, const Phase&) {
  if (isControlPlane(setup) || !manifests::hasFront(setup.cluster)) return {};
  auto resources = frontAnswers(setup, paths::kubeletConf);
  append(resources, vipAnswers(setup, paths::kubeletConf));
  append(resources, kubeletGoesOver(setup));
  return resources;
}

} // namespace

const plan::Workflow& joinWorkflow() {
  static const Phase prepare[] = {{"download-certs", "the files that all control planes share, decrypted", sharedFiles},
                                  {"certs", "the certificates of this node's components", certificates},
                                  {"kubeconfig", "the kubeconfig files of the components and of the administrator", kubeconfigs},
                                  {"control-plane", "the static pods of API server, controller-manager and scheduler", controlPlane}};
  static const Phase controlPlaneJoin[] = {{"mark-control-plane", "labels and taints of a control plane node", controlPlaneMark}};
  static const Phase phases[] = {
      {.name = "bundle", .summary = "Put what the bundle of --bundle has in its places", .desired = bundle},
      {.name = "preflight", .summary = "Check the machine and pull images", .desired = images, .judge = judgeJoin},
      // From here on nothing about the machine is doubted. The first four are for control planes; a worker passes through them.
      {.name = "control-plane-prepare", .summary = "Prepare the machine to be a control plane", .children = prepare},
      {.name = "check-etcd", .summary = "See that etcd can take a further member", .desired = etcdIsHealthy},
      {.name = "front", .summary = "Put a balancer on this node, where endpoint.mode is local", .desired = front},
      {.name = "guard", .summary = "Put a guard on this node, where layout is hosted", .desired = guard},
      {.name = "kubelet-start", .summary = "Write the kubelet's settings and start it", .desired = kubelet},
      {.name = "etcd-join", .summary = "Add a member to etcd, one node at a time", .desired = joinEtcd, .undo = leaveEtcd},
      {.name = "kubelet-wait-bootstrap", .summary = "Wait until the kubelet has its own certificate, and a worker is a Node", .desired = bootstrapIsDone},
      // From here on the machine is a Node.
      {.name = "control-plane-join", .summary = "Make the node a control plane in the cluster's eyes", .children = controlPlaneJoin},
      {.name = "wait-control-plane", .summary = "Wait until this node's control plane answers", .desired = controlPlaneIsUp},
      {.name = "wait-front", .summary = "Wait until a worker's balancer answers, and let its kubelet use it", .desired = workerIsUp},
  };
  static const plan::Workflow workflow{"join", "Make this machine a node of a cluster that exists", phases};
  return workflow;
}

} // namespace kubestrap::phases
