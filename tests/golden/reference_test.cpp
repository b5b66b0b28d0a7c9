// The real kubeadm 1.37.2 was run with the configuration below. What it wrote is the judge: by fingerprint, whole files
// and texts are compared, not excerpts.
#include "manifests/addons.hpp"
#include "manifests/cluster_objects.hpp"
#include "manifests/components.hpp"
#include "manifests/kubelet.hpp"
#include "support/encoding.hpp"
#include "tests/golden/render.hpp"

#include <doctest/doctest.h>

using namespace kubestrap;
using namespace kubestrap::golden;

namespace {

constexpr const char* configuration = R"(
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
bootstrapTokens:
- token: abcdef.0123456789abcdef
  ttl: 24h0m0s
localAPIEndpoint: {advertiseAddress: 10.88.0.11, bindPort: 6443}
nodeRegistration:
  name: n1
  criSocket: unix:///run/containerd/containerd.sock
  imagePullPolicy: Never
  kubeletExtraArgs:
  - {name: node-ip, value: 10.88.0.11}
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: v1.37.2
controlPlaneEndpoint: "10.88.0.11:6443"
encryptionAlgorithm: RSA-2048
networking: {podSubnet: 10.244.0.0/16}
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failCgroupV1: false
cgroupDriver: systemd
failSwapOn: false
oomScoreAdj: 0
imageMinimumGCAge: 240h
imageGCHighThresholdPercent: 100
evictionHard: {memory.available: "50Mi", nodefs.available: "100Mi", nodefs.inodesFree: "1%", imagefs.available: "100Mi"}
---
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
conntrack: {maxPerCore: 0}
oomScoreAdj: 0
)";

const config::Setup& setup() {
  static const config::Setup loaded = [] {
    config::Facts facts = machine();
    facts.hostname = "n1";
    facts.caFolders = {{"/etc/pki/ca-trust", false},
                       {"/etc/pki/tls/certs", false},
                       {"/etc/ca-certificates", true},
                       {"/usr/share/ca-certificates", true},
                       {"/usr/local/share/ca-certificates", true}};
    return load(configuration, "reference.yaml", facts).setup;
  }();
  return loaded;
}

std::string fingerprint(const Value& document) { return sha256Hex(sorted(document).dump()); }
std::string text(const Value& configMap, const char* key) { return configMap.at("data").at(key).get<std::string>(); }

} // namespace

TEST_CASE("the static pods are the documents that kubeadm wrote") {
  std::map<std::string, std::string> found;
  for (const manifests::Component& component : manifests::components())
    found[std::string(component.name)] = fingerprint(component.pod(setup()));
  CHECK(found == std::map<std::string, std::string>{
                     {"etcd", "6679d18d71538e896ddf40dc9428d93413d76a0e8631d025147e4235bcf06bfa"},
                     {"kube-apiserver", "1f845ee57b39683cc43966c6fbfff19a5ec0f5302f910778767065f3aa2c7c1d"},
                     {"kube-controller-manager", "57c4b91805f1849d7c7d2cb2eab8a8ced1ade30b93cb21ac2cb6509c414835a6"},
                     {"kube-scheduler", "9675b4917f5d14b8dbcefa51cef0de91b34e1646407dfa52eac6a251885b6094"}});
}

TEST_CASE("the kubelet's files are those that kubeadm wrote") {
  CHECK(fingerprint(manifests::kubeletConfig(setup())) ==
        "0d9a5f8ff04a3b9d99ca1bc829e5c708e37ce4af946bf0b741f5fea705f342ca");
  CHECK(fingerprint(manifests::kubeletInstanceConfig(setup())) ==
        "053d9b4300561196c24aaefed988e730e32001c10bd873e836bc7ce7b3850233");
  CHECK(manifests::kubeletFlagsEnv(setup()) == "KUBELET_KUBEADM_ARGS=\"--node-ip=10.88.0.11\"\n");
}

TEST_CASE("the uploaded configurations are kubeadm's to the byte") {
  Value kubeadm = manifests::uploadedKubeadmConfig(setup().cluster).front();
  Value kubelet = manifests::uploadedKubeletConfig(setup().cluster).front();
  CHECK(sha256Hex(text(kubeadm, "ClusterConfiguration")) ==
        "32b0c270853da15110a0769359a212db4b72c259f7ced62f0135e2d5253a612a");
  CHECK(sha256Hex(text(kubelet, "kubelet")) == "b388c1660363f94bed0edc67a7c0674e4477da3d8de754af7b2ee38e8c8b27de");
  for (const Value& object : manifests::kubeProxy(setup())) {
    if (stringAt(object, "kind") != "ConfigMap") continue;
    CHECK(sha256Hex(text(object, "config.conf")) == "ec9be835408456aa47efe6dba2714de063e35d1cf5a44a05e7d99817e3cbbbe2");
    CHECK(sha256Hex(text(object, "kubeconfig.conf")) ==
          "10cd2ed8b3b00ba7b19606065956bc227cf7a728888a18e9c0816b75206b6401");
  }
}
