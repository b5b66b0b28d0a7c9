#include "manifests/vip.hpp"

#include "manifests/components.hpp"
#include "manifests/front.hpp"
#include "tests/unit/manifests/fixture.hpp"

#include <doctest/doctest.h>

using namespace kubestrap;
using namespace kubestrap::manifests;
using test::has;

namespace {

config::Setup withVip() {
  auto setup = test::referenceSetup();
  setup.cluster.kubestrap.endpointMode = config::EndpointMode::vip;
  setup.cluster.kubestrap.vip = config::Vip{.address = IpAddress::v4(10, 88, 0, 100), .interface = {}, .router = 100, .image = {}};
  setup.cluster.controlPlaneEndpoint = {{"api.kubernetes.internal", 6443}};
  setup.node.controlPlane = true;
  setup.request.ownImage = "kubestrap.io/kubestrap:v0";
  return setup;
}

} // namespace

TEST_CASE("control plane nodes have the pod of the virtual address beside the balancer that every node has") {
  auto setup = withVip();
  CHECK(hasFront(setup.cluster));
  CHECK(hasVip(setup));
  CHECK(setup.outsideEndpoint().string() == "10.88.0.100:6443");
  CHECK(setup.publicEndpoint().string() == "api.kubernetes.internal:6443");
  setup.node.controlPlane = false;
  CHECK_FALSE(hasVip(setup));
  CHECK(setup.outsideEndpoint().string() == "10.88.0.100:6443");
}

TEST_CASE("the pod of the virtual address has no credentials, and rights to addresses, raw sockets and its checks' groups alone") {
  const auto pod = vipPod(withVip());
  const auto& container = pod["spec"]["containers"][0];
  CHECK(stringAt(container, "image") == "kubestrap.io/kubestrap:v0");
  CHECK(container["securityContext"]["capabilities"]["drop"] == Value::array({"ALL"}));
  CHECK(container["securityContext"]["capabilities"]["add"] == Value::array({"NET_ADMIN", "NET_RAW", "SETGID"}));
  std::vector<std::string> seen;
  for (const auto& volume : pod["spec"]["volumes"])
    if (volume.contains("hostPath")) seen.push_back(stringAt(volume, "hostPath.path"));
  CHECK(seen == std::vector<std::string>{"/etc/kubernetes/pki/ca.crt"});
  auto other = withVip();
  other.cluster.kubestrap.vip->image = "registry.example.org/keepalived:v2";
  CHECK(stringAt(vipPod(other)["spec"]["containers"][0], "image") == "registry.example.org/keepalived:v2");
  CHECK(imageList(other.cluster).back() == "registry.example.org/keepalived:v2");
}

TEST_CASE("keepalived gives the address to a node whose check goes well, and takes it from nobody else") {
  const auto text = keepalivedConfiguration({.node = "n1", .interface = "eth0", .address = "10.88.0.100", .router = 100, .priority = 7, .check = "/usr/bin/kubestrap vip check"});
  for (const auto* line : {"  interface eth0\n", "  virtual_router_id 100\n", "  priority 7\n", "    10.88.0.100\n", "  script \"/usr/bin/kubestrap vip check\"\n", "  state BACKUP\n",
                           "  nopreempt\n", "  init_fail\n"})
    CHECK_MESSAGE(has(text, line), line);
}

TEST_CASE("in the hosted layout the balancer listens on the virtual address, wherever that is") {
  auto setup = withVip();
  CHECK_FALSE(has(frontConfiguration(setup), "10.88.0.100"));
  setup.cluster.kubestrap.layout = config::Layout::hosted;
  CHECK(has(frontConfiguration(setup), "  bind 10.88.0.100:6443 transparent\n"));
}
