// Rotation on one control plane: to the next authority or back, whatever stops it.
#include "tests/fakes/fake_etcd.hpp"
#include "tests/flow/machine.hpp"
#include "tests/lines.hpp"

#include "certs/sign.hpp"
#include "certs/signing_request.hpp"
#include "certs/x509.hpp"
#include "cmd/rotation_look.hpp"
#include "config/paths.hpp"
#include "kube/kubeconfig.hpp"
#include "phases/rotation.hpp"
#include "plan/operation.hpp"
#include "plan/recorded.hpp"
#include "support/encoding.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <utility>

using namespace kubestrap;
using namespace kubestrap::flow;
namespace rotation = kubestrap::phases::rotation;

namespace {

/// Each kill takes a third of a second. The two tests begin at different effects.
constexpr std::size_t stride = 13;

const std::string kPki = "/etc/kubernetes/pki/", kManifests = "/etc/kubernetes/manifests/";
const std::string kCurrent = config::paths::kubeletClientCertificate.string();
constexpr const char* kComponents[] = {"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"};

/// A control plane that runs, with a kubelet that makes pods anew, and components that do in the cluster what they do by themselves.
class ControlPlane : public Machine {
public:
  ControlPlane() {
    http = &etcd;
    etcd.members = {{.id = 1, .name = "n1", .peerUrl = "https://10.0.0.11:2380", .clientUrl = "https://10.0.0.11:2379"}};
    init();
    host.now += std::chrono::hours(24);
    makePods();
    kubeletHasItsCertificate();
    serve();
    host.onServiceAction = [this](const std::string&, host::Host::ServiceAction) { makePods(); };
    clock.onSleep = [this] { settle(); serve(); };
    host.onRun = [this](const host::Command& command) -> host::CommandResult {
      if (command.program != "ln") return {.exitCode = 1};
      host.effect("run ln");
      host.put(command.arguments.back(), host.text(command.arguments[1]), 0600);
      return {};
    };
    api.shows = [this](const std::string&, int port) {
      return host.text(kPki + (port == 2379 ? "etcd/server.crt" : port == 2380 ? "etcd/peer.crt" : "apiserver.crt"));
    };
    api.put(Value::object({{"apiVersion", "v1"}, {"kind", "Pod"},
                           {"metadata", Value::object({{"name", "etcd-n1"}, {"namespace", "kube-system"},
                                                       {"labels", Value::object({{"component", "etcd"}, {"tier", "control-plane"}})},
                                                       {"annotations", Value::object({{"kubeadm.kubernetes.io/etcd.advertise-client-urls", "https://10.0.0.11:2379"}})}})}}));
    cri.effects.clear();
  }

  fakes::FakeEtcd etcd{api};

  rotation::Intent intent(const std::string& authority, rotation::Direction direction) {
    auto made = setup();
    made.node.fronts.clear();
    for (const auto* name : {"apiserver", "apiserver-kubelet-client", "front-proxy-client", "etcd-server", "etcd-peer", "etcd-healthcheck-client", "apiserver-etcd-client"})
      made.request.renewal.wanted[name] = {};
    for (const auto* file : {"admin.conf", "super-admin.conf", "controller-manager.conf", "scheduler.conf"}) {
      const auto found = kubeconfig(file);
      made.request.renewal.wanted[file] = {.subject = {}, .names = {}, .server = found.server, .tlsServerName = {}, .clusterName = found.clusterName, .user = found.user};
    }
    made.request.renewal.within = Duration::zero();
    rotation::Intent intent{.setup = made, .authority = authority, .direction = direction, .former = rotation::Former::goes, .soak = std::chrono::seconds(3),
                            .nodes = {.access = {config::paths::adminConf, {}}, .image = "kubestrap"},
                            .material = cmd::materialHere(host, made.cluster, authority), .manifests = {}, .kubeletConfs = {}};
    for (const auto stage : {rotation::Stage::former, rotation::Stage::trusted, rotation::Stage::issuing, rotation::Stage::dropped}) {
      auto wish = cmd::wishHere(host, authority, intent.material, stage);
      intent.manifests = wish.manifests;
      intent.kubeletConfs[stage] = wish.kubeletConf;
    }
    return intent;
  }

  plan::Next next(const std::string& authority, rotation::Direction direction) {
    serve();
    auto wish = intent(authority, direction);
    plan::World world{host, cri, etcd, clock, entropy};
    rotation::Seen seen{.prepared = cmd::isPrepared(host, authority), .nodes = {cmd::lookHere(wish.setup, authority, wish.material, world)}};
    kube::Client client(etcd, kubeconfig("admin.conf"));
    if (seen.prepared) cmd::lookAtTold(seen, authority, wish.material, client);
    seen.issuedFor = seen.nodes[0].since;
    begun_ = begun_ || seen.prepared;
    if (begun_) wish.beginning = rotation::Beginning::over;
    return rotation::next(wish, seen);
  }

  void rotate(const std::string& authority, rotation::Direction direction = rotation::Direction::onward) {
    begun_ = false;
    plan::World world{host, cri, etcd, clock, entropy};
    plan::perform({.name = "certs rotate-ca " + authority, .access = {config::paths::adminConf, {}}, .holder = "n1", .next = [=, this] { return next(authority, direction); }},
                  world, listener);
  }

  kube::Kubeconfig kubeconfig(const std::string& file) { return kube::parseKubeconfig(host.text("/etc/kubernetes/" + file), file); }
  certs::X509Certificate certificate(const std::string& file) { return certs::X509Certificate::parse(host.text(file), file); }

private:
  bool runs(const std::string& component) const {
    return std::ranges::any_of(cri.found, [&](const auto& each) { return each.name == component && each.state == host::Container::State::running; });
  }

  void makePods() {
    host.now += std::chrono::seconds(1);
    for (const auto* component : kComponents) {
      const auto& manifest = host.files.at(kManifests + component + ".yaml");
      for (auto& each : cri.found)
        if (each.name == component && each.createdAt < manifest.modified) each.state = host::Container::State::exited;
      if (runs(component)) continue;
      const auto id = std::to_string(++count_);
      cri.found.push_back({.id = id, .podUid = id, .podName = std::string(component) + "-n1", .podNamespace = "kube-system", .name = component,
                           .state = host::Container::State::running, .createdAt = host.now});
    }
  }

  void kubeletHasItsCertificate() {
    const certs::CertSpec spec{.name = "kubelet", .issuer = "ca", .subject = {.commonName = "system:node:n1", .organizations = {"system:nodes"}}, .names = {},
                               .usages = {certs::ExtendedUsage::clientAuth}, .certificate = {}, .key = {}, .issuerCertificate = {}, .issuerKey = {}};
    const auto key = certs::PrivateKey::generate(certs::KeyAlgorithm::ecdsaP256);
    const auto [authority, authorityKey] = signer();
    const auto made = certs::issue(spec, key, {&authority, authorityKey}, {.notBefore = host.now, .notAfter = host.now + std::chrono::hours(8760), .serialBytes = entropy.bytes(8)});
    host.put(kCurrent, made.pem() + key.pem().reveal(), 0600);
  }

  /// As the controller-manager takes it: the file that its manifest names.
  std::pair<certs::X509Certificate, certs::PrivateKey> signer() {
    const bool own = host.text(kManifests + "kube-controller-manager.yaml").find("ca-signer.crt") != std::string::npos;
    const auto file = kPki + (own ? "ca-signer.crt" : "ca.crt");
    CHECK(certs::X509Certificate::parseAll(host.text(file), file).size() == 1);
    return {certificate(file), certs::PrivateKey::parse(Secret(host.text(kPki + "ca.key")), "ca.key")};
  }

  Value configMap(const std::string& nameSpace, const std::string& name, Value data) {
    return Value::object({{"apiVersion", "v1"}, {"kind", "ConfigMap"}, {"metadata", Value::object({{"name", name}, {"namespace", nameSpace}})}, {"data", std::move(data)}});
  }

  /// What is published by controller-manager and API server, which never forgets.
  void serve() {
    const std::pair<const char*, const char*> pages[] = {{"etcd", "http://127.0.0.1:2381/readyz"},
                                                         {"kube-controller-manager", "https://127.0.0.1:10257/healthz"},
                                                         {"kube-scheduler", "https://127.0.0.1:10259/readyz"}};
    for (const auto& [component, url] : pages) api.page(url, runs(component) ? 200 : 500);
    signRequests();
    const auto files = host.text(kPki + "ca.crt") + host.text(kPki + "front-proxy-ca.crt");
    if (std::exchange(served_, files) == files) return;
    for (const auto* nameSpace : {"default", "kube-system"})
      api.put(configMap(nameSpace, "kube-root-ca.crt", Value::object({{"ca.crt", host.text(kPki + "ca.crt")}})));
    const auto path = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication";
    Value data = Value::object();
    for (const auto& [key, file] : {std::pair{"client-ca-file", "ca.crt"}, {"requestheader-client-ca-file", "front-proxy-ca.crt"}}) {
      const auto found = api.object(path);
      auto text = found ? (*found)["data"].value(key, std::string()) : "";
      for (const auto& each : certs::X509Certificate::parseAll(host.text(kPki + file), file))
        if (text.find(each.pem()) == std::string::npos) text += each.pem();
      data[key] = text;
    }
    api.put(configMap("kube-system", "extension-apiserver-authentication", data));
  }

  void signRequests() {
    for (const auto& path : api.paths()) {
      if (!path.starts_with("/apis/certificates.k8s.io/v1/certificatesigningrequests/")) continue;
      auto object = *api.object(path);
      if (!stringAt(object, "status.certificate").empty()) continue;
      const auto request = certs::SigningRequest::parse(*fromBase64(stringAt(object, "spec.request")), path);
      certs::SigningOrder order;
      order.profile.usages = {"digital signature", "client auth"};
      order.profile.expiry = std::chrono::hours(8760);
      const auto [authority, key] = signer();
      object["status"]["certificate"] = base64(certs::sign(request, order, {&authority, key}, host.now, entropy.bytes(20)).pem());
      api.put(object);
    }
  }

  int count_ = 0;
  std::string served_; ///< what the files said then
  bool begun_ = false; ///< something was seen of a rotation in this run
};

/// What a rotation that has come to its end has left: everything by one authority, and nothing else.
void checkOne(ControlPlane& machine, const std::string& authority, const std::string& pem) {
  const auto trust = authority == "sa" ? "sa.pub" : authority == "etcd-ca" ? "etcd/ca.crt" : authority + ".crt";
  CHECK(machine.host.text(kPki + trust) == pem);
  CHECK(machine.host.list("/var/lib/kubestrap/rotation").empty());
  CHECK_FALSE(machine.host.status(kPki + "ca-signer.crt"));
  CHECK_FALSE(machine.host.status(kPki + "ca-bridge.crt"));
  if (authority == "sa") {
    CHECK(certs::PrivateKey::parse(Secret(machine.host.text(kPki + "sa.key")), "sa.key").publicPem() == pem);
    return;
  }
  const auto signer = certs::X509Certificate::parse(pem, "the authority");
  const std::map<std::string, Lines> leaves{{"front-proxy-ca", {"front-proxy-client.crt"}}, {"etcd-ca", {"etcd/server.crt", "etcd/peer.crt", "apiserver-etcd-client.crt"}}, {"ca", {"apiserver.crt", "apiserver-kubelet-client.crt"}}};
  for (const auto& file : leaves.at(authority)) CHECK_MESSAGE(machine.certificate(kPki + file).signedBy(signer), file);
  if (authority != "ca") return;
  CHECK(machine.certificate(kCurrent).signedBy(signer));
  for (const auto* file : {"admin.conf", "super-admin.conf", "controller-manager.conf", "scheduler.conf"}) {
    const auto found = machine.kubeconfig(file);
    CHECK(found.authorities == pem);
    CHECK(certs::X509Certificate::parse(found.clientCertificate, file).signedBy(signer));
  }
  CHECK(machine.kubeconfig("kubelet.conf").authorities == pem);
  CHECK(machine.host.text(kManifests + "kube-controller-manager.yaml").find("ca-signer") == std::string::npos);
  const auto told = machine.api.object("/api/v1/namespaces/kube-public/configmaps/cluster-info");
  CHECK(kube::parseKubeconfig((*told)["data"].value("kubeconfig", std::string()), "cluster-info").authorities == pem);
}

std::string trustOf(ControlPlane& machine, const std::string& authority) {
  return machine.host.text(kPki + (authority == "sa" ? "sa.pub" : authority == "etcd-ca" ? "etcd/ca.crt" : authority + ".crt"));
}

const Lines kAuthorities{"sa", "front-proxy-ca", "etcd-ca", "ca"};

std::size_t effectsOf(const std::string& authority) {
  ControlPlane machine;
  return machine.effectsOf([&] { machine.rotate(authority); });
}

} // namespace

TEST_CASE("the next authority takes the former one's place, and another run has nothing to do") {
  for (const auto& authority : kAuthorities) {
    CAPTURE(authority);
    ControlPlane machine;
    const auto former = trustOf(machine, authority);
    machine.rotate(authority);
    const auto now = trustOf(machine, authority);
    CHECK(now != former);
    checkOne(machine, authority, now);
  }
}

TEST_CASE("a node that has removed what only the rotation needed does not miss it") {
  for (const auto& authority : kAuthorities) {
    CAPTURE(authority);
    ControlPlane machine;
    const auto former = trustOf(machine, authority);
    machine.rotate(authority);
    const auto setup = machine.intent(authority, rotation::Direction::onward).setup;
    plan::World world{machine.host, machine.cri, machine.etcd, machine.clock, machine.entropy};
    const auto seen = cmd::lookHere(setup, authority, {.former = {former, {}}, .next = {trustOf(machine, authority), {}}, .bridge = {}}, world);
    CHECK(seen.stage == rotation::Stage::dropped);
    CHECK_FALSE(seen.staged);
    CHECK(seen.settled);
  }
}

TEST_CASE("a rotation that was killed anywhere goes on to its end") {
  for (const auto& authority : kAuthorities) {
    const auto effects = effectsOf(authority);
    CHECK(effects > 15);
    for (std::size_t n = 1; n < effects; n += stride) {
      CAPTURE(authority);
      CAPTURE(n);
      ControlPlane machine;
      const auto former = trustOf(machine, authority);
      machine.host.stopAtEffect = machine.host.effects.size() + n;
      CHECK_THROWS_AS(machine.rotate(authority), fakes::Killed);
      machine.host.stopAtEffect.reset();
      machine.host.now += std::chrono::seconds(5);
      if (!cmd::isPrepared(machine.host, authority) && trustOf(machine, authority) != former) continue; // it was at its end
      machine.rotate(authority);
      CHECK(trustOf(machine, authority) != former);
      checkOne(machine, authority, trustOf(machine, authority));
    }
  }
}

TEST_CASE("a rotation that was killed anywhere goes back, until the former authority has been dropped") {
  for (const auto& authority : kAuthorities) {
    const auto effects = effectsOf(authority);
    unsigned back = 0;
    for (std::size_t n = 3; n < effects; n += stride) {
      CAPTURE(authority);
      CAPTURE(n);
      ControlPlane machine;
      const auto former = trustOf(machine, authority);
      machine.host.stopAtEffect = machine.host.effects.size() + n;
      CHECK_THROWS_AS(machine.rotate(authority), fakes::Killed);
      machine.host.stopAtEffect.reset();
      machine.host.now += std::chrono::seconds(5);
      if (!cmd::isPrepared(machine.host, authority)) continue;
      if (trustOf(machine, authority).find(former) == std::string::npos) {
        CHECK_THROWS_AS(machine.rotate(authority, rotation::Direction::back), Error);
        continue;
      }
      machine.rotate(authority, rotation::Direction::back);
      checkOne(machine, authority, former);
      ++back;
    }
    CHECK(back > 2);
  }
}
