#include "manifests/front.hpp"

#include "support/text.hpp"
#include "tests/unit/manifests/fixture.hpp"

#include <doctest/doctest.h>

using namespace kubestrap;
using namespace kubestrap::manifests;
using test::has;

namespace {

config::Setup withFront(bool controlPlane = true) {
  auto setup = test::referenceSetup();
  setup.cluster.kubestrap.endpointMode = config::EndpointMode::local;
  setup.cluster.controlPlaneEndpoint = {{"api.kubernetes.internal", 6443}};
  setup.node.controlPlane = controlPlane;
  setup.request.ownImage = "kubestrap.io/kubestrap:v0";
  setup.request.apiServers = {{"n2", {"10.0.0.12", 6443}}};
  return setup;
}

} // namespace

TEST_CASE("a balancer listens on loopback, beside an API server on a port of its own") {
  CHECK(frontEndpoint(withFront(false)) == config::Endpoint{"api.kubernetes.internal", 6443});
  CHECK(frontEndpoint(withFront(true)) == config::Endpoint{"api.kubernetes.internal", 6445});
  CHECK(has(frontConfiguration(withFront(true)), "  bind 127.0.0.1:6445\n"));
  CHECK(has(frontConfiguration(withFront(false)), "  bind 127.0.0.1:6443\n"));
  auto other = withFront(true);
  other.node.bindPort = 8443;
  CHECK(frontEndpoint(other).port == 6443);
  other.node.advertiseAddress = *IpAddress::parse("fd00::11");
  CHECK(has(frontConfiguration(other), "  bind [::1]:6443\n"));
}

TEST_CASE("the API server of the same machine is preferred, and those of others are watched for silence") {
  const auto servers = frontServers(apiServers(withFront()), "n1");
  CHECK(has(servers, "  server n1 10.88.0.11:6443\n  server n2 10.0.0.12:6443 backup tcp-ut 4s\n"));
  CHECK(has(frontServers({{"n2", {"fd00::12", 6443}}}, ""), "  server n2 [fd00::12]:6443 tcp-ut 4s\n"));
  CHECK(has(frontServers({}, ""), "  server-template spare 1-16 192.0.2.1:6443 tcp-ut 4s disabled\n"));
}

TEST_CASE("the pod has no credentials and no rights") {
  const auto pod = frontPod(withFront(), "a");
  CHECK(stringAt(pod, "metadata.name") == "kubestrap-front-a");
  CHECK(pod["spec"]["securityContext"]["runAsUser"] == 65532);
  for (const auto& container : pod["spec"]["containers"]) {
    CHECK(stringAt(container, "image") == "kubestrap.io/kubestrap:v0");
    CHECK(container["securityContext"]["capabilities"]["drop"] == Value::array({"ALL"}));
    CHECK(container["securityContext"]["allowPrivilegeEscalation"] == false);
  }
  std::vector<std::string> seen;
  for (const auto& volume : pod["spec"]["volumes"]) seen.push_back(stringAt(volume, "hostPath.path"));
  CHECK(seen == std::vector<std::string>{"/etc/kubernetes/kubestrap/front", "/var/lib/kubestrap-front", "/etc/kubernetes/pki/ca.crt"});
}

TEST_CASE("another image, port or authority makes another pod") {
  const auto pod = frontPod(withFront(), "a");
  CHECK(pod == frontPod(withFront(), "a"));
  auto other = withFront();
  other.cluster.kubestrap.frontImage = "registry.example.org/kubestrap:v1";
  CHECK(pod != frontPod(other, "a"));
  other = withFront();
  other.cluster.pki.folder = "/etc/pki";
  CHECK(pod != frontPod(other, "a"));
  // Servers come and go without one.
  other = withFront();
  other.request.apiServers.clear();
  CHECK(pod == frontPod(other, "a"));
}

TEST_CASE("the control plane's name stands for this machine, once, and other lines stay as they are") {
  auto setup = withFront();
  const std::string line = "127.0.0.1 api.kubernetes.internal # kubestrap: the control plane, by way of this node\n";
  setup.node.hostsFile = "127.0.0.1 localhost\n\n# mine\n10.0.0.9 nas\n";
  CHECK(hostsFile(setup) == setup.node.hostsFile + line);
  setup.node.hostsFile = hostsFile(setup);
  CHECK(hostsFile(setup) == setup.node.hostsFile);
  setup.node.hostsFile = "127.0.0.1 localhost\n" + replaceAll(line, "api.", "old.") + "10.0.0.9 nas";
  CHECK(hostsFile(setup) == "127.0.0.1 localhost\n" + line + "10.0.0.9 nas\n");
  setup.node.hostsFile.clear();
  CHECK(hostsFile(setup) == line);
}
