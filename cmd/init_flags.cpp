#include "cmd/init_flags.hpp"

#include "cmd/globals.hpp"
#include "phases/workflows.hpp"
#include "support/text.hpp"

#include <algorithm>
#include <set>

namespace kubestrap::cmd {

namespace {

std::vector<Flag> everyFlag(InitOptions& options) {
  auto& flags = options.flags;
  std::vector<Flag> all{
      {.name = "apiserver-advertise-address", .into = &flags.apiserverAdvertiseAddress,
       .doc = "The address that the API server tells others to use", .value = "IP", .standard = "of the interface with the default route"},
      {.name = "apiserver-bind-port", .into = &flags.apiserverBindPort, .doc = "The port of the API server", .value = "PORT", .standard = "6443"},
      {.name = "apiserver-extra-args", .into = &flags.apiserverExtraArgs, .doc = "Deprecated: apiServer.extraArgs in the file", .value = "NAME=VALUE,...",
       .shown = Flag::Shown::hidden},
      {.name = "apiserver-cert-extra-sans", .into = &flags.apiserverCertExtraSans,
       .doc = "Further names and addresses in the API server's certificate", .value = "NAME,..."},
      {.name = "cert-dir", .into = &flags.certDir, .doc = "The folder of the certificates", .value = "DIR", .standard = "/etc/kubernetes/pki"},
      {.name = "certificate-key", .into = &flags.certificateKey, .doc = "The key that encrypts uploaded certificates: 64 hexadecimal digits",
       .value = "KEY"},
      {.name = "config", .into = &flags.configFile, .doc = "A file with kubeadm.k8s.io/v1beta4 and kubestrap.io/v1alpha1 documents; - is standard input",
       .value = "FILE"},
      {.name = "control-plane-endpoint", .into = &flags.controlPlaneEndpoint,
       .doc = "A name or address, with or without a port, under which the control plane can always be reached", .value = "HOST[:PORT]"},
      {.name = "controller-manager-extra-args", .into = &flags.controllerManagerExtraArgs,
       .doc = "Deprecated: controllerManager.extraArgs in the file", .value = "NAME=VALUE,...", .shown = Flag::Shown::hidden},
      {.name = "cri-socket", .into = &flags.criSocket, .doc = "The socket of the container runtime", .value = "URL", .standard = "the one that exists"},
      {.name = "dry-run", .into = &options.dryRun, .doc = "Show what would be done, and touch nothing"},
      {.name = "exit-code", .into = &options.exitCode, .doc = "End with 4 when something was, or with --dry-run would be, changed"},
      {.name = "feature-gates", .into = &flags.featureGates, .doc = "Feature gates of kubeadm's configuration", .value = "NAME=BOOL,..."},
      {.name = "ignore-preflight-errors", .into = &flags.ignorePreflightErrors,
       .doc = "Checks whose errors count as warnings; all for every one", .value = "NAME,..."},
      {.name = "image-repository", .into = &flags.imageRepository, .doc = "Where the control plane's images come from", .value = "REPOSITORY",
       .standard = "registry.k8s.io"},
      kubeconfigFlag(options.kubeconfig),
      {.name = "kubeconfig-dir", .into = &options.kubeconfigDir, .doc = "The folder of the kubeconfig files", .value = "DIR",
       .standard = "/etc/kubernetes"},
      {.name = "kubernetes-version", .into = &flags.kubernetesVersion, .doc = "The version of Kubernetes to deploy", .value = "VERSION",
       .standard = "the newest that kubestrap knows"},
      {.name = "layout", .into = &flags.layout, .doc = "How the control plane is laid out on its nodes: hosted behind a balancer on each, or plain as with kubeadm", .value = "LAYOUT",
       .standard = "hosted, unless the configuration asks for what does not go with it", .choices = {"hosted", "plain"}},
      {.name = "node-name", .into = &flags.nodeName, .doc = "The name of this node", .value = "NAME", .standard = "the machine's"},
      {.name = "patches", .into = &flags.patches,
       .doc = "A folder of patches: target[suffix][+strategic|merge|json].json|yaml, where target is etcd, kube-apiserver, "
              "kube-controller-manager, kube-scheduler, kubeletconfiguration, corednsdeployment or kubeproxydaemonset",
       .value = "DIR"},
      {.name = "pod-network-cidr", .into = &flags.podNetworkCidr, .doc = "The address range of pods", .value = "CIDR"},
      {.name = "print-manifest", .into = &options.printManifest, .doc = "Print the objects, and apply nothing"},
      {.name = "scheduler-extra-args", .into = &flags.schedulerExtraArgs, .doc = "Deprecated: scheduler.extraArgs in the file",
       .value = "NAME=VALUE,...", .shown = Flag::Shown::hidden},
      {.name = "self-hosted", .into = &options.selfHosted,
       .doc = "Layout hosted, and at the end the control plane passes into its own cluster, as with kubestrap pivot"},
      {.name = "service-cidr", .into = &flags.serviceCidr, .doc = "The address range of services", .value = "CIDR", .standard = "10.96.0.0/12"},
      {.name = "service-dns-domain", .into = &flags.serviceDnsDomain, .doc = "The DNS domain of services", .value = "DOMAIN",
       .standard = "cluster.local"},
      {.name = "skip-certificate-key-print", .into = &options.skipCertificateKeyPrint, .doc = "Do not print the key of uploaded certificates"},
      {.name = "skip-phases", .into = &flags.skipPhases, .doc = "Phases to leave out", .value = "PHASE,..."},
      {.name = "skip-token-print", .into = &options.skipTokenPrint, .doc = "Do not print the bootstrap token"},
      {.name = "token", .into = &flags.token, .doc = "The bootstrap token: six characters, a dot, sixteen characters of a-z and 0-9", .value = "TOKEN",
       .standard = "a random one"},
      {.name = "token-ttl", .into = &flags.tokenTtl, .doc = "How long the bootstrap token is valid; 0 for ever", .value = "DURATION", .standard = "24h"},
      {.name = "upload-certs", .into = &flags.uploadCerts, .doc = "Keep the control plane's certificates in the cluster, encrypted, for two hours"},
  };
  for (auto& flag : bundleUseFlags(options.bundle)) all.push_back(std::move(flag));
  std::ranges::sort(all, {}, &Flag::name);
  return all;
}

/// Which flags a phase takes, with those of the group that it is in (kubeadm: cmd/phases/init). Further names are those that also decide
/// what the phase makes here: etcd's version follows that of Kubernetes, and its certificates name the node.
struct PhaseFlags {
  std::string_view phase, flags;
};
constexpr PhaseFlags phaseFlags[] = {
    {"", "config dry-run exit-code layout"},
    {"bundle", "bundle bundle-base bundle-key bundle-without cri-socket"},
    {"preflight", "cri-socket ignore-preflight-errors image-repository offline"},
    {"certs", "cert-dir kubernetes-version"},
    {"certs/apiserver", "apiserver-advertise-address apiserver-cert-extra-sans control-plane-endpoint service-cidr service-dns-domain"},
    {"certs/etcd-server", "apiserver-advertise-address node-name"},
    {"certs/etcd-peer", "apiserver-advertise-address node-name"},
    {"kubeconfig", "apiserver-advertise-address apiserver-bind-port cert-dir control-plane-endpoint kubeconfig-dir kubernetes-version"},
    {"kubeconfig/kubelet", "node-name"},
    {"etcd", "apiserver-advertise-address cert-dir image-repository kubernetes-version node-name patches"},
    {"control-plane", "cert-dir image-repository kubernetes-version patches"},
    {"control-plane/apiserver", "apiserver-advertise-address apiserver-bind-port apiserver-extra-args control-plane-endpoint feature-gates "
                                "service-cidr service-dns-domain"},
    {"control-plane/controller-manager", "controller-manager-extra-args pod-network-cidr service-cidr"},
    {"control-plane/scheduler", "scheduler-extra-args"},
    {"kubelet-start", "cert-dir cri-socket image-repository node-name patches service-cidr service-dns-domain"},
    {"wait-control-plane", "apiserver-advertise-address apiserver-bind-port"},
    {"upload-config", "cri-socket kubeconfig"},
    {"upload-certs", "cert-dir certificate-key kubeconfig skip-certificate-key-print upload-certs"},
    {"mark-control-plane", "kubeconfig node-name"},
    {"bootstrap-token", "kubeconfig skip-token-print"},
    {"kubelet-finalize", "cert-dir node-name"},
    {"addon", "image-repository kubeconfig kubernetes-version print-manifest"},
    {"addon/coredns", "feature-gates service-cidr service-dns-domain"},
    {"addon/kube-proxy", "apiserver-advertise-address apiserver-bind-port control-plane-endpoint pod-network-cidr"},
    {"show-join-command", "apiserver-advertise-address apiserver-bind-port cert-dir control-plane-endpoint kubeconfig skip-token-print token"},
};
/// What only single phases have a use for.
constexpr std::string_view phasesOnly = "apiserver-extra-args controller-manager-extra-args kubeconfig print-manifest scheduler-extra-args";

bool isWithin(std::string_view phase, std::string_view group) {
  return group.empty() || phase == group || (phase.starts_with(group) && phase[group.size()] == '/');
}

std::vector<Flag> chosen(InitOptions& options, const std::function<bool(const std::string& name)>& wanted) {
  auto flags = everyFlag(options);
  std::erase_if(flags, [&](const Flag& flag) { return !wanted(flag.name); });
  return flags;
}

std::set<std::string> words(std::string_view text) {
  const auto list = split(text, ' ');
  return {list.begin(), list.end()};
}

} // namespace

std::vector<Flag> initFlags(InitOptions& options) {
  const auto elsewhere = words(phasesOnly);
  auto flags = chosen(options, [&](const std::string& name) { return !elsewhere.contains(name); });
  for (auto& flag : flags)
    if (flag.name == "skip-phases") flag.choices = plan::phaseNames(phases::initWorkflow());
  return flags;
}

std::vector<Flag> initPhaseFlags(InitOptions& options, std::string_view phase) {
  std::set<std::string> names;
  for (const auto& row : phaseFlags)
    if (isWithin(phase, row.phase) || isWithin(row.phase, phase)) names.merge(words(row.flags));
  return chosen(options, [&](const std::string& name) { return names.contains(name); });
}

} // namespace kubestrap::cmd
