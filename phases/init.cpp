// The story of `init`, from a bare machine to the first control plane node. The table at the end is read from top to bottom.
#include "phases/workflows.hpp"

#include "manifests/cluster_objects.hpp"
#include "manifests/components.hpp"
#include "manifests/front.hpp"
#include "manifests/static_pods.hpp"
#include "phases/addons.hpp"
#include "phases/bundle.hpp"
#include "phases/certificates.hpp"
#include "phases/front.hpp"
#include "phases/hosted.hpp"
#include "phases/in_cluster.hpp"
#include "phases/node.hpp"
#include "phases/preflight.hpp"
#include "support/error.hpp"
#include "support/yaml.hpp"

#include <fmt/format.h>

namespace kubestrap::phases {

namespace {

using config::Setup;
using plan::Access;
using plan::ApplyMode;
using plan::Phase;
using plan::Resources;
namespace paths = config::paths;

// ---- how the cluster is spoken to

/// As a member of system:masters, whom no missing binding can keep out.
Access asSuperAdmin(const Setup& setup) { return {paths::superAdminConf, apiServerOf(setup)}; }

// ---- preflight

Resources images(const Setup& setup, const Phase&) {
  auto resources = controlPlaneImages(setup);
  append(resources, frontImage(setup));
  return resources;
}

// ---- certs

Resources certificate(const Setup& setup, const Phase& phase) {
  const auto& row = *certs::findRow(phase.name);
  if (!isNeeded(row, setup.cluster)) return {};
  return {plan::Certificate{resolve(row, setup)}};
}

Resources serviceAccountKeys(const Setup& setup, const Phase&) {
  const auto& pki = setup.cluster.pki;
  return {plan::KeyPair{pki.folder / "sa.key", pki.folder / "sa.pub", pki.algorithm}};
}

// ---- kubeconfig

Resources kubeconfig(const Setup& setup, const Phase& phase) {
  for (const auto& row : certs::kubeconfigs()) {
    if (row.name != phase.name) continue;
    auto kubeconfig = resolve(row, setup);
    // The kubelet's is made to go by the balancer later, when there is one.
    if (row.name == "kubelet" && manifests::hasFront(setup.cluster) && !manifests::frontHasSlots(setup)) kubeconfig.otherServers = {manifests::frontEndpoint(setup).url()};
    // As kubeadm's certs generate-csr leaves it for who signs elsewhere.
    if (row.name == "kubelet" && setup.node.externalAuthority) kubeconfig.otherServers.push_back(setup.publicEndpoint().url());
    return {std::move(kubeconfig)};
  }
  throw Error(fmt::format("there is no kubeconfig {}", phase.name));
}

// ---- static pods

Resources localEtcd(const Setup& setup, const Phase&) {
  if (!setup.cluster.etcd.isLocal()) return {};
  return {plan::Folder{setup.cluster.etcd.local.dataDir, 0700}, staticPod("etcd", manifests::etcdPod(setup))};
}

Resources apiServer(const Setup& setup, const Phase&) { return controlPlanePod("kube-apiserver", setup); }
Resources controllerManager(const Setup& setup, const Phase&) { return controlPlanePod("kube-controller-manager", setup); }
Resources scheduler(const Setup& setup, const Phase&) { return controlPlanePod("kube-scheduler", setup); }

// ---- kubelet

Resources kubelet(const Setup& setup, const Phase&) { 
  return kubeletIsStarted(setup, {"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"});
}

Resources controlPlaneIsUp(const Setup& setup, const Phase&) {
  auto resources = kubeletIsHealthy(setup);
  append(resources, controlPlaneAnswers(setup, asSuperAdmin(setup)));
  append(resources, objects({manifests::clusterAdminsBinding()}, asSuperAdmin(setup)));
  append(resources, frontAnswers(setup, paths::superAdminConf));
  append(resources, vipAnswers(setup, paths::superAdminConf));
  return resources;
}

// ---- in the cluster; from here on the API server answers

Resources uploadedCerts(const Setup& setup, const Phase&) {
  if (!setup.request.uploadCerts) return {};
  const auto lifetime = manifests::certsLifetimeToken(setup.request.certificateKey, setup.request.certsExpire);
  plan::Object shared{.document = manifests::kubeadmCertsSecret(setup.cluster, lifetime),
                      .access = asAdmin(setup),
                      .secrecy = plan::Secrecy::secret};
  shared.fills.push_back({Pointer(std::string(manifests::ownerUidAt)),
                          plan::UidOf{"v1", "Secret", "kube-system", manifests::bootstrapTokenSecretName(lifetime.id)}});
  for (const auto& file : manifests::sharedFiles(setup.cluster))
    if (!file.path.empty())
      shared.fills.push_back({manifests::sharedFileAt(file.key), plan::SealedFile{file.path, setup.request.certificateKey}});
  Resources resources{plan::Object{.document = manifests::bootstrapTokenSecret(lifetime),
                                   .mode = ApplyMode::createOnly,
                                   .access = asAdmin(setup),
                                   .secrecy = plan::Secrecy::secret},
                      std::move(shared)};
  append(resources, objects(manifests::kubeadmCertsRules(), asAdmin(setup)));
  return resources;
}

Resources controlPlaneMark(const Setup& setup, const Phase&) {
  return {plan::Object{.document = manifests::controlPlaneMark(setup.node), .mode = ApplyMode::mark, .access = asAdmin(setup)}};
}

Resources bootstrapTokens(const Setup& setup, const Phase&) {
  Resources resources;
  // A token that is there keeps its date: a second run must not prolong it.
  for (const auto& token : setup.request.tokens)
    resources.push_back(plan::Object{.document = manifests::bootstrapTokenSecret(token),
                                     .mode = ApplyMode::createOnly,
                                     .access = asAdmin(setup),
                                     .secrecy = plan::Secrecy::secret});
  append(resources, objects(manifests::bootstrapTokenRules(), asAdmin(setup)));
  const plan::DiscoveryKubeconfig kubeconfig{setup.outsideEndpoint().url(), certificateFile(setup.cluster, "ca")};
  plan::Object info{.document = manifests::clusterInfo(), .access = asAdmin(setup), .fills = {{Pointer(std::string(manifests::clusterInfoKubeconfigAt)), kubeconfig}}};
  // Until the first controller-manager has been elected nobody else signs it, and whoever joins at once would wait for that.
  for (const auto& token : setup.request.tokens)
    if (manifests::isForSigning(token)) info.fills.push_back({manifests::clusterInfoSignatureAt(token.id), plan::DiscoverySignature{kubeconfig, token.id, token.secret}});
  resources.push_back(std::move(info));
  append(resources, objects(manifests::clusterInfoRules(), asAdmin(setup)));
  append(resources, apiServerIsTold(setup, asAdmin(setup)));
  return resources;
}

/// The kubelet stores the certificate that it began with among those that it rotates, and from then on uses it from there; only its
/// next start has to find it in kubelet.conf, so nothing is restarted here.
Resources clientCertificateRotation(const Setup& setup, const Phase&) {
  Resources resources{plan::Condition{.what = fmt::format("the kubelet keeps its certificate in {}", paths::kubeletClientCertificate.string()),
                          .probe = plan::FileExists{paths::kubeletClientCertificate},
                          .patience = setup.request.timeouts.tlsBootstrap,
                          .hint = "look at: journalctl -u kubelet",
                          .fatal = {plan::UnitFails{"kubelet"}}},
          rotatedKubeletConf(setup)};
  // But to go over to the balancer it has to begin anew.
  if (manifests::hasFront(setup.cluster) && !manifests::frontHasSlots(setup)) append(resources, kubeletTakesUpItsKubeconfig(setup));
  return resources;
}

// ---- the table

std::vector<Phase> certificatePhases() {
  std::vector<Phase> phases;
  for (const auto& row : certs::catalogue()) phases.push_back({.name = row.name, .summary = row.summary, .desired = certificate});
  phases.push_back({.name = "sa", .summary = "the keys that sign and verify service account tokens", .desired = serviceAccountKeys});
  return phases;
}

std::vector<Phase> kubeconfigPhases() {
  std::vector<Phase> phases;
  for (const auto& row : certs::kubeconfigs()) phases.push_back({.name = row.name, .summary = row.summary, .desired = kubeconfig});
  return phases;
}

/// Those that every cluster has come first. A pod network may be the next: nobody waits here for nodes that are Ready.
std::vector<Phase> allAddons() {
  std::vector<Phase> phases{{"coredns", "CoreDNS, the cluster's name server", coreDns}, {"kube-proxy", "kube-proxy, which makes services reachable", kubeProxy}};
  for (const auto& each : addonPhases()) phases.push_back(each);
  return phases;
}

} // namespace

const plan::Workflow& initWorkflow() {
  static const auto certificates = certificatePhases();
  static const auto kubeconfigs = kubeconfigPhases();
  static const Phase etcd[] = {{"local", "the static pod of a first etcd member on this machine", localEtcd}};
  static const Phase controlPlane[] = {{"apiserver", "the static pod of the API server", apiServer},
                                       {"controller-manager", "the static pod of the controller-manager", controllerManager},
                                       {"scheduler", "the static pod of the scheduler", scheduler}};
  static const Phase uploadConfig[] = {{"kubeadm", "ClusterConfiguration and KubestrapConfiguration into ConfigMaps", kubeadmConfig},
                                       {"kubelet", "KubeletConfiguration into a ConfigMap", kubeletConfig}};
  static const Phase finalize[] = {
      {"enable-client-cert-rotation", "kubelet.conf names the certificate that the kubelet renews itself", clientCertificateRotation}};
  static const auto addons = allAddons();

  static const Phase phases[] = {
      {.name = "bundle", .summary = "Put what the bundle of --bundle has in its places", .desired = bundle},
      {.name = "preflight", .summary = "Check the machine and pull images", .desired = images, .judge = judgeInit},
      // From here on nothing about the machine is doubted.
      {.name = "certs", .summary = "Make the certificates of the cluster", .children = certificates},
      {.name = "kubeconfig", .summary = "Make the kubeconfig files of the components and of the administrator", .children = kubeconfigs},
      // The manifests are written before the kubelet starts, so that its first look finds them all.
      {.name = "etcd", .summary = "Write the static pod manifest of etcd", .children = etcd},
      {.name = "control-plane", .summary = "Write the static pod manifests of the control plane", .children = controlPlane},
      {.name = "front", .summary = "Put a balancer on this node, where endpoint.mode is local", .desired = front},
      {.name = "guard", .summary = "Put a guard on this node, where layout is hosted", .desired = guard},
      {.name = "kubelet-start", .summary = "Write the kubelet's settings and start it", .desired = kubelet},
      {.name = "wait-control-plane", .summary = "Wait until the control plane answers", .desired = controlPlaneIsUp},
      // From here on the API server answers, and admin.conf may do everything.
      {.name = "upload-config", .summary = "Keep the configuration in the cluster", .children = uploadConfig},
      {.name = "guard-rights", .summary = "Let guards do their work, where layout is hosted", .desired = guardRights},
      {.name = "upload-certs", .summary = "Keep the certificates in the cluster, encrypted, for two hours", .desired = uploadedCerts},
      {.name = "mark-control-plane", .summary = "Label and taint the node as a control plane", .desired = controlPlaneMark},
      {.name = "bootstrap-token", .summary = "Let nodes join: tokens, cluster-info, rights", .desired = bootstrapTokens},
      {.name = "kubelet-finalize", .summary = "Settle the kubelet's own certificate", .children = finalize},
      {.name = "addon", .summary = "Install what every cluster needs, and the add-ons of the configuration", .children = addons},
      {.name = "show-join-command", .summary = "Show how further machines join"},
  };
  static const plan::Workflow workflow{"init", "Make this machine the first control plane node of a new cluster", phases};
  return workflow;
}

} // namespace kubestrap::phases
