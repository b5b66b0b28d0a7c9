#include "config/layout.hpp"
#include "fixture.hpp"

namespace kubestrap::config {

namespace {

std::string chosen(const std::string& text, InitFlags flags = {}, bool plainHere = false) {
  chooseLayout(parseYaml(text, "init.yaml"), flags, plainHere);
  return flags.layout.value_or("");
}

} // namespace

TEST_CASE("a new cluster is of layout hosted, unless what is asked for does not go with it") {
  CHECK(chosen("") == "hosted");
  CHECK(chosen(cluster("networking: {podSubnet: 10.244.0.0/16, serviceSubnet: 10.96.0.0/12}\ncontrolPlaneEndpoint: api.example.org:6443\n")) == "hosted");
  CHECK(chosen(kubestrap("endpoint: {mode: vip, vip: {address: 10.0.0.9}}\n")) == "hosted");
  for (const auto* mode : {"single", "external"}) CHECK(chosen(kubestrap(std::string("endpoint: {mode: ") + mode + "}\n")).empty());
  for (const auto* members : {"controlPlaneEndpoint: 10.0.0.100:6443\n", "controlPlaneEndpoint: '[fd00::9]:6443'\n", "controlPlaneEndpoint: 10.0.0.100\n", "networking: {serviceSubnet: 'fd00:1::/112,10.96.0.0/12'}\n",
                              "etcd: {external: {endpoints: ['https://10.0.0.9:2379']}}\n"})
    CHECK(chosen(cluster(members)).empty());
  CHECK(chosen("", {.serviceCidr = "fd00:1::/112"}).empty());
  CHECK(chosen(cluster("networking: {serviceSubnet: '10.96.0.0/12,fd00:1::/112'}\n")) == "hosted");
}

TEST_CASE("a control plane keeps the layout that it has, and what was said stands") {
  CHECK(chosen("", {}, true).empty());
  CHECK(chosen("", {.layout = "plain"}) == "plain");
  CHECK(chosen(kubestrap("layout: plain\n")).empty());
}

TEST_CASE("--layout stands beside a file") {
  Lines warnings;
  const auto documents = parseYaml(cluster(""), "init.yaml");
  const auto setup = loadInit(documents, {.configFile = "init.yaml", .layout = "hosted"}, machine(), counting(), warnings);
  CHECK(setup.cluster.kubestrap.layout == Layout::hosted);
  CHECK(setup.cluster.kubestrap.endpointMode == EndpointMode::local);
}

} // namespace kubestrap::config
