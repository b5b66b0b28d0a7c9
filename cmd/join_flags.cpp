#include "cmd/join_flags.hpp"

#include <algorithm>

namespace kubestrap::cmd {

std::vector<Flag> joinFlags(JoinOptions& options) {
  auto& flags = options.flags;
  std::vector<Flag> all{
      {.name = "apiserver-advertise-address", .into = &flags.apiserverAdvertiseAddress,
       .doc = "Control planes: the address that this node's API server tells others to use", .value = "IP",
       .standard = "of the interface with the default route"},
      {.name = "apiserver-bind-port", .into = &flags.apiserverBindPort, .doc = "Control planes: the port of this node's API server", .value = "PORT",
       .standard = "6443"},
      {.name = "certificate-key", .into = &flags.certificateKey, .doc = "Control planes: the key that opens the uploaded certificates", .value = "KEY"},
      {.name = "certificate-key-file", .into = &options.certificateKeyFile,
       .doc = "The same from a file, which other users do not see in the list of processes; - is standard input", .value = "FILE"},
      {.name = "certificates-file", .into = &options.certificatesFile,
       .doc = "Control planes: the uploaded certificates as a file (Secret kube-system/kubeadm-certs), where they were handed over and not to be asked for", .value = "FILE"},
      {.name = "config", .into = &flags.configFile, .doc = "A file with a JoinConfiguration of kubeadm.k8s.io/v1beta4; - is standard input",
       .value = "FILE"},
      {.name = "control-plane", .into = &flags.controlPlane, .doc = "Make this machine a control plane, not a worker"},
      {.name = "cri-socket", .into = &flags.criSocket, .doc = "The socket of the container runtime", .value = "URL", .standard = "the one that exists"},
      {.name = "discovery-file", .into = &flags.discoveryFile, .doc = "A kubeconfig, as a file or an https URL, that says where the cluster is",
       .value = "FILE"},
      {.name = "discovery-token", .into = &flags.discoveryToken, .doc = "The token that cluster-info is verified with", .value = "TOKEN"},
      {.name = "discovery-token-ca-cert-hash", .into = &flags.discoveryTokenCaCertHash,
       .doc = "The hash of the public key of the cluster's authority, as init printed it; several may be given", .value = "sha256:HEX"},
      {.name = "discovery-token-unsafe-skip-ca-verification", .into = &flags.discoveryTokenUnsafeSkipCaVerification,
       .doc = "Join without such a hash, trusting whoever knows the token"},
      {.name = "dry-run", .into = &options.dryRun, .doc = "Show what would be done, and touch nothing; the cluster is only read"},
      {.name = "exit-code", .into = &options.exitCode, .doc = "End with 4 when something was, or with --dry-run would be, changed"},
      {.name = "ignore-preflight-errors", .into = &flags.ignorePreflightErrors,
       .doc = "Checks whose errors count as warnings; all for every one", .value = "NAME,..."},
      {.name = "keep-on-failure", .into = &options.keepOnFailure,
       .doc = "Where a control plane fails to join, leave what has been made, to be looked at or gone on with"},
      {.name = "node-name", .into = &flags.nodeName, .doc = "The name of this node", .value = "NAME", .standard = "the machine's"},
      {.name = "patches", .into = &flags.patches,
       .doc = "A folder of patches: target[suffix][+strategic|merge|json].json|yaml, where target is etcd, kube-apiserver, "
              "kube-controller-manager, kube-scheduler or kubeletconfiguration",
       .value = "DIR"},
      {.name = "skip-phases", .into = &flags.skipPhases, .doc = "Phases to leave out", .value = "PHASE,..."},
      {.name = "tls-bootstrap-token", .into = &flags.tlsBootstrapToken, .doc = "The token that the kubelet asks for its certificate with", .value = "TOKEN"},
      {.name = "token", .into = &flags.token, .doc = "The bootstrap token: stands for both of the above", .value = "TOKEN"},
      {.name = "token-file", .into = &options.tokenFile,
       .doc = "The same from a file, which other users do not see in the list of processes; - is standard input", .value = "FILE"},
  };
  for (auto& flag : bundleUseFlags(options.bundle)) all.push_back(std::move(flag));
  std::ranges::sort(all, {}, &Flag::name);
  return all;
}

} // namespace kubestrap::cmd
