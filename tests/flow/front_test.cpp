// A control plane with a balancer of its own: endpoint.mode local.
#include "tests/flow/machine.hpp"
#include "tests/lines.hpp"

#include "certs/x509.hpp"
#include "config/paths.hpp"
#include "kube/kubeconfig.hpp"
#include "manifests/front.hpp"
#include "manifests/vip.hpp"

#include <doctest/doctest.h>

#include <algorithm>

namespace kubestrap::flow {

namespace {

using Lines = std::vector<std::string>;

constexpr const char* kImage = "kubestrap.io/kubestrap:v1";
constexpr const char* kNewerImage = "kubestrap.io/kubestrap:v2";

/// A machine whose runtime has kubestrap's image, and whose front serves as soon as its manifest is there.
struct Balanced {
  Machine machine;
  std::string image = kImage;

  Balanced() {
    machine.cri.images = {kImage, kNewerImage};
    machine.host.put("/etc/hosts", "127.0.0.1 localhost\n10.0.0.11 n1\n", 0644);
    machine.api.servers = {"https://10.0.0.11:6443", "https://api.kubernetes.internal:6443", "https://api.kubernetes.internal:6445"};
    machine.adjust = [this](config::Setup& setup) {
      setup.cluster.kubestrap.endpointMode = config::EndpointMode::local;
      setup.cluster.controlPlaneEndpoint = config::Endpoint{"api.kubernetes.internal", 6443};
      setup.request.ownImage = image;
      setup.node.hostsFile = machine.host.text("/etc/hosts");
      for (const auto* slot : {"a", "b"})
        if (const auto manifest = machine.host.read(manifests::frontManifest(slot))) setup.node.fronts[slot] = *manifest;
    };
    machine.clock.onSleep = [this] {
      machine.settle();
      for (const auto* slot : {"a", "b"})
        if (machine.host.files.contains(manifests::frontManifest(slot)) && !machine.host.files.contains(manifests::frontMarker(slot)))
          machine.host.put(manifests::frontMarker(slot), "", 0644);
    };
  }
};

void giveVip(config::Setup& setup) {
  setup.cluster.kubestrap.endpointMode = config::EndpointMode::vip;
  setup.cluster.kubestrap.vip = config::Vip{.address = IpAddress::v4(10, 0, 0, 100), .interface = {}, .router = 100, .image = {}};
}

std::string serverOfKubelet(Machine& machine) {
  return kube::parseKubeconfig(machine.host.text(config::paths::kubeletConf), "kubelet.conf").server;
}

} // namespace

TEST_CASE("the kubelet begins at its own API server and ends at its balancer, and another run finds nothing to do") {
  Balanced balanced;
  auto& machine = balanced.machine;
  machine.init();
  CHECK(serverOfKubelet(machine) == "https://api.kubernetes.internal:6445");
  CHECK(machine.host.text("/etc/hosts").find("127.0.0.1 api.kubernetes.internal") != std::string::npos);
  CHECK(changesOf(machine.plan()) == Lines{});
  CHECK(machine.effectsOf([&] { machine.init(); }) == 0);
}

TEST_CASE("under an authority that is no root the balancer has its own form of it, and takes another one up") {
  Balanced balanced;
  auto& machine = balanced.machine;
  machine.init();
  const auto configuration = machine.host.text("/etc/kubernetes/kubestrap/front/haproxy.cfg");
  CHECK(configuration.find("ca-file /etc/kubernetes/pki/ca.crt ") != std::string::npos);
  machine.adjust = [adjust = machine.adjust](config::Setup& setup) {
    adjust(setup);
    setup.node.frontAuthority = "trusted";
  };
  machine.init();
  CHECK(machine.host.text(manifests::frontTrustedFile()) == "trusted");
  CHECK(machine.host.text("/etc/kubernetes/kubestrap/front/haproxy.cfg").find("ca-file " + manifests::frontTrustedFile().string() + " ") != std::string::npos);
  CHECK(machine.host.text(manifests::frontManifest("b")).find("--authority=/etc/kubernetes/pki/ca.crt") != std::string::npos);
  machine.adjust = [adjust = machine.adjust](config::Setup& setup) {
    adjust(setup);
    setup.node.frontAuthority = "another";
  };
  machine.init();
  CHECK(machine.host.files.contains(manifests::frontManifest("a")));
  CHECK_FALSE(machine.host.files.contains(manifests::frontManifest("b")));
}

TEST_CASE("the cluster's API servers are told to everybody, beside what kubeadm keeps there") {
  Balanced balanced;
  balanced.machine.init();
  const auto info = balanced.machine.api.object("/api/v1/namespaces/kube-public/configmaps/cluster-info");
  REQUIRE(info);
  CHECK((*info)["data"]["api-server.n1"] == "10.0.0.11:6443");
  CHECK((*info)["data"].contains("kubeconfig"));
}

TEST_CASE("another image goes into the other slot, and the older pod goes when the newer one serves") {
  Balanced balanced;
  auto& machine = balanced.machine;
  machine.init();
  machine.host.files.erase(manifests::frontMarker("a"));
  balanced.image = kNewerImage;
  machine.selection.only = "front";
  machine.init();
  CHECK(machine.host.files.contains(manifests::frontManifest("b")));
  CHECK(machine.host.files.contains(manifests::frontMarker("b")));
  CHECK_FALSE(machine.host.files.contains(manifests::frontManifest("a")));
  CHECK(changesOf(machine.plan()) == Lines{});
}

TEST_CASE("the older balancer stays as long as the newer one does not serve, whatever one before it has left") {
  Balanced balanced;
  auto& machine = balanced.machine;
  machine.init();
  machine.host.put(manifests::frontMarker("b"), "", 0644);
  balanced.image = kNewerImage;
  machine.selection.only = "front";
  machine.clock.onSleep = [&] { machine.settle(); };
  CHECK(machine.initFails().find("the balancer of slot b serves") != std::string::npos);
  CHECK(machine.host.files.contains(manifests::frontManifest("a")));
}

TEST_CASE("after a reset nothing of the balancer is left, and the cluster does not tell of this node's API server any more") {
  Balanced balanced;
  auto& machine = balanced.machine;
  const auto hosts = machine.host.text("/etc/hosts");
  machine.init();
  machine.host.put(manifests::frontSocket("a"), "", 0600);
  machine.api.put({{"apiVersion", "v1"}, {"kind", "Node"}, {"metadata", {{"name", "n2"}, {"labels", {{"node-role.kubernetes.io/control-plane", ""}}}}}});
  machine.api.reachable = [](const net::Request&) { return true; }; // its pods run on without the kubelet
  CHECK(machine.resetFails(Machine::Force::no) == "");
  CHECK(machine.host.text("/etc/hosts") == hosts);
  CHECK_FALSE(machine.host.files.contains(config::paths::frontState));
  CHECK_FALSE(machine.host.files.contains(config::paths::front));
  CHECK_FALSE((*machine.api.object("/api/v1/namespaces/kube-public/configmaps/cluster-info"))["data"].contains("api-server.n1"));
}

TEST_CASE("without kubestrap's image nothing else is begun") {
  Balanced balanced;
  balanced.machine.cri.images.clear();
  CHECK(balanced.machine.initFails().find("its archive is not on this machine") != std::string::npos);
  CHECK_FALSE(balanced.machine.host.files.contains(manifests::frontManifest("a")));
}

TEST_CASE("a virtual address is in the API server's certificate and in cluster-info, its pod is there, and with the mode it goes") {
  Balanced balanced;
  auto& machine = balanced.machine;
  const auto local = machine.adjust;
  bool vip = true;
  machine.adjust = [&](config::Setup& setup) {
    local(setup);
    if (vip) giveVip(setup);
  };
  machine.api.servers.push_back("https://10.0.0.100:6443");
  machine.init();
  CHECK(machine.host.files.contains(manifests::vipManifest()));
  const auto certificate = certs::X509Certificate::parse(machine.host.text("/etc/kubernetes/pki/apiserver.crt"), "apiserver.crt");
  const auto ips = certificate.names().ips;
  CHECK(std::ranges::find(ips, IpAddress::v4(10, 0, 0, 100)) != ips.end());
  const auto info = machine.api.object("/api/v1/namespaces/kube-public/configmaps/cluster-info");
  CHECK((*info)["data"]["kubeconfig"].get<std::string>().find("server: https://10.0.0.100:6443") != std::string::npos);
  CHECK(changesOf(machine.plan()) == Lines{});
  vip = false;
  machine.selection.only = "front";
  machine.init();
  CHECK_FALSE(machine.host.files.contains(manifests::vipManifest()));
}

TEST_CASE("init waits for the virtual address, and says where to look") {
  Balanced balanced;
  auto& machine = balanced.machine;
  const auto local = machine.adjust;
  machine.adjust = [&](config::Setup& setup) {
    local(setup);
    giveVip(setup);
  };
  CHECK(machine.initFails().find("the virtual address leads to an API server at https://10.0.0.100:6443") != std::string::npos);
}

} // namespace kubestrap::flow
