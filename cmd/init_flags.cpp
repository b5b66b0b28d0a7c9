#include "cmd/init_flags.hpp"

namespace kubestrap::cmd {

std::vector<Flag> initFlags(InitOptions& options) {
  auto& flags = options.flags;
  return {
      {.name = "apiserver-advertise-address", .into = &flags.apiserverAdvertiseAddress,
       .doc = "The address that the API server tells others to use", .value = "IP", .standard = "of the interface with the default route"},
      {.name = "apiserver-bind-port", .into = &flags.apiserverBindPort, .doc = "The port of the API server", .value = "PORT", .standard = "6443"},
      {.name = "apiserver-cert-extra-sans", .into = &flags.apiserverCertExtraSans,
       .doc = "Further names and addresses in the API server's certificate", .value = "NAME,..."},
      {.name = "cert-dir", .into = &flags.certDir, .doc = "The folder of the certificates", .value = "DIR", .standard = "/etc/kubernetes/pki"},
      {.name = "certificate-key", .into = &flags.certificateKey, .doc = "The key that encrypts uploaded certificates: 64 hexadecimal digits",
       .value = "KEY"},
      {.name = "config", .into = &flags.configFile, .doc = "A file with kubeadm.k8s.io/v1beta4 and kubestrap.io/v1alpha1 documents; - is standard input",
       .value = "FILE"},
      {.name = "control-plane-endpoint", .into = &flags.controlPlaneEndpoint,
       .doc = "A name or address, with or without a port, under which the control plane can always be reached", .value = "HOST[:PORT]"},
      {.name = "cri-socket", .into = &flags.criSocket, .doc = "The socket of the container runtime", .value = "URL", .standard = "the one that exists"},
      {.name = "dry-run", .into = &options.dryRun, .doc = "Show what would be done, and touch nothing"},
      {.name = "exit-code", .into = &options.exitCode, .doc = "End with 4 when something was, or with --dry-run would be, changed"},
      {.name = "feature-gates", .into = &flags.featureGates, .doc = "Feature gates of kubeadm's configuration", .value = "NAME=BOOL,..."},
      {.name = "ignore-preflight-errors", .into = &flags.ignorePreflightErrors,
       .doc = "Checks whose errors count as warnings; all for every one", .value = "NAME,..."},
      {.name = "image-repository", .into = &flags.imageRepository, .doc = "Where the control plane's images come from", .value = "REPOSITORY",
       .standard = "registry.k8s.io"},
      {.name = "kubeconfig-dir", .into = &options.kubeconfigDir, .doc = "The folder of the kubeconfig files", .value = "DIR",
       .standard = "/etc/kubernetes"},
      {.name = "kubernetes-version", .into = &flags.kubernetesVersion, .doc = "The version of Kubernetes to deploy", .value = "VERSION",
       .standard = "the newest that kubestrap knows"},
      {.name = "node-name", .into = &flags.nodeName, .doc = "The name of this node", .value = "NAME", .standard = "the machine's"},
      {.name = "patches", .into = &flags.patches,
       .doc = "A folder of patches: target[suffix][+strategic|merge|json].json|yaml, where target is etcd, kube-apiserver, "
              "kube-controller-manager, kube-scheduler, kubeletconfiguration, corednsdeployment or kubeproxydaemonset",
       .value = "DIR"},
      {.name = "pod-network-cidr", .into = &flags.podNetworkCidr, .doc = "The address range of pods", .value = "CIDR"},
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
}

} // namespace kubestrap::cmd
