#include "plan/discover.hpp"

#include "certs/x509.hpp"
#include "kube/jws.hpp"
#include "support/yaml.hpp"
#include "tests/unit/plan/world.hpp"

#include <doctest/doctest.h>

#include <utility>

using namespace kubestrap;
using namespace kubestrap::plan;

namespace {

const std::string kServer = "https://10.0.0.11:6443";
const std::string kId = "abcdef";
const Secret kSecret("0123456789abcdef");

certs::X509Certificate authority(const std::string& name) {
  const certs::CertSpec spec{.name = "ca", .issuer = "ca", .authority = true, .subject = {.commonName = name}, .life = std::chrono::hours(24)};
  const auto key = certs::PrivateKey::generate(certs::KeyAlgorithm::ecdsaP256);
  const auto now = parseRfc3339("2026-11-22T00:00:00Z");
  return certs::issue(spec, key, certs::Issuer{.key = key}, {.notBefore = now, .notAfter = now + spec.life, .serialBytes = std::string(8, '\1')});
}

/// A cluster that shows its cluster-info, signed for the token.
struct Cluster : SmallWorld {
  certs::X509Certificate ca = authority("kubernetes");
  std::unique_ptr<Reporter> reporter = silentReporter();

  Cluster() {
    api.servers = {kServer};
    api.now = [this] { return host.now; };
    show(kube::emitDiscoveryKubeconfig("https://api.example.org:6443", ca.pem()));
  }

  void show(const std::string& kubeconfig, bool isSigned = true) {
    Value data{{"kubeconfig", kubeconfig}};
    if (isSigned) data["jws-kubeconfig-" + kId] = kube::signDetached(kubeconfig, kId, kSecret);
    api.put({{"apiVersion", "v1"}, {"kind", "ConfigMap"}, {"metadata", {{"name", "cluster-info"}, {"namespace", "kube-public"}}}, {"data", data}});
  }

  config::Discovery wanted(std::vector<std::string> pins, const Secret& secret = kSecret) {
    return {.how = config::TokenDiscovery{.server = {"10.0.0.11", 6443}, .tokenId = kId, .tokenSecret = secret, .pins = std::move(pins)},
            .tlsBootstrapToken = Secret("abcdef.0123456789abcdef")};
  }
  Discovered find(const config::Discovery& discovery, Duration patience = std::chrono::minutes(5)) {
    return discover(discovery, patience, world, *reporter);
  }
  std::string failure(const config::Discovery& discovery, Duration patience = std::chrono::minutes(5)) {
    return messageOf([&] { find(discovery, patience); });
  }
  bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }
};

} // namespace

TEST_CASE_FIXTURE(Cluster, "a cluster that the token signs for and the hash names is believed") {
  const auto found = find(wanted({ca.publicKeyPin()}));
  CHECK(found.cluster.server == "https://api.example.org:6443");
  CHECK(found.cluster.authorities == ca.pem());
  CHECK(found.cluster.token.reveal() == "abcdef.0123456789abcdef");
  CHECK(found.cluster.user == "tls-bootstrap-token-user");
  // Unverified first, then verified with what was found.
  REQUIRE(api.records().size() == 2);
  CHECK(api.records()[0].request.tls.verify == net::TlsIdentity::Verify::no);
  CHECK(api.records()[1].request.tls.verify == net::TlsIdentity::Verify::yes);
  CHECK(api.records()[1].request.tls.authorities == ca.pem());
  CHECK(api.records()[0].request.bearerToken.empty());
}

TEST_CASE_FIXTURE(Cluster, "one of several hashes is enough, in any case of letters") {
  auto pin = ca.publicKeyPin();
  for (auto& letter : pin) letter = static_cast<char>(std::toupper(static_cast<unsigned char>(letter)));
  find(wanted({"sha256:" + std::string(64, '0'), pin}));
}

TEST_CASE_FIXTURE(Cluster, "a token with a wrong secret ends discovery at once") {
  CHECK(contains(failure(wanted({ca.publicKeyPin()}, Secret("fedcba9876543210"))), "its secret part is wrong"));
  CHECK(clock.sleeps == 0);
}

TEST_CASE_FIXTURE(Cluster, "a token that nobody signed for is given the moment that a new one needs, and no more") {
  show(kube::emitDiscoveryKubeconfig(kServer, ca.pem()), false);
  const auto begin = host.now;
  CHECK(contains(failure(wanted({ca.publicKeyPin()})), "does not know the token abcdef"));
  CHECK(host.now - begin < std::chrono::seconds(20));
}

TEST_CASE_FIXTURE(Cluster, "another authority than the pinned one ends discovery at once, and before anything is asked of it again") {
  const auto said = failure(wanted({authority("kubernetes").publicKeyPin()}));
  CHECK(contains(said, "the authority of the cluster is " + ca.publicKeyPin()));
  CHECK(api.records().size() == 1);
}

TEST_CASE_FIXTURE(Cluster, "a cluster-info that changes between the two looks is not believed") {
  api.intercept = [&, looks = 0](const net::Request&) mutable -> std::optional<net::Response> {
    if (++looks == 2) {
      api.intercept = nullptr;
      show(kube::emitDiscoveryKubeconfig("https://10.0.0.66:6443", ca.pem()));
    }
    return std::nullopt;
  };
  CHECK(contains(failure(wanted({ca.publicKeyPin()})), "reads otherwise"));
}

TEST_CASE_FIXTURE(Cluster, "this machine's clock is compared with the server's") {
  host.now = parseRfc3339("1994-11-06T08:39:37Z");
  api.intercept = [&](const net::Request& request) -> std::optional<net::Response> {
    const auto intercept = std::exchange(api.intercept, nullptr);
    auto response = api.perform(request);
    response.headers["date"] = "Sun, 06 Nov 1994 08:49:37 GMT";
    api.intercept = intercept;
    return response;
  };
  const auto found = find(wanted({ca.publicKeyPin()}));
  REQUIRE(found.clock.ahead);
  CHECK(*found.clock.ahead == -(std::chrono::minutes(10) + std::chrono::milliseconds(500)));
  CHECK(found.clock.uncertainty == std::chrono::milliseconds(500));
  CHECK(found.clock.comparedWith == "the API server at " + kServer);
}

TEST_CASE_FIXTURE(Cluster, "a server that does not say the time is not compared with") {
  CHECK_FALSE(find(wanted({ca.publicKeyPin()})).clock.ahead);
}

TEST_CASE_FIXTURE(Cluster, "a server that is still coming up is waited for, up to the patience") {
  api.refuseUntil(host.now + std::chrono::seconds(90));
  CHECK(find(wanted({ca.publicKeyPin()})).cluster.server == "https://api.example.org:6443");
  api.refuseUntil(host.now + std::chrono::hours(1));
  CHECK(contains(failure(wanted({ca.publicKeyPin()}), std::chrono::seconds(30)), "gave up after 30s"));
}

TEST_CASE_FIXTURE(Cluster, "a file is believed, with the files that it names read in") {
  host.put("/root/ca.pem", ca.pem());
  host.put("/root/client.pem", "certificate");
  host.put("/root/client-key.pem", "key");
  host.put("/root/cluster.conf", R"(
apiVersion: v1
kind: Config
clusters: [{name: k, cluster: {server: 'https://10.0.0.11:6443', certificate-authority: ca.pem}}]
contexts: [{name: c, context: {cluster: k, user: u}}]
current-context: c
users: [{name: u, user: {client-certificate: client.pem, client-key: client-key.pem}}]
)");
  const auto found = find({.how = config::FileDiscovery{"/root/cluster.conf"}});
  CHECK(found.cluster.authorities == ca.pem());
  CHECK(found.cluster.clientCertificate == "certificate");
  CHECK(found.cluster.clientKey.reveal() == "key");
  CHECK(contains(failure({.how = config::FileDiscovery{"/root/absent.conf"}}), "there is no file /root/absent.conf"));
}

TEST_CASE_FIXTURE(Cluster, "a file without credentials needs a token for the kubelet") {
  host.put("/root/cluster.conf", kube::emitDiscoveryKubeconfig(kServer, ca.pem()));
  CHECK(contains(failure({.how = config::FileDiscovery{"/root/cluster.conf"}}), "has no credentials"));
  const auto found = find({.how = config::FileDiscovery{"/root/cluster.conf"}, .tlsBootstrapToken = Secret("abcdef.0123456789abcdef")});
  CHECK(found.cluster.token.reveal() == "abcdef.0123456789abcdef");
}

TEST_CASE_FIXTURE(Cluster, "a cluster without its configuration says how it gets one") {
  const auto found = find(wanted({ca.publicKeyPin()}));
  auto cluster = found.cluster;
  cluster.server = kServer;
  CHECK(contains(messageOf([&] { readClusterDocuments(cluster, std::chrono::seconds(5), world, *reporter); }),
                 "ConfigMap kube-system/kubeadm-config has no ClusterConfiguration"));
}
