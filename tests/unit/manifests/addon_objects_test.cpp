#include "manifests/addon_objects.hpp"

#include "manifests/addon_images.hpp"
#include "support/error.hpp"
#include "support/text.hpp"
#include "support/yaml.hpp"
#include "tests/unit/manifests/fixture.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace kubestrap;
using namespace kubestrap::test;
using namespace kubestrap::manifests;

namespace {

using config::Addon;
using config::AddonValues;

std::vector<Value> documents(const std::string& yaml) {
  std::vector<Value> list;
  for (auto& each : parseYaml(yaml, "test")) list.push_back(std::move(each.value));
  return list;
}

std::vector<Value> made(const std::string& name, const std::string& yaml, const AddonValues& values = {}, const std::string& pods = "10.244.0.0/16") {
  auto cluster = referenceSetup().cluster;
  cluster.networks.podSubnet = pods;
  cluster.networks.pods = {*Cidr::parse(pods)};
  const Addon addon{.name = name, .source = {}, .values = values};
  return inOrder(addonObjects(cluster, addon, {.from = "/m/" + name + ".yaml", .manifest = documents(yaml), .installed = {}}));
}

std::string failureOf(const std::string& name, const std::string& yaml, const AddonValues& values = {}) {
  try {
    made(name, yaml, values);
  } catch (const Error& error) {
    return error.message();
  }
  return "";
}

const Value& ofKind(const std::vector<Value>& objects, std::string_view kind) {
  const auto found = std::find_if(objects.begin(), objects.end(), [&](const Value& each) { return stringAt(each, "kind") == kind; });
  REQUIRE_MESSAGE(found != objects.end(), std::string(kind));
  return *found;
}

const Value& containerOf(const Value& workload) { return workload.at("spec").at("template").at("spec").at("containers").at(0); }

std::string workload(const std::string& kind, const std::string& container, const std::string& more = "") {
  return "apiVersion: apps/v1\nkind: " + kind + "\nmetadata: {name: it, namespace: its}\nspec: {template: {metadata: {labels: {app: it}}, spec: {containers: [{name: " + container +
         ", image: \"quay.io/some/it:v1\"" + more + "}]}}}\n---\n";
}

const std::string flannel = R"(
apiVersion: v1
kind: ConfigMap
metadata: {name: cfg, namespace: f}
data:
  net-conf.json: |
    {"Network": "10.1.0.0/16", "Backend": {"Type": "vxlan", "VNI": 7}}
---
)" + workload("DaemonSet", "kube-flannel", ", args: [--ip-masq, --iface=eth9]");

const std::string services = R"(
apiVersion: v1
kind: Service
metadata: {name: admission, namespace: its}
spec: {selector: {app: it}, ports: [{name: https-webhook, port: 443}]}
---
apiVersion: v1
kind: Service
metadata: {name: it, namespace: its}
spec: {type: LoadBalancer, externalTrafficPolicy: Local, selector: {app: it}, ports: [{name: web, port: 80, nodePort: 31000}, {name: websecure, port: 443}]}
---
)";

const Value& outer(const std::vector<Value>& objects) {
  const auto found = std::find_if(objects.begin(), objects.end(), [](const Value& each) { return stringAt(each, "kind") == "Service" && stringAt(each, "metadata.name") == "it"; });
  REQUIRE(found != objects.end());
  return *found;
}

} // namespace

TEST_CASE("flannel's network is the cluster's, and its backend what was asked for") {
  auto net = parseJson(ofKind(made("flannel", flannel, {}, "10.200.0.0/16"), "ConfigMap").at("data").at("net-conf.json").get<std::string>());
  CHECK(sameDocument(net, Value{{"Network", "10.200.0.0/16"}, {"Backend", {{"Type", "vxlan"}, {"VNI", 7}}}}));
  AddonValues values{.backend = "host-gw", .nftables = true, .interfaces = {"eth1"}};
  const auto objects = made("flannel", flannel, values);
  net = parseJson(ofKind(objects, "ConfigMap").at("data").at("net-conf.json").get<std::string>());
  CHECK(net.at("Backend") == Value{{"Type", "host-gw"}});
  CHECK(net.at("EnableNFTables") == true);
  CHECK(containerOf(ofKind(objects, "DaemonSet")).at("args") == Value{"--ip-masq", "--iface=eth1"});
}

TEST_CASE("a pod network's pods are made anew when the file that they read once is another one") {
  const auto told = [](const std::vector<Value>& objects) { return ofKind(objects, "DaemonSet").at("spec").at("template").at("metadata").at("annotations").at("kubestrap.io/configuration"); };
  CHECK(told(made("flannel", flannel)) == told(made("flannel", flannel)));
  CHECK(told(made("flannel", flannel)) != told(made("flannel", flannel, {}, "10.200.0.0/16")));
  const auto cilium = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cilium-config, namespace: its}\ndata: {ipam: cluster-pool}\n---\n" + workload("DaemonSet", "cilium-agent");
  CHECK(told(made("cilium", cilium)) != told(made("cilium", cilium, {}, "10.200.0.0/16")));
}

TEST_CASE("flannel's families are the cluster's, whatever its manifest says") {
  const auto text = replaceAll(flannel, "\"Network\":", "\"EnableIPv4\": false, \"EnableIPv6\": true, \"IPv6Network\": \"fd00::/48\", \"Network\":");
  const auto net = parseJson(ofKind(made("flannel", text), "ConfigMap").at("data").at("net-conf.json").get<std::string>());
  for (const auto* member : {"EnableIPv4", "EnableIPv6", "IPv6Network"}) CHECK(!net.contains(member));
}

TEST_CASE("flannel gets both ranges of a cluster with two families") {
  auto cluster = referenceSetup().cluster;
  cluster.networks.pods = {*Cidr::parse("10.244.0.0/16"), *Cidr::parse("fd00:10::/56")};
  const auto objects = inOrder(addonObjects(cluster, {.name = "flannel", .source = {}, .values = {}}, {.from = "f", .manifest = documents(flannel), .installed = {}}));
  const auto net = parseJson(ofKind(objects, "ConfigMap").at("data").at("net-conf.json").get<std::string>());
  CHECK(stringAt(net, "Network") == "10.244.0.0/16");
  CHECK(stringAt(net, "IPv6Network") == "fd00:10::/56");
  CHECK(net.at("EnableIPv6") == true);
}

TEST_CASE("a manifest without what a value belongs to is refused") {
  CHECK(failureOf("flannel", workload("DaemonSet", "kube-flannel")) == "/m/flannel.yaml: it has no ConfigMap with net-conf.json");
  CHECK(failureOf("calico", workload("DaemonSet", "other")) == "/m/calico.yaml: it has no DaemonSet with the container calico-node, Installation or IPPool");
  CHECK(failureOf("metrics-server", workload("Deployment", "other"), {.kubeletInsecureTLS = true}) == "/m/metrics-server.yaml: it has no container metrics-server");
  CHECK(failureOf("traefik", workload("Deployment", "traefik"), {.exposure = "nodePort"}) == "/m/traefik.yaml: it has no Service with a port for http that leads to Deployment it");
}

TEST_CASE("Calico's pool is the cluster's pod network, by whichever way it is installed") {
  const AddonValues values{.encapsulation = "vxlan", .interfaces = {"eth1"}};
  const auto own = made("calico", workload("DaemonSet", "calico-node", ", env: [{name: CALICO_IPV4POOL_IPIP, value: Always}]"), values);
  const auto& variables = containerOf(ofKind(own, "DaemonSet")).at("env");
  for (const auto& [name, value] : {std::pair{"CALICO_IPV4POOL_CIDR", "10.244.0.0/16"}, {"CALICO_IPV4POOL_IPIP", "Never"}, {"CALICO_IPV4POOL_VXLAN", "Always"}, {"IP_AUTODETECTION_METHOD", "interface=eth1"}})
    CHECK(std::count(variables.begin(), variables.end(), Value{{"name", name}, {"value", value}}) == 1);

  const std::string installation = "apiVersion: operator.tigera.io/v1\nkind: Installation\nmetadata: {name: default}\nspec: {calicoNetwork: {ipPools: [{cidr: 192.168.0.0/16, encapsulation: None}]}}\n";
  const auto byOperator = made("calico", installation, values);
  CHECK(ofKind(byOperator, "Installation").at("spec").at("calicoNetwork") ==
        Value{{"ipPools", Value::array({Value{{"cidr", "10.244.0.0/16"}, {"encapsulation", "VXLAN"}}})}, {"nodeAddressAutodetectionV4", {{"interface", "eth1"}}}});

  const auto pool = [](const std::string& name, const std::string& cidr) {
    return "apiVersion: crd.projectcalico.org/v1\nkind: IPPool\nmetadata: {name: " + name + "}\nspec: {cidr: " + cidr + "}\n---\n";
  };
  CHECK(stringAt(ofKind(made("calico", pool("a", "192.168.0.0/16")), "IPPool"), "spec.cidr") == "10.244.0.0/16");
  CHECK(failureOf("calico", pool("a", "10.244.0.0/17") + pool("b", "10.244.128.0/17")) == "");
  CHECK(failureOf("calico", pool("a", "10.244.0.0/17") + pool("b", "192.168.0.0/16")) == "/m/calico.yaml: the IPPool 192.168.0.0/16 is no part of the cluster's pod network 10.244.0.0/16");
}

TEST_CASE("Cilium divides the cluster's pod network where it divides one") {
  const auto map = [](const std::string& data) { return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cilium-config, namespace: kube-system}\ndata: " + data + "\n"; };
  CHECK(ofKind(made("cilium", map("{ipam: cluster-pool, cluster-pool-ipv4-cidr: 10.0.0.0/8}")), "ConfigMap").at("data").at("cluster-pool-ipv4-cidr") == "10.244.0.0/16");
  CHECK(!ofKind(made("cilium", map("{ipam: kubernetes}")), "ConfigMap").at("data").contains("cluster-pool-ipv4-cidr"));
  CHECK(failureOf("cilium", map("{ipv4-native-routing-cidr: 192.168.0.0/16}")) ==
        "/m/cilium.yaml: ipv4-native-routing-cidr 192.168.0.0/16 does not hold the cluster's pod network 10.244.0.0/16");
}

TEST_CASE("MetalLB's pools come after its definitions and before its webhook, which cannot answer yet") {
  const std::string metallb = "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingWebhookConfiguration\nmetadata: {name: hook}\nwebhooks: []\n---\n" +
                              workload("DaemonSet", "speaker", ", args: [--port=1]") +
                              "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: ipaddresspools.metallb.io}\nspec: {group: metallb.io}\n---\n"
                              "apiVersion: v1\nkind: Namespace\nmetadata: {name: its}\n";
  const AddonValues values{.controlPlanes = true, .interfaces = {"eth0"}, .pools = {{.name = "hall", .addresses = {"10.88.0.240/28"}, .autoAssign = false}}};
  const auto objects = made("metallb", metallb, values);
  std::vector<std::string> kinds;
  for (const auto& each : objects) kinds.push_back(stringAt(each, "kind"));
  CHECK(kinds == std::vector<std::string>{"Namespace", "CustomResourceDefinition", "DaemonSet", "IPAddressPool", "L2Advertisement", "ValidatingWebhookConfiguration"});
  CHECK(ofKind(objects, "IPAddressPool").at("spec") == Value{{"addresses", {"10.88.0.240/28"}}, {"autoAssign", false}});
  CHECK(ofKind(objects, "IPAddressPool").at("metadata").at("namespace") == "its");
  CHECK(ofKind(objects, "L2Advertisement").at("spec") == Value{{"ipAddressPools", {"hall"}}, {"interfaces", {"eth0"}}});
  CHECK(containerOf(ofKind(objects, "DaemonSet")).at("args") == Value{"--port=1", "--ignore-exclude-lb"});
  for (const auto& each : objects) CHECK(each.at("metadata").at("labels").at("kubestrap.io/addon") == "metallb");
}

TEST_CASE("MetalLB is refused where every node would answer for its addresses") {
  auto cluster = referenceSetup().cluster;
  const auto make = [&] { return addonObjects(cluster, {.name = "metallb", .source = {}, .values = {}}, {.from = "m", .manifest = documents(workload("DaemonSet", "speaker")), .installed = {}}); };
  cluster.proxy.document["mode"] = "nftables";
  CHECK_NOTHROW(make());
  cluster.proxy.document["mode"] = "ipvs";
  CHECK_THROWS_WITH_AS(make(), "metallb: every node would answer for its addresses, since kube-proxy's mode is ipvs", Error);
  cluster.proxy.document["ipvs"]["strictARP"] = true;
  CHECK_NOTHROW(make());
  cluster.proxy.document["ipvs"]["strictARP"] = false;
  cluster.proxyDisabled = true;
  CHECK_NOTHROW(make());
}

TEST_CASE("the four ways in which requests reach an ingress controller") {
  const auto nginx = services + workload("Deployment", "controller", ", args: [/nginx, --publish-service=a/b]");
  SUBCASE("an address of a load balancer") {
    const auto service = outer(made("ingress-nginx", nginx, {.exposure = "loadBalancer", .externalIPs = {"10.88.0.241"}}));
    CHECK(stringAt(service, "spec.type") == "LoadBalancer");
    CHECK(service.at("metadata").at("annotations").at("metallb.io/loadBalancerIPs") == "10.88.0.241");
  }
  SUBCASE("a port of every node") {
    const auto service = outer(made("ingress-nginx", nginx, {.exposure = "nodePort", .nodePorts = config::NodePorts{.http = 30080, .https = 30443}}));
    CHECK(stringAt(service, "spec.type") == "NodePort");
    CHECK(service.at("spec").at("ports").at(0).at("nodePort") == 30080);
    CHECK(service.at("spec").at("ports").at(1).at("nodePort") == 30443);
  }
  SUBCASE("the nodes' own ports") {
    const auto objects = made("ingress-nginx", nginx, {.exposure = "hostNetwork"});
    const auto& deployment = ofKind(objects, "Deployment");
    CHECK(deployment.at("spec").at("template").at("spec").at("hostNetwork") == true);
    CHECK(stringAt(deployment, "spec.template.spec.dnsPolicy") == "ClusterFirstWithHostNet");
    CHECK(deployment.at("spec").at("strategy").at("rollingUpdate").at("maxSurge") == 0);
    CHECK(containerOf(deployment).at("args") == Value{"/nginx", "--report-node-internal-ip-address"});
    CHECK(stringAt(outer(objects), "spec.type") == "ClusterIP");
    CHECK(!outer(objects).at("spec").contains("externalTrafficPolicy"));
    CHECK(!outer(objects).at("spec").at("ports").at(0).contains("nodePort"));
  }
  SUBCASE("addresses that lead to a node") {
    const auto service = outer(made("ingress-nginx", nginx, {.exposure = "externalIPs", .externalIPs = {"192.0.2.7"}}));
    CHECK(stringAt(service, "spec.type") == "ClusterIP");
    CHECK(service.at("spec").at("externalIPs") == Value{"192.0.2.7"});
  }
  SUBCASE("as the manifest says") { CHECK(outer(made("ingress-nginx", nginx)).at("spec") == documents(services)[1].at("spec")); }
}

TEST_CASE("metrics-server takes kubelets' own certificates when it is told so") {
  const auto server = workload("Deployment", "metrics-server", ", args: [--cert-dir=/tmp]");
  CHECK(containerOf(ofKind(made("metrics-server", server, {.kubeletInsecureTLS = true}), "Deployment")).at("args") == Value{"--cert-dir=/tmp", "--kubelet-insecure-tls"});
  CHECK(containerOf(ofKind(made("metrics-server", server), "Deployment")).at("args") == Value{"--cert-dir=/tmp"});
}

TEST_CASE("local-path's folder, class and helper") {
  const std::string localPath = R"(
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: local-path}
provisioner: rancher.io/local-path
---
apiVersion: v1
kind: ConfigMap
metadata: {name: c, namespace: its}
data:
  config.json: '{"nodePathMap": [{"node": "n7", "paths": ["/opt"]}], "sharedFileSystemPath": ""}'
  helperPod.yaml: |
    apiVersion: v1
    kind: Pod
    metadata: {name: helper}
    spec: {containers: [{name: helper, image: busybox}]}
)";
  const auto objects = made("local-path", localPath, {.imageRegistry = "10.0.0.5:5000", .path = "/data/volumes", .isDefault = true});
  const auto& data = ofKind(objects, "ConfigMap").at("data");
  CHECK(parseJson(data.at("config.json").get<std::string>()).at("nodePathMap") ==
        Value::array({Value{{"node", "DEFAULT_PATH_FOR_NON_LISTED_NODES"}, {"paths", {"/data/volumes"}}}}));
  CHECK(has(data.at("helperPod.yaml").get<std::string>(), "image: 10.0.0.5:5000/library/busybox"));
  CHECK(imagesIn(objects) == std::vector<std::string>{"10.0.0.5:5000/library/busybox"}); // which its controller runs
  CHECK(ofKind(objects, "StorageClass").at("metadata").at("annotations").at("storageclass.kubernetes.io/is-default-class") == "true");
}

TEST_CASE("images come from elsewhere, one by one or all") {
  const AddonValues values{.imageRegistry = "reg.example/mirror", .images = {{"quay.io/a/b", "own.example/b"}, {"quay.io/a/c:v1", "own.example/c:v2"}, {"quay.io/a/d", "own.example/d:v9"}}};
  for (const auto& [image, instead] : std::vector<std::pair<std::string, std::string>>{{"quay.io/a/b:v1", "own.example/b:v1"},
                                                                                      {"quay.io/a/b@sha256:00", "own.example/b@sha256:00"},
                                                                                      {"quay.io/a/c:v1", "own.example/c:v2"},
                                                                                      {"quay.io/a/c:v3", "reg.example/mirror/a/c:v3"},
                                                                                      {"quay.io/a/d:v1", "own.example/d:v9"},
                                                                                      {"rancher/x:v1", "reg.example/mirror/rancher/x:v1"},
                                                                                      {"busybox", "reg.example/mirror/library/busybox"},
                                                                                      {"localhost:5000/y:v1", "reg.example/mirror/y:v1"}})
    CHECK_MESSAGE(imageInstead(image, values) == instead, image);
  CHECK(imageInstead("quay.io/a/b:v1", {}) == "quay.io/a/b:v1");
  CHECK(imagesIn(made("flannel", flannel, {.imageRegistry = "reg"})) == std::vector<std::string>{"reg/some/it:v1"});
}

TEST_CASE("what was there before an add-on is told from what it has made") {
  auto manifest = documents("{apiVersion: v1, kind: Namespace, metadata: {name: a}}\n---\n{apiVersion: v1, kind: Namespace, metadata: {name: b}}\n---\n"
                            "{apiVersion: v1, kind: Namespace, metadata: {name: kube-system}}\n");
  const auto made = addonObjects(referenceSetup().cluster, {.name = "metallb", .source = {}, .values = {}}, {.from = "m", .manifest = manifest, .installed = {}, .ofOthers = {nameOf(manifest[1])}});
  CHECK(made.ofOthers == std::vector<config::ObjectName>{{"v1", "Namespace", "", "b"}, {"v1", "Namespace", "", "kube-system"}});
  for (const auto& each : made.first) CHECK(!each.contains("status"));
}

TEST_CASE("what an add-on consists of can be read back") {
  const std::vector<config::ObjectName> names{{"v1", "Namespace", "", "a"}, {"apps/v1", "DaemonSet", "a", "b"}};
  const auto record = addonRecord("flannel", names);
  CHECK(stringAt(record, "metadata.name") == "kubestrap-addon-flannel");
  config::AddonSeen seen;
  takeRecord(seen, record);
  CHECK(seen.installed == names);
}
