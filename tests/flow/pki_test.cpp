// Certificates and kubeconfigs as init keeps them: made when lacking, made anew for a reason, refused where they are
// another's.
#include "tests/flow/end_state.hpp"
#include "tests/lines.hpp"

#include "certs/x509.hpp"
#include "kube/kubeconfig.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace kubestrap;
using namespace kubestrap::flow;

namespace {

const std::string kPki = "/etc/kubernetes/pki/";

std::map<std::string, std::string> contents(const Machine& machine) {
  std::map<std::string, std::string> found;
  for (const auto& [path, file] : machine.host.files)
    if (path.starts_with("/etc/kubernetes/") && file.type == host::FileStatus::Type::file) found[path] = file.content;
  return found;
}

/// Paths below /etc/kubernetes whose content differs from `before`.
Lines touched(const Machine& machine, const std::map<std::string, std::string>& before) {
  Lines paths;
  for (const auto& [path, content] : contents(machine))
    if (const auto was = before.find(path); was == before.end() || was->second != content) paths.push_back(path);
  return paths;
}

/// A certificate from another authority than the machine's.
std::string foreign(const std::string& file) {
  static const auto* other = [] {
    auto* machine = new Machine;
    machine->selection.only = "certs";
    machine->init();
    return machine;
  }();
  return other->host.text(kPki + file);
}

} // namespace

TEST_CASE("a new name re-issues one certificate only") {
  Machine machine;
  machine.init();
  const auto before = contents(machine);
  machine.adjust = [](config::Setup& setup) { setup.cluster.apiServerCertSANs = {"api.example.org", "203.0.113.9"}; };
  const auto changes = changesOf(machine.plan());
  REQUIRE_FALSE(changes.empty());
  CHECK(changes.front() ==
        "certs/apiserver: update certificate apiserver (lacks SAN api.example.org, SAN 203.0.113.9)");
  machine.init();
  CHECK(touched(machine, before) == Lines{kPki + "apiserver.crt", kPki + "apiserver.key"});
  CHECK(changesOf(machine.plan()) == Lines{});
}

TEST_CASE("a name that a wildcard of the certificate covers is not lacking") {
  Machine machine;
  machine.adjust = [](config::Setup& setup) { setup.cluster.apiServerCertSANs = {"*.example.org"}; };
  machine.init();
  machine.adjust = [](config::Setup& setup) { setup.cluster.apiServerCertSANs = {"api.example.org"}; };
  machine.selection.only = "certs";
  CHECK(changesOf(machine.plan()) == Lines{});
}

TEST_CASE("a name that is not wanted any more leaves the certificate alone") {
  Machine machine;
  machine.adjust = [](config::Setup& setup) { setup.cluster.apiServerCertSANs = {"api.example.org"}; };
  machine.init();
  machine.adjust = nullptr;
  machine.selection.only = "certs";
  CHECK(changesOf(machine.plan()) == Lines{});
}

TEST_CASE("what was deleted is made anew, and nothing else") {
  Machine machine;
  machine.init();
  const auto before = contents(machine);
  const std::pair<Lines, Lines> cases[] = {
      {{"pki/apiserver-kubelet-client.crt"}, {"pki/apiserver-kubelet-client.crt", "pki/apiserver-kubelet-client.key"}},
      {{"pki/etcd/peer.key"}, {"pki/etcd/peer.crt", "pki/etcd/peer.key"}},
      {{"pki/front-proxy-client.crt", "pki/front-proxy-client.key"},
       {"pki/front-proxy-client.crt", "pki/front-proxy-client.key"}},
      {{"scheduler.conf"}, {"scheduler.conf"}},
      {{"manifests/etcd.yaml"}, {}}, // the same again
      {{"pki/sa.pub"}, {}},
  };
  for (const auto& [deleted, expected] : cases) {
    CAPTURE(deleted.front());
    for (const auto& [path, content] : before) machine.host.put(path, content, machine.host.files[path].mode);
    for (const auto& file : deleted) machine.host.files.erase("/etc/kubernetes/" + file);
    machine.init();
    Lines paths;
    for (const auto& file : expected) paths.push_back("/etc/kubernetes/" + file);
    CHECK(touched(machine, before) == paths);
    CHECK(changesOf(machine.plan()) == Lines{});
  }
}

TEST_CASE("an authority that is not valid yet signs nothing: the clock is wrong, or it is too early") {
  Machine machine;
  machine.selection.only = "certs";
  machine.init();
  machine.host.now -= std::chrono::hours(48);
  const auto why = machine.initFails();
  CHECK(why.find("ca.crt begins at ") != std::string::npos);
  CHECK(why.find("is the clock of this machine right?") != std::string::npos);
}

TEST_CASE("a key that everybody may read is told of, and used") {
  Machine machine;
  machine.selection.only = "certs";
  machine.init();
  for (const auto* file : {"ca.key", "sa.key", "apiserver.key"}) machine.host.setMode(kPki + file, 0644);
  machine.init();
  for (const auto* file : {"ca.key", "sa.key", "apiserver.key"})
    CHECK(std::ranges::any_of(machine.listener.lines, [&](const auto& line) { return line.find("may read the key " + kPki + file + " (mode 0644)") != std::string::npos; }));
}

TEST_CASE("an expired certificate is issued anew, with its authority kept") {
  Machine machine;
  machine.init();
  const auto before = contents(machine);
  machine.host.now += std::chrono::hours(24 * 400);
  const auto changes = changesOf(machine.plan());
  CHECK(std::ranges::count(changes, "certs/apiserver: update certificate apiserver (expired 2027-11-22)") == 1);
  machine.init();
  const auto after = touched(machine, before);
  CHECK(std::ranges::count(after, kPki + "ca.crt") == 0);
  CHECK(std::ranges::count(after, kPki + "apiserver.crt") == 1);
  CHECK(std::ranges::count(after, "/etc/kubernetes/admin.conf") == 1);
  CHECK(changesOf(machine.plan()) == Lines{});
}

TEST_CASE("an authority whose key is kept elsewhere is used as long as nothing has to be signed") {
  Machine machine;
  machine.init();
  const auto before = contents(machine);
  machine.host.files.erase(kPki + "ca.key");
  machine.selection.only = "certs";
  CHECK(changesOf(machine.plan()) == Lines{});

  machine.host.files.erase(kPki + "apiserver.crt");
  CHECK(machine.initFails() == "cannot sign apiserver: /etc/kubernetes/pki/ca.key is absent, and the certificate is "
                               "needed because it is missing; put the "
                               "authority's key there, or have /etc/kubernetes/pki/apiserver.crt signed elsewhere and "
                               "put certificate and key in place");
  CHECK(machine.host.text(kPki + "apiserver.key") == before.at(kPki + "apiserver.key"));

  machine.host.put(kPki + "apiserver.crt", before.at(kPki + "apiserver.crt"));
  machine.adjust = [](config::Setup& setup) { setup.cluster.apiServerCertSANs = {"api.example.org"}; };
  CHECK(machine.initFails().find("because it lacks SAN api.example.org") != std::string::npos);
  CHECK(touched(machine, before) == Lines{});

  machine.adjust = nullptr;
  machine.host.files.erase("/etc/kubernetes/scheduler.conf");
  machine.selection.only = "kubeconfig";
  CHECK(machine.initFails().starts_with("cannot sign scheduler.conf: /etc/kubernetes/pki/ca.key is absent"));
}

TEST_CASE("an authority that the operator brings is used, and neither half is touched") {
  Machine machine;
  machine.host.put(kPki + "ca.crt", foreign("ca.crt"));
  machine.host.put(kPki + "ca.key", foreign("ca.key"), 0600);
  machine.init();
  CHECK(machine.host.text(kPki + "ca.crt") == foreign("ca.crt"));
  CHECK(machine.host.text(kPki + "ca.key") == foreign("ca.key"));
  CHECK(endState(machine).at(kPki + "apiserver.crt").find("signed by ca,") != std::string::npos);
}

TEST_CASE("what belongs to another cluster is refused and left alone") {
  Machine machine;
  machine.init();
  const auto refused = [&](const std::string& path, const std::string& content) {
    const auto was = machine.host.files.at(path);
    machine.host.put(path, content, was.mode);
    const auto effects = machine.effects().size();
    const auto error = machine.initFails();
    CHECK(machine.effects().size() == effects);
    CHECK(machine.host.text(path) == content);
    machine.host.files[path] = was;
    return error;
  };
  CHECK(refused(kPki + "ca.crt", foreign("ca.crt"))
            .starts_with("/etc/kubernetes/pki/ca.key is not the key of /etc/kubernetes/pki/ca.crt;"));
  CHECK(refused(kPki + "apiserver.crt", foreign("apiserver.crt"))
            .starts_with("/etc/kubernetes/pki/apiserver.crt is not signed by /etc/kubernetes/pki/ca.crt;"));
  CHECK(refused(kPki + "ca.crt", foreign("front-proxy-client.crt"))
            .starts_with("/etc/kubernetes/pki/ca.crt is no certificate authority;"));
  CHECK(machine.initFails() == "");
}

TEST_CASE("a kubeconfig that trusts another authority is refused") {
  Machine machine, other;
  machine.init();
  other.selection.skip = {"preflight"};
  other.init();
  machine.host.put("/etc/kubernetes/admin.conf", other.host.text("/etc/kubernetes/admin.conf"), 0600);
  CHECK(machine.initFails().starts_with(
      "/etc/kubernetes/admin.conf trusts another authority than /etc/kubernetes/pki/ca.crt;"));
}

TEST_CASE("a kubeconfig is made anew when it names another server") {
  Machine machine;
  machine.init();
  machine.adjust = [](config::Setup& setup) {
    setup.cluster.controlPlaneEndpoint = config::Endpoint{"api.example.org", 6443};
  };
  machine.selection.only = "kubeconfig";
  // Those of the node's own components speak to its own API server.
  CHECK(changesOf(machine.plan()) ==
        Lines{"kubeconfig/admin: update kubeconfig /etc/kubernetes/admin.conf (names https://10.0.0.11:6443, not "
              "https://api.example.org:6443)",
              "kubeconfig/super-admin: update kubeconfig /etc/kubernetes/super-admin.conf (names "
              "https://10.0.0.11:6443, not "
              "https://api.example.org:6443)"});
}

TEST_CASE("an authority's key without its certificate is refused when kubestrap did not make it") {
  Machine machine;
  machine.host.put(kPki + "ca.key", foreign("ca.key"), 0600);
  CHECK(machine.initFails().starts_with(
      "/etc/kubernetes/pki/ca.key is there, but not its certificate /etc/kubernetes/pki/ca.crt;"));
  CHECK(machine.host.text(kPki + "ca.key") == foreign("ca.key"));
}

TEST_CASE("an authority's certificate that was lost is made anew from kubestrap's own key, so that what it signed "
          "stays good") {
  Machine machine;
  machine.init();
  const auto before = contents(machine);
  machine.host.files.erase(kPki + "front-proxy-ca.crt");
  machine.selection.only = "certs";
  machine.init();
  CHECK(touched(machine, before) == Lines{kPki + "front-proxy-ca.crt"});
  CHECK(changesOf(machine.plan()) == Lines{});
}

TEST_CASE("a public key whose private half is gone is not replaced") {
  Machine machine;
  machine.init();
  machine.host.files.erase(kPki + "sa.key");
  CHECK(machine.initFails().starts_with("/etc/kubernetes/pki/sa.pub is there, but not /etc/kubernetes/pki/sa.key;"));
}

TEST_CASE("RSA keys are made where the configuration asks for them") {
  Machine machine;
  machine.adjust = [](config::Setup& setup) { setup.cluster.pki.algorithm = certs::KeyAlgorithm::rsa2048; };
  machine.selection.only = "certs/ca";
  machine.init();
  CHECK(machine.host.text(kPki + "ca.key").starts_with("-----BEGIN RSA PRIVATE KEY-----"));
  CHECK(changesOf(machine.plan()) == Lines{});
}

TEST_CASE("what the operator wants of a certificate otherwise is in what init makes, and a second init keeps it") {
  Machine machine;
  machine.adjust = [](config::Setup& setup) {
    auto& wishes = setup.cluster.pki.overrides;
    wishes["apiserver"] = {.subject = {.commonName = "", .organizations = {"Example"}}, .names = {.dns = {"api.example.org"}, .ips = {}}, .algorithm = certs::KeyAlgorithm::ecdsaP384, .life = std::chrono::hours(720)};
    wishes["ca"] = {.subject = {.commonName = "our cluster", .organizations = {}}, .names = {}, .life = std::chrono::hours(1000)};
    wishes["admin.conf"] = {.subject = {.commonName = "", .organizations = {"auditors"}}, .names = {}, .life = std::chrono::hours(24)};
  };
  machine.init();
  const auto certificate = certs::X509Certificate::parse(machine.host.text(kPki + "apiserver.crt"), "apiserver");
  CHECK(certificate.subject() == certs::Subject{.commonName = "kube-apiserver", .organizations = {"Example"}});
  CHECK(certificate.coversNames({.dns = {"api.example.org", "kubernetes"}, .ips = {}}));
  CHECK(certificate.algorithm() == certs::KeyAlgorithm::ecdsaP384);
  CHECK(certificate.notAfter() < machine.host.now + std::chrono::hours(721));
  CHECK(certificate.issuer().commonName == "our cluster");
  const auto admin = kube::parseKubeconfig(machine.host.text("/etc/kubernetes/admin.conf"), "admin.conf");
  CHECK(certs::X509Certificate::parse(admin.clientCertificate, "admin.conf").subject().organizations.size() == 2);
  CHECK(changesOf(machine.plan()) == Lines{});
}

TEST_CASE("a certificate that an authority between has signed is kept, with its chain") {
  Machine machine;
  machine.init();
  const auto root = certs::X509Certificate::parse(machine.host.text(kPki + "ca.crt"), "ca");
  const auto rootKey = certs::PrivateKey::parse(Secret(machine.host.text(kPki + "ca.key")), "ca");
  const certs::Issuance issuance{machine.host.now - std::chrono::minutes(5), machine.host.now + std::chrono::hours(1000), std::string(8, 'x')};
  const auto key = certs::PrivateKey::generate(certs::KeyAlgorithm::ecdsaP256);
  const auto between = certs::issue({.name = "between", .issuer = "ca", .authority = true, .subject = {.commonName = "between"}, .names = {}}, key, certs::Issuer{&root, rootKey}, issuance);
  const auto old = certs::X509Certificate::parse(machine.host.text(kPki + "apiserver.crt"), "apiserver");
  const auto ownKey = certs::PrivateKey::parse(Secret(machine.host.text(kPki + "apiserver.key")), "apiserver");
  const auto leaf = certs::issue({.name = "apiserver", .issuer = "between", .subject = old.subject(), .names = old.names(), .usages = old.usages()}, ownKey, certs::Issuer{&between, key}, issuance);
  machine.host.put(kPki + "apiserver.crt", leaf.pem() + between.pem());
  machine.selection.only = "certs";
  CHECK(changesOf(machine.plan()) == Lines{});
  machine.host.put(kPki + "apiserver.crt", leaf.pem());
  CHECK(machine.initFails().starts_with("/etc/kubernetes/pki/apiserver.crt is not signed by /etc/kubernetes/pki/ca.crt;"));
}
