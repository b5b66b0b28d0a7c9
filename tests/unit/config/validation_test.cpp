#include "fixture.hpp"

namespace kubestrap::config {

namespace {

/// A document and how its only problem ends; an empty end: it is right.
struct Row {
  std::string document, problem;
};

void checkRows(const std::vector<Row>& rows) {
  for (const auto& row : rows) {
    const auto lines = problemsOf(row.document);
    if (row.problem.empty()) {
      CHECK_MESSAGE(lines.empty(), row.document, join(lines, "\n"));
      continue;
    }
    CHECK_MESSAGE(lines.size() == 1, row.document, join(lines, "\n"));
    CHECK_MESSAGE((!lines.empty() && lines[0].find(row.problem) != std::string::npos), row.problem, " | ",
                  join(lines, "\n"));
  }
}

std::string services(const std::string& subnet) { return cluster("networking: {serviceSubnet: \"" + subnet + "\"}\n"); }
std::string pods(const std::string& subnet, const std::string& more = "") {
  return cluster("networking: {podSubnet: \"" + subnet + "\"}\n" + more);
}
std::string manager(const std::string& name, const std::string& value) {
  return "controllerManager: {extraArgs: [{name: " + name + ", value: \"" + value + "\"}]}\n";
}
std::string external(const std::string& body) { return cluster("etcd:\n  external:\n" + body); }

Lines validated(const std::string& yaml) {
  Lines lines, warnings;
  for (const auto& problem : validateDocuments(documents(yaml), warnings)) lines.push_back(describe(problem));
  return lines;
}

} // namespace

TEST_CASE("service ranges: one or two of different families, at least ten addresses, at most twenty host bits") {
  checkRows({
      {services("10.96.0.0/12"), ""},
      {services("10.96.0.0/28"), ""},
      {services("10.96.0.0/29"), "10.96.0.0/29 has only 8 addresses (expected at least 10)"},
      {services("10.0.0.0/11"), "10.0.0.0/11 is too large for services (expected /12 or smaller)"},
      {services("fd00::/108"), ""},
      {services("fd00::/107"), "fd00::/107 is too large for services (expected /108 or smaller)"},
      {services("10.96.0.0/16,fd00::/112"), ""},
      {services("fd00::/112,10.96.0.0/16"), ""},
      {services("10.96.0.0/16,10.97.0.0/16"), "is not one range, or two of different families"},
      {services("10.96.0.0/16,fd00::/112,10.97.0.0/16"), "is not one range, or two of different families"},
      {services("10.96.0.0/16, fd00::/112"), "is not an address range"},
      {services("10.96.0.0/16,"), "is not an address range"},
      {services("10.96.0.0"), "is not an address range"},
  });
}

TEST_CASE("pod ranges: a node's part fits in, and not more than sixteen bits of parts") {
  checkRows({
      {pods("10.244.0.0/16"), ""},
      {pods("10.244.0.0/24"), ""},
      {pods("10.244.0.0/25"),
       "10.244.0.0/25 is smaller than the /24 that each node gets of it (expected /24 or larger)"},
      {pods("10.244.0.0/25", manager("node-cidr-mask-size-ipv4", "26")), ""},
      {pods("10.244.0.0/25", manager("allocate-node-cidrs", "false")), ""},
      {pods("10.0.0.0/8"), ""},
      {pods("10.0.0.0/8", manager("node-cidr-mask-size-ipv4", "25")),
       "10.0.0.0/8 is more than 16 bits larger than the /25"},
      {pods("fd00:10:244::/56"), ""},
      {pods("fd00:10::/47"),
       "fd00:10::/47 is more than 16 bits larger than the /64 that each node gets of it (expected /48 or smaller)"},
      {pods("10.244.0.0/29", manager("allocate-node-cidrs", "false")),
       "10.244.0.0/29 has only 8 addresses (expected at least 14)"},
      {pods("10.244.0.0/16", manager("node-cidr-mask-size-ipv4", "many")),
       "node-cidr-mask-size-ipv4 is not a whole number"},
  });
}

TEST_CASE("single fields have kubeadm's rules") {
  checkRows({
      {cluster("certificatesDir: pki\n"), "certificatesDir: \"pki\" is not an absolute path"},
      {cluster("networking: {dnsDomain: Cluster.Local}\n"),
       "networking.dnsDomain: \"Cluster.Local\" is not a DNS name"},
      {cluster("controlPlaneEndpoint: api.example.org:0\n"),
       "controlPlaneEndpoint: \"api.example.org:0\" is not an address"},
      {cluster("controlPlaneEndpoint: api.example.org:70000\n"), "controlPlaneEndpoint: "},
      {cluster("controlPlaneEndpoint: https://api.example.org\n"), "controlPlaneEndpoint: "},
      {cluster("controlPlaneEndpoint: API.example.org\n"), "controlPlaneEndpoint: "},
      {cluster("imageRepository: registry.example.org:5000/a/b__c\n"), ""},
      {cluster("imageRepository: Registry.example.org/a\n"), ""},
      {cluster("imageRepository: registry.example.org/A\n"),
       "imageRepository: \"registry.example.org/A\" is not an image repository"},
      {cluster("imageRepository: https://registry.example.org\n"), "imageRepository: "},
      {cluster("imageRepository: registry.example.org/\n"), "imageRepository: "},
      {cluster("etcd: {local: {imageRepository: \"a b\"}}\n"), "etcd.local.imageRepository: "},
      {cluster("dns: {imageRepository: \"a b\"}\n"), "dns.imageRepository: "},
      {cluster("etcd: {local: {dataDir: etcd}}\n"), "etcd.local.dataDir: \"etcd\" is not an absolute path"},
      {cluster("etcd: {local: {serverCertSANs: [a_b], peerCertSANs: [\"*.example.org\", \"::1\"]}}\n"),
       "etcd.local.serverCertSANs[0]: "},
      {cluster("apiServer: {certSANs: [\"*.*.example.org\"]}\n"), "apiServer.certSANs[0]: "},
      {cluster("apiServer: {extraArgs: [{value: x}]}\n"), "apiServer.extraArgs[0].name: missing"},
      {cluster("apiServer: {extraArgs: [{name: \"\", value: x}]}\n"),
       "apiServer.extraArgs[0].name: \"\" is not the name of a flag"},
      {cluster("scheduler: {extraArgs: [{name: --v, value: x}]}\n"),
       "scheduler.extraArgs[0].name: \"--v\" is not the name of a flag"},
      {cluster("scheduler: {extraVolumes: [{name: a, hostPath: /a}]}\n"),
       "scheduler.extraVolumes[0].mountPath: missing"},
      {cluster("scheduler: {extraEnvs: [{name: A, valu: b}]}\n"),
       "scheduler.extraEnvs[0].valu: unknown field; did you mean \"value\"?"},
      {cluster("certificateValidityPeriod: 0s\n"), "certificateValidityPeriod: 0s is no time at all"},
      {init("localAPIEndpoint: {bindPort: -1}\n"), "localAPIEndpoint.bindPort: -1 is not a port"},
      {init("certificateKey: abc\n"), "certificateKey: the value (not shown) is not a certificate key"},
      {init("certificateKey: \"" + std::string(32, '0') + "\"\n"), "certificateKey: "},
      {init("nodeRegistration: {imagePullPolicy: Sometimes}\n"),
       "nodeRegistration.imagePullPolicy: \"Sometimes\" is not known (expected one of Always, IfNotPresent, Never)"},
      {init("bootstrapTokens: [{token: ABCDEF.0123456789abcdef}]\n"), "bootstrapTokens[0].token: "},
      {init("bootstrapTokens: [{usages: [signing, other]}]\n"),
       "bootstrapTokens[0].usages[1]: \"other\" is not a usage of a token"},
      {init("bootstrapTokens: [{groups: [\"system:masters\"]}]\n"),
       "bootstrapTokens[0].groups[0]: \"system:masters\" is not a group of bootstrap tokens"},
      {init("bootstrapTokens: [{usages: [signing], groups: [\"system:bootstrappers:a\"]}]\n"),
       "bootstrapTokens[0].groups: groups are of use for authentication only"},
      {init("bootstrapTokens: [{ttl: 1h, expires: \"2027-01-01T00:00:00Z\"}]\n"),
       "bootstrapTokens[0]: ttl and expires exclude each other"},
      {init("bootstrapTokens: [{ttl: -1h}]\n"), "bootstrapTokens[0].ttl: -1h0m0s is negative"},
  });
}

TEST_CASE("an external etcd needs endpoints, https where there are files, and its files together") {
  checkRows({
      {external("    endpoints: [\"http://10.0.0.1:2379\"]\n"), ""},
      {external("    endpoints: []\n"), "etcd.external.endpoints: no endpoint is given"},
      {external("    endpoints: [\"10.0.0.1:2379\"]\n"), "etcd.external.endpoints[0]: \"10.0.0.1:2379\" is not a URL"},
      {external("    endpoints: [\"http://10.0.0.1:2379\"]\n    caFile: /ca.crt\n"),
       "etcd.external.endpoints[0]: \"http://10.0.0.1:2379\" is not an https URL"},
      {external("    endpoints: [\"https://10.0.0.1:2379\"]\n    caFile: /ca.crt\n    certFile: /c.crt\n"),
       "etcd.external.keyFile: missing"},
      {external("    endpoints: [\"https://10.0.0.1:2379\"]\n    certFile: /c.crt\n    keyFile: /c.key\n"),
       "etcd.external.caFile: missing"},
      {external("    endpoints: [\"https://10.0.0.1:2379\"]\n    caFile: ca.crt\n"),
       "etcd.external.caFile: \"ca.crt\" is not an absolute path"},
      {cluster("etcd: {local: {}, external: {endpoints: [\"https://10.0.0.1:2379\"]}}\n"),
       "etcd: local and external exclude each other"},
  });
}

TEST_CASE("a virtual address is one of the nodes' own network, and of mode vip") {
  const auto endpoint = [](const std::string& text, const std::string& more = "") {
    return cluster(more) + "---\napiVersion: kubestrap.io/v1alpha1\nkind: KubestrapConfiguration\nendpoint: {" + text + "}\n";
  };
  checkRows({
      {endpoint("mode: vip, vip: {address: 10.88.0.100}"), ""},
      {endpoint("mode: vip, vip: {address: 10.88.0.100, interface: eth1, routerID: 255, priority: 254}"), ""},
      {endpoint("mode: vip"), "endpoint.vip: nothing says which address"},
      {endpoint("mode: local, vip: {address: 10.88.0.100}"), "endpoint.vip: is for endpoint.mode vip only"},
      {endpoint("mode: vip, vip: {interface: eth1}"), "endpoint.vip.address: missing"},
      {endpoint("mode: vip, vip: {address: api.example.org}"), "endpoint.vip.address: \"api.example.org\" is not an IP address"},
      {endpoint("mode: vip, vip: {address: 127.0.0.9}"), "endpoint.vip.address: 127.0.0.9 is no address of a machine"},
      {endpoint("mode: vip, vip: {address: 10.96.0.9}"), "endpoint.vip.address: 10.96.0.9 is an address of the cluster's services"},
      {endpoint("mode: vip, vip: {address: 10.88.0.100, routerID: 256}"), "endpoint.vip.routerID: 256 is not a virtual router id"},
      {endpoint("mode: vip, vip: {address: 10.88.0.100, priority: 255}"), "endpoint.vip.priority: 255 is not a priority"},
      {endpoint("mode: vip, vip: {address: 10.88.0.100}", "controlPlaneEndpoint: 10.88.0.100:6443\n"),
       "controlPlaneEndpoint: has to be a name where endpoint.mode is vip"},
  });
}

TEST_CASE("feature gates are those of the bootstrapper") {
  checkRows({
      {cluster("featureGates: {RootlessControlPlane: false}\n"), ""},
      {cluster("featureGates: {RootlessControlPlane: true}\n"),
       "featureGates.RootlessControlPlane: this feature gate cannot be on"},
      {cluster("featureGates: {UserNamespacesSupport: true}\n"),
       "featureGates.UserNamespacesSupport: unknown feature gate (expected one of RootlessControlPlane;"},
      {cluster("featureGates: {PublicKeysECDSA: true}\n"),
       "featureGates.PublicKeysECDSA: this feature gate is gone since 1.37"},
      {cluster("kubernetesVersion: v1.36.3\nfeatureGates: {NodeLocalCRISocket: true}\n"), ""},
  });
}

TEST_CASE("long lifetimes are warned of, not refused") {
  const auto warnings =
      warningsOf(cluster("certificateValidityPeriod: 100000h\ncaCertificateValidityPeriod: 90000h\n"));
  CHECK(warnings == Lines{"certificateValidityPeriod: 100000h0m0s is longer than the recommended 8760h0m0s",
                          "caCertificateValidityPeriod: 90000h0m0s is longer than the recommended 87600h0m0s",
                          "certificateValidityPeriod: 100000h0m0s is longer than the 90000h0m0s of the authorities"});
}

TEST_CASE("validation reads all five kinds, and refuses kinds of other makers") {
  const std::string type = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ";
  CHECK(validated(dataFile("init-defaults-components.yaml")).empty());
  CHECK(validated(dataFile("join-defaults.yaml")).empty());
  CHECK(validated(dataFile("reset-defaults.yaml")).empty());
  CHECK(validated(dataFile("upgrade-defaults.yaml")).empty());
  CHECK(validated("apiVersion: example.org/v1\nkind: Thing\n") ==
        Lines{"k.yaml:1:1: apiVersion: example.org/v1 Thing is unknown here"});
  CHECK(validated(type + "ResetConfiguration\nunmountFlags: [MNT_LAZY]\n") ==
        Lines{"k.yaml:3:16: unmountFlags[0]: \"MNT_LAZY\" is not known (expected one of MNT_FORCE, MNT_DETACH, "
              "MNT_EXPIRE, UMOUNT_NOFOLLOW)"});
  CHECK(validated(type + "UpgradeConfiguration\napply:\n  patches:\n    directory: here\n") ==
        Lines{"k.yaml:5:5: apply.patches.directory: \"here\" is not an absolute path (expected a path that begins with "
              "/)"});
}

TEST_CASE("a join needs one way to find the cluster, and a hash or the will to do without") {
  const auto joining = [](const std::string& discovery) {
    return validated("apiVersion: kubeadm.k8s.io/v1beta4\nkind: JoinConfiguration\n" + discovery);
  };
  const std::string token =
      "discovery:\n  bootstrapToken:\n    token: abcdef.0123456789abcdef\n    apiServerEndpoint: ";
  const std::string hash = "    caCertHashes: [\"sha256:" + std::string(64, 'a') + "\"]\n";
  CHECK(joining(token + "10.0.0.1:6443\n" + hash).empty());
  CHECK(joining("") ==
        Lines{"k.yaml:1:1: discovery: missing (expected a mapping with bootstrapToken, file, tlsBootstrapToken)",
              "k.yaml:1:1: discovery: nothing says how the cluster is found (expected bootstrapToken or file)"});
  CHECK(joining(token + "10.0.0.1\n" + hash) ==
        Lines{"k.yaml:6:5: discovery.bootstrapToken.apiServerEndpoint: "
              "\"10.0.0.1\" has no port (expected host:port of an API server)"});
  REQUIRE(joining(token + "10.0.0.1:6443\n").size() == 1);
  CHECK(joining(token + "10.0.0.1:6443\n")[0].find("caCertHashes: missing") != std::string::npos);
  CHECK(joining(token + "10.0.0.1:6443\n    caCertHashes: [\"md5:aa\"]\n").size() == 1);
  CHECK(joining("discovery:\n  file: {kubeConfigPath: \"http://example.org\"}\n").size() == 1);
  CHECK(joining(token + "10.0.0.1:6443\n" + hash + "  file: {kubeConfigPath: /x}\n").size() == 1);
  CHECK(joining(token + "10.0.0.1:6443\n" + hash + "caCertPath: /etc/ca.pem\n").size() == 1);
  CHECK(joining(token + "10.0.0.1:6443\n" + hash + "controlPlane: {}\n").empty());
}

} // namespace kubestrap::config
