#include "fixture.hpp"

namespace kubestrap::config {

TEST_CASE("the kubelet's defaults follow the cluster's networks and folders") {
  const auto setup =
      load(cluster("certificatesDir: /srv/pki\nnetworking: {serviceSubnet: 10.20.0.0/16, dnsDomain: example.local}\n"));
  const Value& kubelet = setup.cluster.kubelet.document;
  CHECK(!setup.cluster.kubelet.userSupplied);
  CHECK(kubelet["clusterDNS"] == Value::array({"10.20.0.10"}));
  CHECK(stringAt(kubelet, "clusterDomain") == "example.local");
  CHECK(stringAt(kubelet, "authentication.x509.clientCAFile") == "/srv/pki/ca.crt");
  CHECK(stringAt(kubelet, "cgroupDriver") == "systemd");
  CHECK(!kubelet.contains("resolvConf"));
}

TEST_CASE("what kubeadm prints as component defaults is what we make of nothing, but for the version of its file") {
  const auto documentsOfKubeadm = documents(dataFile("init-defaults-components.yaml"));
  REQUIRE(documentsOfKubeadm.size() == 4);
  const auto setup = load("");
  CHECK(setup.cluster.kubelet.document == documentsOfKubeadm[2].value);
  CHECK(setup.cluster.proxy.document == documentsOfKubeadm[3].value);
}

TEST_CASE("values of the operator stay; those that are not recommended are warned of") {
  const auto text =
      stream({cluster(""), kubelet("staticPodPath: /srv/manifests\ncgroupDriver: cgroupfs\nclusterDNS: [10.96.0.10]\n"
                                   "authentication: {anonymous: {enabled: true}}\nhealthzPort: 0\nreadOnlyPort: "
                                   "10255\nrotateCertificates: false\n")});
  const auto document = load(text).cluster.kubelet.document;
  CHECK(stringAt(document, "staticPodPath") == "/srv/manifests");
  CHECK(stringAt(document, "cgroupDriver") == "cgroupfs");
  CHECK(document["healthzPort"] == 0);
  CHECK(document["rotateCertificates"] == true);
  CHECK(warningsOf(text) ==
        Lines{"KubeletConfiguration: staticPodPath is \"/srv/manifests\", recommended is \"/etc/kubernetes/manifests\"",
              "KubeletConfiguration: authentication.anonymous.enabled is true, recommended is false",
              "KubeletConfiguration: healthzPort is 0, recommended is 10248",
              "KubeletConfiguration: readOnlyPort 10255 serves without authentication, recommended is 0",
              "KubeletConfiguration: rotateCertificates is always true, since nothing else renews the kubelet's "
              "certificate"});
}

TEST_CASE("values are written as Go's encoder writes them: durations in full, empty ones left out, pointers kept") {
  const auto document =
      load(stream(
               {cluster(""),
                kubelet(
                    "imageMinimumGCAge: 240h\nfailSwapOn: false\nport: 0\ntlsCipherSuites: []\nenableServer: null\n")}))
          .cluster.kubelet.document;
  CHECK(stringAt(document, "imageMinimumGCAge") == "240h0m0s");
  CHECK(document["failSwapOn"] == false);
  CHECK(!document.contains("port"));
  CHECK(!document.contains("tlsCipherSuites"));
  CHECK(!document.contains("enableServer"));
}

TEST_CASE("unknown fields of component configurations are problems, nested ones too") {
  CHECK(problemsOf(stream({cluster(""), kubelet("authentication: {webhook: {cachettl: 1m}}\n"),
                           proxy("ipvs: {strictArp: true}\n")})) ==
        Lines{"k.yaml:6:28: authentication.webhook.cachettl: unknown field; did you mean \"cacheTTL\"?",
              "k.yaml:10:8: ipvs.strictArp: unknown field; did you mean \"strictARP\"?"});
}

TEST_CASE("kube-proxy gets the pod range, and modes and addresses that are going out are warned of") {
  const auto document = load(cluster("networking: {podSubnet: 10.244.0.0/16}\n")).cluster.proxy.document;
  CHECK(stringAt(document, "clusterCIDR") == "10.244.0.0/16");
  CHECK(stringAt(document, "mode") == "iptables");
  for (const auto* mode : {"iptables", "nftables", "ipvs"})
    CHECK(stringAt(load(stream({cluster(""), proxy(std::string("mode: ") + mode + "\n")})).cluster.proxy.document, "mode") == mode);
  CHECK(problemsOf(stream({cluster(""), proxy("mode: nftable\n")})) == Lines{"k.yaml:6:1: mode: \"nftable\" is no mode of kube-proxy (expected iptables, nftables or ipvs)"});
  const auto text = stream({cluster(""), proxy("mode: ipvs\nbindAddress: 10.0.0.1\n")});
  CHECK(stringAt(load(text).cluster.proxy.document, "mode") == "ipvs");
  CHECK(warningsOf(text) == Lines{"KubeProxyConfiguration: bindAddress is \"10.0.0.1\", recommended is \"0.0.0.0\"",
                                  "KubeProxyConfiguration: mode \"ipvs\" is deprecated since 1.35; \"nftables\" is its "
                                  "successor, \"iptables\" the default"});
}

} // namespace kubestrap::config
