#include "fixture.hpp"

namespace kubestrap::config {

namespace {

Document asDocument(const Value& value) { return parseYaml(emitYaml(value), "stored").front(); }

std::vector<Document> stored(const Cluster& cluster) {
  return {asDocument(clusterConfigurationDocument(cluster)), asDocument(kubeletConfigDocument(cluster)),
          asDocument(kubeProxyDocument(cluster)), asDocument(kubestrapConfigurationDocument(cluster))};
}

Cluster readBack(const std::vector<Document>& documents) {
  Lines warnings;
  return clusterFromDocuments(documents, warnings);
}

} // namespace

TEST_CASE("what is uploaded is what kubeadm 1.37.2 uploaded for the same file, but for the kind of keys") {
  const auto cluster = load(dataFile("lab-init.yaml")).cluster;
  auto expected = parseYamlValue(dataFile("stored-cluster.yaml"), "stored-cluster.yaml");
  expected["encryptionAlgorithm"] = "ECDSA-P256";
  CHECK(clusterConfigurationDocument(cluster) == expected);
  CHECK(emitYaml(kubeletConfigDocument(cluster)) == dataFile("stored-kubelet.yaml"));
  CHECK(emitYaml(kubeProxyDocument(cluster)) == dataFile("stored-proxy.yaml"));
}

TEST_CASE("with RSA keys the uploaded text is kubeadm's to the byte") {
  auto text = dataFile("lab-init.yaml");
  text = replaceAll(text, "clusterName: kubernetes\n", "clusterName: kubernetes\nencryptionAlgorithm: RSA-2048\n");
  CHECK(emitYaml(clusterConfigurationDocument(load(text).cluster)) == dataFile("stored-cluster.yaml"));
}

TEST_CASE("KubestrapConfiguration is stored with every field that means something") {
  CHECK(emitYaml(kubestrapConfigurationDocument(load("").cluster)) ==
        "apiVersion: kubestrap.io/v1alpha1\nendpoint:\n  mode: single\nhosting: static\nkind: "
        "KubestrapConfiguration\nlayout: plain\n");
}

TEST_CASE("stored documents give the same cluster again") {
  const std::string rich =
      cluster("clusterName: blue\nkubernetesVersion: v1.36.3\ncontrolPlaneEndpoint: api.example.org\nimageRepository: "
              "mirror.example.org/k8s\n"
              "certificatesDir: /srv/pki\nencryptionAlgorithm: RSA-3072\ncertificateValidityPeriod: "
              "100h\ncaCertificateValidityPeriod: 200h\n"
              "networking: {serviceSubnet: \"10.96.0.0/16,fd00::/112\", podSubnet: \"10.244.0.0/16,fd00:1::/56\", "
              "dnsDomain: a.b}\n"
              "etcd: {local: {imageTag: 3.6.1-0, dataDir: /srv/etcd, serverCertSANs: [a.b], extraArgs: [{name: v, "
              "value: \"1\"}], extraEnvs: [{name: A, value: b}]}}\n"
              "apiServer: {certSANs: [API.b], extraArgs: [{name: v, value: \"1\"}, {name: v, value: \"2\"}]}\n"
              "scheduler: {extraVolumes: [{name: a, hostPath: /a, mountPath: /b}]}\ndns: {disabled: true, imageTag: "
              "v1}\nproxy: {disabled: true}\n");
  const std::string external =
      cluster("etcd: {external: {endpoints: [\"https://10.0.0.1:2379\"], caFile: /a, certFile: /b, keyFile: /c}}\n");
  for (const auto& text : {rich, external, dataFile("lab-init.yaml"), cluster("")}) {
    const auto original = load(text).cluster;
    const auto again = readBack(stored(original));
    CHECK(clusterConfigurationDocument(again) == clusterConfigurationDocument(original));
    CHECK(kubeletConfigDocument(again) == kubeletConfigDocument(original));
    CHECK(kubeProxyDocument(again) == kubeProxyDocument(original));
    CHECK(kubestrapConfigurationDocument(again) == kubestrapConfigurationDocument(original));
    CHECK(again.images.etcd == original.images.etcd);
    CHECK(again.images.coreDns == original.images.coreDns);
    CHECK(again.controlPlaneEndpoint == original.controlPlaneEndpoint);
    CHECK(again.pki.algorithm == original.pki.algorithm);
  }
}

TEST_CASE(
    "a stored configuration of another kubeadm may have unknown fields, and without an algorithm it is RSA-2048") {
  Lines warnings;
  const auto read = clusterFromDocuments(documents(cluster("kubernetesVersion: v1.37.2\nfuture: {x: 1}\n")), warnings);
  CHECK(read.pki.algorithm == certs::KeyAlgorithm::rsa2048);
  CHECK(warnings == Lines{"k.yaml:4:1 future: unknown field"});
  CHECK(readBack({asDocument(clusterConfigurationDocument(read))}).networks.dnsDomain == "cluster.local");
}

TEST_CASE("without a stored ClusterConfiguration there is no cluster") {
  CHECK_THROWS_WITH_AS(readBack(documents(kubestrap("layout: plain\n"))),
                       "there is no ClusterConfiguration among the stored documents", Problems);
}

} // namespace kubestrap::config
