#include "manifests/components.hpp"

#include "manifests/static_pods.hpp"
#include "support/error.hpp"
#include "tests/unit/manifests/fixture.hpp"

#include <doctest/doctest.h>

using namespace kubestrap;
using namespace kubestrap::test;
using namespace kubestrap::manifests;

TEST_CASE("every row builds the pod of its name with its image, probe paths and requests") {
  config::Setup setup = referenceSetup();
  for (const Component& row : components()) {
    CAPTURE(row.name);
    Value pod = row.pod(setup);
    CHECK(stringAt(pod, "metadata.name") == row.name);
    CHECK(stringAt(pod, "metadata.labels.component") == row.name);
    CHECK(stringAt(container(pod), "image") == setup.cluster.images.*row.image);
    CHECK(command(pod).front() == row.name);
    CHECK(stringAt(container(pod), "startupProbe.httpGet.path") == row.startupPath);
    CHECK(stringAt(container(pod), "livenessProbe.httpGet.path") == row.livenessPath);
    CHECK(stringAt(container(pod), "readinessProbe.httpGet.path") == row.readinessPath);
    CHECK(stringAt(container(pod), "resources.requests.cpu") == row.cpuRequest);
    if (!row.kubeconfig.empty())
      CHECK(has(command(pod), "--kubeconfig=/etc/kubernetes/" + std::string(row.kubeconfig)));
  }
}

TEST_CASE("etcd comes before the API server, and the API server before those that need it") {
  std::vector<std::string_view> names;
  for (const Component& row : components()) names.push_back(row.name);
  CHECK(names == std::vector<std::string_view>{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"});
  CHECK(manifestPath(component("etcd")) == "/etc/kubernetes/manifests/etcd.yaml");
  CHECK_THROWS_AS(component("kube-proxy"), Error);
}

TEST_CASE("an external etcd does not run here") {
  config::Cluster cluster = referenceSetup().cluster;
  CHECK(runsOn(component("etcd"), cluster));
  cluster.etcd.external = config::ExternalEtcd{};
  CHECK_FALSE(runsOn(component("etcd"), cluster));
  CHECK(runsOn(component("kube-apiserver"), cluster));
}

TEST_CASE("a component's liveness is asked where its pod says that it listens") {
  config::Setup setup = referenceSetup();
  auto url = [&](std::string_view name) { return livenessUrl(component(name), component(name).pod(setup)); };
  CHECK(url("etcd") == "http://127.0.0.1:2381/livez");
  CHECK(url("kube-apiserver") == "https://10.88.0.11:6443/livez");
  CHECK(url("kube-controller-manager") == "https://127.0.0.1:10257/healthz");
  CHECK(url("kube-scheduler") == "https://127.0.0.1:10259/livez");

  setup.cluster.scheduler.extraArgs = {{"bind-address", "::"}, {"secure-port", "20259"}};
  setup.cluster.etcd.local.extraArgs = {{"listen-metrics-urls", "http://0.0.0.0:3381"}};
  setup.node.advertiseAddress = *IpAddress::parse("fd00::1");
  CHECK(url("kube-scheduler") == "https://[::1]:20259/livez");
  CHECK(url("etcd") == "http://127.0.0.1:3381/livez");
  CHECK(url("kube-apiserver") == "https://[fd00::1]:6443/livez");
}

TEST_CASE("a pod without its component's container is reported") {
  Value pod = schedulerPod(referenceSetup());
  pod["spec"]["containers"][0]["name"] = "other";
  CHECK_THROWS_AS(livenessUrl(component("kube-scheduler"), pod), Error);
}

TEST_CASE("the image list is kubeadm's, without what is disabled or external") {
  config::Cluster cluster = referenceSetup().cluster;
  CHECK(imageList(cluster) ==
        std::vector<std::string>{
            "registry.k8s.io/kube-apiserver:v1.37.2", "registry.k8s.io/kube-controller-manager:v1.37.2",
            "registry.k8s.io/kube-scheduler:v1.37.2", "registry.k8s.io/kube-proxy:v1.37.2",
            "registry.k8s.io/coredns/coredns:v1.14.6", "registry.k8s.io/pause:3.10.2", "registry.k8s.io/etcd:3.7.0-0"});
  cluster.kubestrap.frontImage = "example.org/front:1";
  CHECK(imageList(cluster).back() == "registry.k8s.io/etcd:3.7.0-0");
  cluster.kubestrap.endpointMode = config::EndpointMode::local;
  CHECK(imageList(cluster).back() == "example.org/front:1");
  cluster.kubestrap.endpointMode = config::EndpointMode::single;
  cluster.proxyDisabled = cluster.dnsDisabled = true;
  cluster.etcd.external = config::ExternalEtcd{};
  CHECK(imageList(cluster) == std::vector<std::string>{"registry.k8s.io/kube-apiserver:v1.37.2",
                                                       "registry.k8s.io/kube-controller-manager:v1.37.2",
                                                       "registry.k8s.io/kube-scheduler:v1.37.2",
                                                       "registry.k8s.io/pause:3.10.2"});
}
