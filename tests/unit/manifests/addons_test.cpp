#include "manifests/addons.hpp"

#include "manifests/cluster_objects.hpp"
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

const Value& ofKind(const std::vector<Value>& objects, std::string_view kind) {
  for (const Value& object : objects)
    if (stringAt(object, "kind") == kind) return object;
  FAIL("no object of this kind");
  throw 0;
}

std::vector<std::string> kinds(const std::vector<Value>& objects) {
  std::vector<std::string> list;
  for (const Value& object : objects)
    list.push_back(stringAt(object, "kind") + " " + stringAt(object, "metadata.name"));
  return list;
}

Value yaml(const char* text) { return parseYamlValue(text, "test"); }
const Value& podContainer(const Value& workload) {
  return workload.at("spec").at("template").at("spec").at("containers").at(0);
}
std::string print(const Value& object) { return fingerprint(object).substr(0, 16); }

} // namespace

TEST_CASE("what an object needs is applied before it") {
  CHECK(kinds(coreDns(referenceSetup())) ==
        std::vector<std::string>{"ServiceAccount coredns", "ClusterRole system:coredns",
                                 "ClusterRoleBinding system:coredns", "ConfigMap coredns", "Deployment coredns",
                                 "Service kube-dns"});
  CHECK(kinds(kubeProxy(referenceSetup())) == std::vector<std::string>{"ServiceAccount kube-proxy",
                                                                       "ClusterRoleBinding kubeadm:node-proxier",
                                                                       "Role kube-proxy", "RoleBinding kube-proxy",
                                                                       "ConfigMap kube-proxy", "DaemonSet kube-proxy"});
}

TEST_CASE("CoreDNS is the same as kubeadm 1.37.2 installs") {
  std::vector<Value> objects = coreDns(referenceSetup());
  CHECK(print(ofKind(objects, "ClusterRole")) == "2afabb57df453424");
  CHECK(print(ofKind(objects, "ClusterRoleBinding")) == "bf916d957170f3cf");
  CHECK(print(ofKind(objects, "ConfigMap")) == "f42b3c678b447cdd");
  CHECK(print(ofKind(objects, "Deployment")) == "c481048e64f98c9a");
  CHECK(print(ofKind(objects, "Service")) == "05f2d182a2a96ea5");
}

TEST_CASE("kube-proxy is the same as kubeadm 1.37.2 installs") {
  std::vector<Value> objects = kubeProxy(referenceSetup());
  CHECK(print(ofKind(objects, "ClusterRoleBinding")) == "bf0a25f26df197af");
  CHECK(print(ofKind(objects, "Role")) == "ea43bdd4528e7299");
  CHECK(print(ofKind(objects, "RoleBinding")) == "465431da41a55c8b");
  CHECK(print(ofKind(objects, "DaemonSet")) == "49d5d99451c8ac9a");
}

TEST_CASE("CoreDNS answers for the cluster's domain at the tenth address of the Services") {
  config::Setup setup = referenceSetup();
  setup.cluster.networks.dnsDomain = "corp.example";
  setup.cluster.networks.services = {*Cidr::parse("fd00:10::/112"), *Cidr::parse("10.96.0.0/12")};
  std::vector<Value> objects = coreDns(setup);
  std::string corefile = ofKind(objects, "ConfigMap").at("data").at("Corefile");
  CHECK(corefile.find("kubernetes corp.example in-addr.arpa ip6.arpa {") != std::string::npos);
  CHECK(corefile.find("disable denial corp.example") != std::string::npos);
  CHECK(corefile.find("cluster.local") == std::string::npos);
  CHECK(stringAt(ofKind(objects, "Service"), "spec.clusterIP") == "fd00:10::a");
}

TEST_CASE("addons run the images of the configuration") {
  config::Setup setup = referenceSetup();
  setup.cluster.images.coreDns = "registry.example/coredns:v9";
  setup.cluster.images.proxy = "registry.example/kube-proxy:v9";
  CHECK(stringAt(podContainer(ofKind(coreDns(setup), "Deployment")), "image") == "registry.example/coredns:v9");
  CHECK(stringAt(podContainer(ofKind(kubeProxy(setup), "DaemonSet")), "image") == "registry.example/kube-proxy:v9");
}

TEST_CASE("kube-proxy speaks to the cluster's endpoint, or without one to this node's API server") {
  config::Setup setup = referenceSetup();
  setup.cluster.controlPlaneEndpoint = config::Endpoint{"api.example.org", 8443};
  auto server = [&] {
    std::string text = ofKind(kubeProxy(setup), "ConfigMap").at("data").at("kubeconfig.conf");
    return parseYamlValue(text, "test").at("clusters").at(0).at("cluster").at("server").get<std::string>();
  };
  CHECK(server() == "https://api.example.org:8443");
  setup.cluster.controlPlaneEndpoint.reset();
  CHECK(server() == "https://10.88.0.11:6443");
}

TEST_CASE("kube-proxy's configuration carries kubeadm's hash only when it was generated") {
  config::Setup setup = referenceSetup();
  CHECK_FALSE(ofKind(kubeProxy(setup), "ConfigMap").at("metadata").contains("annotations"));
  setup.cluster.proxy.userSupplied = false;
  Value map = ofKind(kubeProxy(setup), "ConfigMap");
  std::string all =
      map.at("data").at("config.conf").get<std::string>() + map.at("data").at("kubeconfig.conf").get<std::string>();
  CHECK(map.at("metadata").at("annotations").at("kubeadm.kubernetes.io/component-config.hash") ==
        "sha256:" + sha256Hex(all));
  CHECK_FALSE(all.ends_with("\n"));
}

TEST_CASE("proxy variables are handed to kube-proxy after its own, unless a patch has set them") {
  config::Setup setup = referenceSetup();
  setup.node.proxyVariables = {{"HTTPS_PROXY", "http://proxy:3128"}, {"NO_PROXY", "10.0.0.0/8"}};
  setup.request.patches = {
      {"kubeproxydaemonset.yaml", config::Patch::Target::kubeProxyDaemonSet, config::Patch::Kind::strategic,
       yaml("spec: {template: {spec: {containers: [{name: kube-proxy, env: [{name: NO_PROXY, value: '*'}]}]}}}")}};
  std::vector<std::string> variables;
  std::vector<Value> objects = kubeProxy(setup);
  for (const Value& variable : podContainer(ofKind(objects, "DaemonSet")).at("env"))
    variables.push_back(stringAt(variable, "name") + "=" + stringAt(variable, "value"));
  std::ranges::sort(variables);
  CAPTURE(join(variables, " "));
  CHECK(variables == std::vector<std::string>{"HTTPS_PROXY=http://proxy:3128", "NODE_NAME=", "NO_PROXY=*"});
}

TEST_CASE("the Deployment of CoreDNS can be patched") {
  config::Setup setup = referenceSetup();
  setup.request.patches = {{"corednsdeployment+json.json", config::Patch::Target::coreDnsDeployment,
                            config::Patch::Kind::json, yaml("[{op: replace, path: /spec/replicas, value: 3}]")}};
  CHECK(ofKind(coreDns(setup), "Deployment").at("spec").at("replicas") == 3);
  CHECK(print(ofKind(kubeProxy(setup), "DaemonSet")) == "49d5d99451c8ac9a");
}

TEST_CASE("proxy variables go to kube-proxy's own container, also beside one that a patch puts before it") {
  config::Setup setup = referenceSetup();
  setup.node.proxyVariables = {{"HTTPS_PROXY", "http://proxy:3128"}};
  setup.request.patches = {
      {"kubeproxydaemonset+json.yaml", config::Patch::Target::kubeProxyDaemonSet, config::Patch::Kind::json,
       yaml("[{op: add, path: /spec/template/spec/containers/0, value: {name: aside, image: x}}]")}};
  std::vector<Value> objects = kubeProxy(setup);
  const Value& containers = ofKind(objects, "DaemonSet").at("spec").at("template").at("spec").at("containers");
  CHECK_FALSE(containers.at(0).contains("env"));
  CHECK(stringAt(containers.at(1).at("env").at(1), "name") == "HTTPS_PROXY");

  setup.request.patches.front().document = yaml("[{op: replace, path: /spec/template/spec/containers, value: []}]");
  CHECK_THROWS_AS(kubeProxy(setup), Error);
}
