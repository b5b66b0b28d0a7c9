// Renewal: new keys, a component at a time, and back again when one does not become well.
#include "tests/flow/machine.hpp"
#include "tests/lines.hpp"

#include "certs/x509.hpp"
#include "kube/kubeconfig.hpp"

#include <doctest/doctest.h>

#include <map>

using namespace kubestrap;
using namespace kubestrap::flow;

namespace {

const std::string kPki = "/etc/kubernetes/pki/";
const std::string kManager = "/etc/kubernetes/controller-manager.conf";

/// A control plane that runs, with a runtime that shows its controller-manager and scheduler, and servers that take up their files.
class ControlPlane : public Machine {
public:
  ControlPlane() {
    init();
    cri.effects.clear();
    host.now += std::chrono::hours(24 * 100);
    for (const auto* component : {"kube-controller-manager", "kube-scheduler"}) runs(component);
    api.shows = [this](const std::string&, int port) {
      return host.text(kPki + (port == 2379 ? "etcd/server.crt" : port == 2380 ? "etcd/peer.crt" : "apiserver.crt"));
    };
  }

  void runs(const std::string& component) {
    const auto id = std::to_string(++count_);
    cri.found.push_back({.id = id, .podUid = id, .podName = component + "-n1", .podNamespace = "kube-system", .name = component,
                         .state = host::Container::State::running, .createdAt = host.now});
    cri.pods.push_back({.id = id, .uid = id, .name = component + "-n1", .podNamespace = "kube-system", .ready = true, .createdAt = host.now});
  }

  config::Setup wanted() {
    auto made = setup();
    for (const auto* name : {"apiserver", "apiserver-etcd-client", "etcd-server", "etcd-peer"})
      made.request.renewal.wanted[name] = {.subject = certificate(name).subject(), .names = {}};
    for (const auto* file : {"controller-manager.conf", "admin.conf"}) {
      const auto found = kubeconfig(file);
      made.request.renewal.wanted[file] = {.subject = certs::X509Certificate::parse(found.clientCertificate, file).subject(), .names = {}, .server = found.server,
                                           .tlsServerName = {}, .clusterName = found.clusterName, .user = found.user};
    }
    return made;
  }

  plan::Outcome renew(const config::Setup& made, plan::Mode mode = plan::Mode::apply) {
    plan::World world{host, cri, api, clock, entropy};
    return plan::run(phases::renewWorkflow(), {}, made, host.machine, world, mode, listener, "certs renew");
  }

  certs::X509Certificate certificate(std::string name) {
    if (name.starts_with("etcd-")) name.replace(4, 1, "/");
    return certs::X509Certificate::parse(host.text(kPki + name + ".crt"), name);
  }
  kube::Kubeconfig kubeconfig(const std::string& file) { return kube::parseKubeconfig(host.text("/etc/kubernetes/" + file), file); }

private:
  int count_ = 0;
};

} // namespace

TEST_CASE("what is named gets a new key and a new life, and only the component that read its file once is made anew") {
  ControlPlane machine;
  const auto before = machine.host.files;
  const auto changes = changesOf(machine.renew(machine.wanted()));
  for (const auto* name : {"apiserver", "etcd-server", "etcd-peer", "apiserver-etcd-client"})
    CHECK(machine.certificate(name).notAfter() > machine.host.now + std::chrono::hours(24 * 364));
  CHECK(machine.host.text(kPki + "apiserver.key") != before.at(kPki + "apiserver.key").content);
  CHECK(machine.host.text(kPki + "ca.crt") == before.at(kPki + "ca.crt").content);
  CHECK(machine.host.text(kPki + "front-proxy-client.crt") == before.at(kPki + "front-proxy-client.crt").content);
  CHECK(machine.host.text("/etc/kubernetes/scheduler.conf") == before.at("/etc/kubernetes/scheduler.conf").content);
  CHECK(machine.cri.effects == Lines{"remove pod 1"});
  CHECK(changes.back() == "administrators: update kubeconfig /etc/kubernetes/admin.conf (asked for; expires 2027-" +
                              changes.back().substr(changes.back().find("2027-") + 5));
}

TEST_CASE("a plan of renewal touches nothing, and tells which pod would be made anew") {
  ControlPlane machine;
  const auto before = machine.host.effects.size();
  const auto changes = changesOf(machine.renew(machine.wanted(), plan::Mode::plan));
  CHECK(machine.host.effects.size() == before);
  CHECK(std::ranges::count(changes, "controller-manager: do static pod kube-controller-manager (" + kManager + " will be newer than its process)") == 1);
}

TEST_CASE("only what ends within the given time is renewed") {
  ControlPlane machine;
  auto made = machine.wanted();
  made.request.renewal.within = std::chrono::hours(24 * 30);
  CHECK_FALSE(machine.renew(made).changed());
  machine.host.now += std::chrono::hours(24 * 240);
  CHECK(machine.renew(made).changed());
}

TEST_CASE("names come from the configuration, unless it is not known") {
  ControlPlane machine;
  auto made = machine.wanted();
  made.cluster.apiServerCertSANs = {"new.example.org"};
  machine.renew(made);
  CHECK(machine.certificate("apiserver").coversNames({.dns = {"new.example.org"}, .ips = {}}));
  made.request.renewal.wanted["apiserver"].names = certs::AlternativeNames{.dns = {"kept.example.org"}, .ips = {}};
  machine.host.now += std::chrono::hours(1);
  machine.renew(made);
  CHECK(machine.certificate("apiserver").names().dns == std::vector<std::string>{"kept.example.org"});
}

TEST_CASE("a server that does not take up its certificate gets its old one back, and what comes after is not begun") {
  ControlPlane machine;
  const auto before = machine.host.files;
  auto old = before.at(kPki + "etcd/server.crt").content;
  machine.api.shows = [old](const std::string&, int) { return old; };
  auto made = machine.wanted();
  made.request.renewal.wanted.erase("etcd-peer");
  std::string said;
  try {
    machine.renew(made);
  } catch (const Error& error) {
    said = error.message();
    for (const auto& context : error.contexts()) said += "; " + context;
  }
  CHECK(said.find("shows another certificate still") != std::string::npos);
  CHECK(said.find("put back as they were") != std::string::npos);
  for (const auto& [path, file] : before)
    if (path.starts_with(kPki) || path == kManager) CHECK_MESSAGE(machine.host.files.at(path).content == file.content, path);
  CHECK(machine.cri.effects.empty());
}

TEST_CASE("a renewal that was killed anywhere is carried to its end by the next one") {
  const auto effects = [] {
    ControlPlane machine;
    const auto made = machine.wanted();
    return machine.effectsOf([&] { machine.renew(made); });
  }();
  for (std::size_t n = 1; n <= effects; n += 3) {
    ControlPlane machine;
    const auto made = machine.wanted();
    machine.host.stopAtEffect = machine.host.effects.size() + n;
    CHECK_THROWS_AS(machine.renew(made), fakes::Killed);
    machine.host.stopAtEffect.reset();
    machine.host.now += std::chrono::seconds(5);
    machine.renew(made);
    for (const auto* name : {"apiserver", "etcd-server"}) {
      const auto key = certs::PrivateKey::parse(Secret(machine.host.text(name == std::string("apiserver") ? kPki + "apiserver.key" : kPki + "etcd/server.key")), name);
      CHECK(machine.certificate(name).belongsTo(key));
    }
  }
}
