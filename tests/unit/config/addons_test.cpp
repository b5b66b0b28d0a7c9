#include "config/addons.hpp"

#include "fixture.hpp"

namespace kubestrap::config {

namespace {

std::string withAddons(const std::string& addons, const std::string& networking = "networking: {podSubnet: 10.244.0.0/16}\n") {
  return "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nkubernetesVersion: v1.37.2\n" + networking +
         "---\napiVersion: kubestrap.io/v1alpha1\nkind: KubestrapConfiguration\naddons:\n" + addons;
}

} // namespace

TEST_CASE("add-ons of a configuration, and what the cluster keeps of them") {
  const auto setup = load(withAddons("- name: flannel\n  values: {backend: host-gw, interfaces: [eth1]}\n"
                                     "- name: metallb\n  source: /root/metallb.yaml\n  values: {pools: [{name: a, addresses: [10.88.0.240-10.88.0.250], autoAssign: false}]}\n"));
  const auto& addons = setup.cluster.kubestrap.addons;
  REQUIRE(addons.size() == 2);
  CHECK(addons[0].values->backend == "host-gw");
  CHECK(manifestOf(addons[0]) == "/var/lib/kubestrap/manifests/flannel.yaml");
  CHECK(manifestOf(addons[1]) == "/root/metallb.yaml");
  CHECK(addons[1].values->pools[0].addresses == Lines{"10.88.0.240-10.88.0.250"});
  CHECK(addons[1].values->pools[0].autoAssign == false);

  Lines warnings;
  const auto again = clusterFromDocuments(parseYaml(storedText(setup.cluster), "stored"), warnings);
  CHECK(kubestrapConfigurationDocument(again) == kubestrapConfigurationDocument(setup.cluster));
  CHECK(again.kubestrap.addons.size() == 2);
  CHECK(warnings == Lines{});
}

TEST_CASE("a cluster without add-ons says nothing of them") { CHECK(!kubestrapConfigurationDocument(load("").cluster).contains("addons")); }

TEST_CASE("what an add-on cannot be is told with its place") {
  struct Row {
    std::string addons, problem;
  };
  for (const auto& [addons, problem] : std::vector<Row>{
           {"- name: weave\n", "k.yaml:9:3: addons[0].name: \"weave\" is not known (expected one of flannel, calico"},
           {"- name: flannel\n  value: {}\n", "addons[0].value: unknown field; did you mean \"values\"?"},
           {"- name: flannel\n  source: flannel.yaml\n", "addons[0].source: \"flannel.yaml\""},
           {"- name: flannel\n  values: {backend: pigeon}\n", "addons[0].values.backend: \"pigeon\" is not known (expected one of vxlan"},
           {"- name: flannel\n  values: {exposure: nodePort}\n", "addons[0].values.exposure: flannel has no such value (expected of backend, interfaces, nftables, imageRegistry, images)"},
           {"- name: flannel\n- name: calico\n", "addons[1].name: calico is a pod network, and so is flannel (expected one of them)"},
           {"- name: metallb\n- name: metallb\n", "addons[1].name: metallb is in the list already"},
           {"- name: flannel\n  values: {interfaces: [eth0, eth1]}\n", "addons[0].values.interfaces: flannel takes one interface"},
           {"- name: metallb\n  values: {pools: [{name: a, addresses: [10.88.0.9-10.88.0.1]}]}\n", "is no range of addresses"},
           {"- name: metallb\n  values: {pools: [{name: a, addresses: [10.88.0.16/28]}, {name: b, addresses: [10.88.0.31-10.88.0.40]}]}\n", "10.88.0.31-10.88.0.40 overlaps 10.88.0.16/28 of the pool a"},
           {"- name: metallb\n  values: {pools: [{name: a, addresses: [10.244.3.1-10.244.3.9]}]}\n", "10.244.3.1-10.244.3.9 has addresses of the cluster's pods, 10.244.0.0/16"},
           {"- name: metallb\n  values: {pools: [{name: a, addresses: [10.90.0.0-10.97.0.0]}]}\n", "has addresses of the cluster's services, 10.96.0.0/12"},
           {"- name: traefik\n  values: {exposure: externalIPs}\n", "addons[0].values.externalIPs: exposure externalIPs needs addresses that lead to a node"},
           {"- name: traefik\n  values: {exposure: hostNetwork, nodePorts: {http: 30080}}\n", "addons[0].values.nodePorts: are for exposure nodePort"},
           {"- name: traefik\n  values: {images: {traefik: \"Not An Image\"}}\n", "\"Not An Image\" is no name of an image"},
       }) {
    const auto lines = problemsOf(withAddons(addons));
    REQUIRE_MESSAGE(lines.size() == 1, addons, join(lines, "\n"));
    CHECK_MESSAGE(lines[0].find(problem) != std::string::npos, lines[0]);
  }
}

TEST_CASE("a pod network needs the range of pods") {
  const auto lines = problemsOf(withAddons("- name: flannel\n", ""));
  REQUIRE(lines.size() == 1);
  CHECK(lines[0] == "k.yaml:8:3: addons[0]: flannel has to know the range of pods, and nothing says it (expected networking.podSubnet in the ClusterConfiguration, like 10.244.0.0/16)");
}

} // namespace kubestrap::config
