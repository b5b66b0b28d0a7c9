// Renewal: new keys, a component at a time, and back again when one does not become well.
#include "tests/flow/machine.hpp"
#include "tests/lines.hpp"

#include "certs/x509.hpp"
#include "kube/kubeconfig.hpp"
#include "plan/recorded.hpp"

#include <doctest/doctest.h>

#include <algorithm>
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

// ---- whatever ends it

namespace {

#ifdef __SANITIZE_ADDRESS__
constexpr std::size_t stride = 5;
#else
constexpr std::size_t stride = 1;
#endif

/// That everything was renewed and fits together, and runs with it.
void isAtItsEnd(ControlPlane& machine) {
  for (const std::string name : {"apiserver", "apiserver-etcd-client", "etcd-server", "etcd-peer"}) {
    CAPTURE(name);
    const auto key = kPki + (name.starts_with("etcd-") ? "etcd/" + name.substr(5) : name) + ".key";
    CHECK(machine.certificate(name).belongsTo(certs::PrivateKey::parse(Secret(machine.host.text(key)), key)));
    CHECK(machine.certificate(name).notAfter() > machine.host.now + std::chrono::hours(24 * 364));
  }
  for (const std::string file : {"controller-manager.conf", "admin.conf"}) {
    CAPTURE(file);
    const auto found = machine.kubeconfig(file);
    const auto certificate = certs::X509Certificate::parse(found.clientCertificate, file);
    CHECK(certificate.belongsTo(certs::PrivateKey::parse(found.clientKey, file)));
    CHECK(certificate.notAfter() > machine.host.now + std::chrono::hours(24 * 364));
  }
  CHECK(std::ranges::none_of(machine.cri.pods, [&](const auto& pod) { return pod.name == "kube-controller-manager-n1" && pod.ready; }));
}

std::size_t effectsOfRenewal() {
  ControlPlane machine;
  const auto made = machine.wanted();
  return machine.effectsOf([&] { machine.renew(made); });
}

/// From the n-th effect on, each on the disk fails.
void breakDisk(ControlPlane& machine, std::size_t n) {
  machine.host.onEffect = [n, count = std::size_t{0}](const std::string& effect) mutable {
    if (++count >= n && (effect.starts_with("write ") || effect.starts_with("append "))) throw Error("cannot " + effect + ": No space left on device");
  };
}

} // namespace

TEST_CASE("a renewal that was killed anywhere is carried to its end by the next one, and reset leaves the machine as it was") {
  const auto effects = effectsOfRenewal();
  CHECK(effects > 15);
  for (std::size_t n = 1; n <= effects; n += stride) {
    Machine bare;
    ControlPlane machine;
    CAPTURE(n);
    const auto made = machine.wanted();
    machine.host.stopAtEffect = machine.host.effects.size() + n;
    CHECK_THROWS_AS(machine.renew(made), fakes::Killed);
    machine.host.stopAtEffect.reset();
    machine.host.now += std::chrono::seconds(5);
    machine.renew(made);
    isAtItsEnd(machine);
    CHECK(machine.resetFails() == "");
    const auto left = plan::deviations(bare.host.inventory(), machine.host.inventory());
    CHECK_MESSAGE(left.empty(), left.front().name);
  }
}

TEST_CASE("a renewal that finds no room says so, and the next one comes to its end") {
  const auto effects = effectsOfRenewal();
  for (std::size_t n = 1; n <= effects; n += stride) {
    CAPTURE(n);
    ControlPlane machine;
    const auto made = machine.wanted();
    breakDisk(machine, n);
    try {
      machine.renew(made);
      CHECK(n > effects / 2); // nothing had to be written any more
    } catch (const Error& error) {
      CHECK(error.message().find("No space left on device") != std::string::npos);
    }
    machine.host.onEffect = nullptr;
    machine.host.now += std::chrono::seconds(5);
    machine.renew(made);
    isAtItsEnd(machine);
  }
}

TEST_CASE("a renewal that the operator interrupts says so, and the next one comes to its end") {
  unsigned interrupted = 0;
  for (unsigned n = 0;; n += stride) {
    CAPTURE(n);
    ControlPlane machine;
    const auto made = machine.wanted();
    machine.clock.interruptAtSleep = n;
    try {
      machine.renew(made);
      break;
    } catch (const Interrupted& error) {
      CHECK(error.exitCode() == ExitCode::interrupted);
      ++interrupted;
    }
    machine.host.now += std::chrono::seconds(5);
    machine.renew(made);
    isAtItsEnd(machine);
  }
  CHECK(interrupted > 10 / stride);
}

namespace {

/// New certificates by the machine's own authority, as if they had been signed elsewhere.
config::Importing brought(ControlPlane& machine) {
  config::Importing importing{.pairs = {}, .running = true};
  const auto authority = certs::X509Certificate::parse(machine.host.text(kPki + "ca.crt"), "ca");
  const auto authorityKey = certs::PrivateKey::parse(Secret(machine.host.text(kPki + "ca.key")), "ca");
  const auto signed_ = [&](certs::CertSpec spec) {
    const auto key = certs::PrivateKey::generate(certs::KeyAlgorithm::ecdsaP256);
    const auto certificate = certs::issue(spec, key, certs::Issuer{&authority, authorityKey}, {machine.host.now - std::chrono::minutes(5), machine.host.now + std::chrono::hours(100), std::string(8, 'x')});
    return config::Importing::Pair{certificate.pem(), key.pem()};
  };
  importing.pairs["apiserver"] = signed_({.name = "apiserver", .issuer = "ca", .subject = {.commonName = "kube-apiserver"}, .names = machine.certificate("apiserver").names(), .usages = {certs::ExtendedUsage::serverAuth}});
  importing.pairs["controller-manager.conf"] = signed_({.name = "controller-manager.conf", .issuer = "ca", .subject = {.commonName = "system:kube-controller-manager"}, .names = {}, .usages = {certs::ExtendedUsage::clientAuth}});
  return importing;
}

plan::Outcome importAll(ControlPlane& machine, const config::Setup& made, plan::Mode mode = plan::Mode::apply) {
  plan::World world{machine.host, machine.cri, machine.api, machine.clock, machine.entropy};
  return plan::run(phases::importWorkflow(), {}, made, machine.host.machine, world, mode, machine.listener, "certs import");
}

} // namespace

TEST_CASE("what was signed elsewhere is put in place, taken up, and on the record") {
  ControlPlane machine;
  auto made = machine.setup();
  made.request.importing = brought(machine);
  const auto before = machine.host.effects.size();
  importAll(machine, made, plan::Mode::plan);
  CHECK(machine.host.effects.size() == before);
  CHECK(machine.listener.previews.find("PRIVATE KEY") == std::string::npos);
  importAll(machine, made);
  CHECK(machine.host.text(kPki + "apiserver.crt") == made.request.importing.pairs["apiserver"].certificate);
  CHECK(machine.host.files.at(kPki + "apiserver.key").mode == 0600);
  CHECK(machine.kubeconfig("controller-manager.conf").clientCertificate == made.request.importing.pairs["controller-manager.conf"].certificate);
  CHECK(machine.cri.effects == Lines{"remove pod 1"});
  CHECK(machine.host.text("/var/lib/kubestrap/journal").find("\"" + kPki + "apiserver.key\"") != std::string::npos);
  machine.selection.only = "certs";
  CHECK(changesOf(machine.plan()) == Lines{}); // init keeps it
  CHECK_FALSE(importAll(machine, made).changed());
}

TEST_CASE("where no control plane is yet, nothing is waited for") {
  ControlPlane machine;
  auto made = machine.setup();
  made.request.importing = brought(machine);
  made.request.importing.running = false;
  machine.api.shows = [](const std::string&, int) -> std::string { throw Error("there is no server"); };
  importAll(machine, made);
  CHECK(machine.host.text(kPki + "apiserver.crt") == made.request.importing.pairs["apiserver"].certificate);
  CHECK(machine.cri.effects.empty());
}

TEST_CASE("a server that does not take up what was brought gets its old certificate back") {
  ControlPlane machine;
  auto made = machine.setup();
  made.request.importing = brought(machine);
  const auto before = machine.host.files;
  machine.api.shows = [&](const std::string&, int) { return before.at(kPki + "apiserver.crt").content; };
  CHECK_THROWS_AS(importAll(machine, made), Error);
  for (const auto& path : {kPki + "apiserver.crt", kPki + "apiserver.key", kManager}) CHECK(machine.host.files.at(path).content == before.at(path).content);
}
