#include "config/join.hpp"
#include "fixture.hpp"

namespace kubestrap::config {

namespace {

const std::string kToken = "abcdef.0123456789abcdef";
const std::string kPin = "sha256:" + std::string(64, 'a');

JoinFlags byToken() {
  JoinFlags flags;
  flags.endpoint = "api.example.org:6443";
  flags.token = kToken;
  flags.discoveryTokenCaCertHash = Lines{kPin};
  return flags;
}

JoinRequest loadedJoin(const std::string& yaml, const JoinFlags& flags) {
  Lines warnings;
  return loadJoin(documents(yaml), flags, machine(), warnings);
}

Lines joinProblems(const std::string& yaml, const JoinFlags& flags) {
  Lines lines;
  try {
    loadedJoin(yaml, flags);
  } catch (const Problems& problems) {
    for (const auto& problem : problems.list()) lines.push_back(describe(problem));
  }
  return lines;
}

std::string joinConfiguration(const std::string& body) {
  return "apiVersion: kubeadm.k8s.io/v1beta4\nkind: JoinConfiguration\n" + body;
}
const std::string kDiscovery = "discovery: {bootstrapToken: {apiServerEndpoint: 'api:6443', token: " + kToken + ", caCertHashes: [" + kPin + "]}}\n";

} // namespace

TEST_CASE("one token stands for discovery and for the kubelet's bootstrap") {
  const auto join = loadedJoin("", byToken());
  const auto& token = std::get<TokenDiscovery>(join.discovery.how);
  CHECK(token.server.url() == "https://api.example.org:6443");
  CHECK(token.tokenId == "abcdef");
  CHECK(token.tokenSecret.reveal() == "0123456789abcdef");
  CHECK(token.pins == Lines{kPin});
  CHECK(join.discovery.tlsBootstrapToken.reveal() == kToken);
  CHECK(join.node.name == "n1");
  CHECK_FALSE(join.node.controlPlane);
  CHECK(join.node.taints.empty());
  CHECK(join.request.joining.authorityFile == "/etc/kubernetes/pki/ca.crt");
}

TEST_CASE("each of the two tokens has a flag of its own") {
  auto flags = byToken();
  flags.tlsBootstrapToken = "fedcba.0123456789abcdef";
  const auto join = loadedJoin("", flags);
  CHECK(std::get<TokenDiscovery>(join.discovery.how).tokenId == "abcdef");
  CHECK(join.discovery.tlsBootstrapToken.reveal() == "fedcba.0123456789abcdef");
}

TEST_CASE("a kubeconfig takes the place of the token, or goes with it") {
  JoinFlags flags;
  flags.discoveryFile = "/root/discovery.conf";
  auto join = loadedJoin("", flags);
  CHECK(std::get<FileDiscovery>(join.discovery.how).path == "/root/discovery.conf");
  CHECK(join.discovery.tlsBootstrapToken.empty());
  flags.token = kToken;
  join = loadedJoin("", flags);
  CHECK(std::get<FileDiscovery>(join.discovery.how).path == "/root/discovery.conf");
  CHECK(join.discovery.tlsBootstrapToken.reveal() == kToken);
}

TEST_CASE("a control plane has an address, a port, a key and the taint of its role") {
  auto flags = byToken();
  flags.controlPlane = true;
  flags.apiserverBindPort = 7443;
  flags.certificateKey = std::string(64, 'b');
  const auto join = loadedJoin("", flags);
  CHECK(join.node.controlPlane);
  CHECK(join.node.localEndpoint().string() == "10.88.0.11:7443");
  CHECK(join.request.certificateKey.reveal() == std::string(64, 'b'));
  REQUIRE(join.node.taints.size() == 1);
  CHECK(join.node.taints[0]["key"] == "node-role.kubernetes.io/control-plane");
}

TEST_CASE("flags for control planes are passed over on a worker, with a word about it") {
  auto flags = byToken();
  flags.certificateKey = std::string(64, 'b');
  Lines warnings;
  CHECK(loadJoin({}, flags, machine(), warnings).request.certificateKey.empty());
  CHECK(warnings == Lines{"--certificate-key is only for control planes, and is ignored without --control-plane"});
}

TEST_CASE("an empty controlPlane in a file makes a control plane") {
  CHECK(loadedJoin(joinConfiguration(kDiscovery + "controlPlane: {}\n"), {}).node.controlPlane);
  CHECK_FALSE(loadedJoin(joinConfiguration(kDiscovery), {}).node.controlPlane);
}

TEST_CASE("what a file says, no flag says beside it") {
  JoinFlags flags;
  flags.token = kToken;
  flags.controlPlane = true;
  flags.nodeName = "other";
  flags.skipPhases = Lines{"preflight"};
  const auto problems = joinProblems(joinConfiguration(kDiscovery), flags);
  REQUIRE(problems.size() == 3);
  for (const auto& problem : problems) CHECK(problem.find("cannot be given together with --config") != std::string::npos);
  flags.token.reset();
  flags.controlPlane.reset();
  const auto join = loadedJoin(joinConfiguration(kDiscovery), flags);
  CHECK(join.node.name == "other");
  CHECK(join.request.skipPhases == Lines{"preflight"});
}

TEST_CASE("all that is wrong is told at once") {
  JoinFlags flags;
  flags.endpoint = "api.example.org";
  flags.token = "abc";
  flags.controlPlane = true;
  flags.certificateKey = "short";
  const auto problems = joinProblems("", flags);
  CHECK(problems.size() >= 4);
  JoinFlags nothing;
  CHECK_FALSE(joinProblems("", nothing).empty());
}

} // namespace kubestrap::config
