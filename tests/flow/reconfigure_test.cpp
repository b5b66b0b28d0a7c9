// Other settings of a control plane that runs in its own cluster, whatever stops the driver: its files are the real engine's, its roll is assumed.
#include "tests/flow/machine.hpp"
#include "tests/lines.hpp"
#include "tests/unit/phases/pivoted.hpp"

#include "certs/x509.hpp"
#include "cmd/reconfigure_look.hpp"
#include "manifests/front.hpp"
#include "manifests/hosted.hpp"
#include "manifests/security.hpp"
#include "plan/operation.hpp"
#include "plan/silent.hpp"
#include "support/encoding.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace kubestrap;
using namespace kubestrap::flow;
namespace reconfigure = kubestrap::phases::reconfigure;
namespace roll = kubestrap::phases::roll;
namespace encryption = kubestrap::phases::encryption;
namespace paths = kubestrap::config::paths;

namespace {

const std::string kKeys = "/etc/kubernetes/pki/encryption.yaml", kSecrets = "/api/v1/namespaces/team/secrets/";
constexpr std::size_t kCount = 3;

/// One node whose API server goes by its file of keys once it has been told it, a minute after it has changed.
class ControlPlane : public Machine {
public:
  ControlPlane() {
    cri.images = {"kubestrap.io/kubestrap:v1"};
    host.put("/etc/hosts", "127.0.0.1 localhost\n10.0.0.11 n1\n", 0644);
    api.servers = {"https://10.0.0.11:6444", "https://api.kubernetes.internal:6443"};
    adjust = [this](config::Setup& setup) {
      setup.cluster.kubestrap.layout = config::Layout::hosted;
      setup.cluster.kubestrap.endpointMode = config::EndpointMode::local;
      setup.cluster.controlPlaneEndpoint = config::Endpoint{"api.kubernetes.internal", 6443};
      setup.request.ownImage = "kubestrap.io/kubestrap:v1";
      setup.node.hostsFile = host.text("/etc/hosts");
      setup.node.hosting = host.read(paths::nodeState).value_or("");
    };
    init();
    api.shows = [this](const std::string&, int) { return host.text("/etc/kubernetes/pki/apiserver.crt"); };
    for (std::size_t i = 0; i < kCount; ++i)
      api.put(Value{{"apiVersion", "v1"}, {"kind", "Secret"}, {"metadata", {{"name", std::to_string(i)}, {"namespace", "team"}}}});
    seen_ = test::pivoted({"n1"});
    present_ = setup();
    for (auto& [name, component] : seen_.components) component.podTemplate = test::templateOf(name, present_, manifests::Slot::blue, 1);
    for (auto& [name, component] : seen_.components) component.proved = "1";
    seen_.stored = true;
    api.intercept = [this](const net::Request& request) { return answer(request); };
    clock.onSleep = [this] { load(); };
  }

  config::Setup present() const { return present_; }
  bool isDone() const { return seen_.stored; }
  kube::Client client() { return kube::Client(*http, kube::parseKubeconfig(host.text("/etc/kubernetes/admin.conf"), "admin.conf"), "https://10.0.0.11:6444"); }
  bool joinsWait() {
    auto asked = client();
    return cmd::joinsWait(asked);
  }

  /// What is wished from now on.
  void want(config::Setup wanted, bool rotates = false) {
    goingNames_.clear();
    for (const auto& name : present_.cluster.apiServerCertSANs)
      if (std::ranges::find(wanted.cluster.apiServerCertSANs, name) == wanted.cluster.apiServerCertSANs.end()) goingNames_.push_back(name);
    wanted_ = std::move(wanted);
    rotates_ = rotates;
    seen_.stored = rotates;
  }

  /// The driver, from its beginning.
  void drive() {
    storing_.clear();
    storedBy_.clear();
    rotated_ = false;
    pending_.reset();
    plan::World world{host, cri, *http, clock, entropy};
    plan::perform({.name = "reconfigure", .access = {paths::adminConf, "https://10.0.0.11:6444"}, .holder = "n1", .next = [this] { return next(); }}, world, listener);
    present_ = wanted_;
  }

  std::vector<std::string> steps; ///< that were begun
  std::optional<encryption::Keys> loaded() const { return loaded_; }
  /// By which key each object lies in etcd: "key2", or "" as it is.
  std::map<std::string, std::string> stored() const {
    std::map<std::string, std::string> all;
    for (const auto& [path, provider] : stored_) all[path] = provider.key;
    return all;
  }
  certs::X509Certificate certificate() { return certs::X509Certificate::parse(host.text("/etc/kubernetes/pki/apiserver.crt"), "apiserver.crt"); }

private:
  reconfigure::Intent intent() {
    reconfigure::Intent intent;
    intent.roll = {.setup = wanted_, .command = "reconfigure", .emulates = {}, .afterwards = {plan::Object{.document = Value{{"apiVersion", "v1"}, {"kind", "ConfigMap"}, {"metadata", {{"name", "stored"}, {"namespace", "kube-system"}}}}, .access = {paths::adminConf, "https://10.0.0.11:6444"}}}};
    intent.goingNames = goingNames_;
    intent.encryption = {.encryption = wanted_.cluster.kubestrap.encryption, .rotates = rotates_, .secret = Secret(base64(entropy.bytes(32)))};
    intent.nodes = {.access = intent.roll.setup.request.kubeconfig ? plan::Access{} : plan::Access{paths::adminConf, {}}, .image = "kubestrap"};
    return intent;
  }

  plan::Next next() {
    const auto wish = intent();
    if (pending_) seen_ = roll::assumed(wish.roll, std::move(seen_), *std::exchange(pending_, std::nullopt));
    if (!storing_.empty()) storedBy_ = std::exchange(storing_, {});
    load();
    plan::World world{host, cri, *http, clock, entropy};
    plan::Silent silent;
    reconfigure::Seen seen{.roll = seen_, .nodes = {cmd::lookAtFiles(wanted_, goingNames_, world, silent).node}, .keys = cmd::keysHere(wanted_.cluster, host), .storedBy = storedBy_};
    rotated_ = rotated_ || (seen.keys && encryption::rotates(*seen.keys));
    seen.rotated = rotated_;
    seen.joinsWait = joinsWait();
    auto coming = reconfigure::next(wish, {}, seen);
    if (const auto* step = std::get_if<plan::Step>(&coming)) {
      steps.push_back(step->name);
      if (reconfigure::storesAnew(*step)) storing_ = encryption::writer(*seen.keys);
      if (!step->name.starts_with("n1: ")) pending_ = coming;
    }
    return coming;
  }

  bool isFlagged() const {
    const auto& podTemplate = seen_.components.at(test::apiServer).podTemplate;
    return podTemplate.dump().find("--encryption-provider-config=") != std::string::npos;
  }

  /// As the API server does it by itself.
  void load() {
    const auto text = isFlagged() ? host.read(kKeys) : std::nullopt;
    loadedText_ = text.value_or("");
    loaded_ = text ? std::optional(encryption::parse(*text, kKeys)) : std::nullopt;
    for (const auto& [path, provider] : stored_) CHECK_MESSAGE(canRead(provider), path << " cannot be read any more");
  }

  bool canRead(const encryption::Provider& by) const {
    if (!by.encrypts()) return true;
    return loaded_ && std::ranges::any_of(loaded_->providers, [&](const auto& each) { return each.key == by.key && each.secret.reveal() == by.secret.reveal(); });
  }

  std::optional<net::Response> answer(const net::Request& request) {
    if (request.url.ends_with("/metrics"))
      return net::Response{200, {}, loaded_ ? "\napiserver_encryption_config_controller_last_config_info{apiserver_id_hash=\"a\",hash=\"sha256:" + sha256Hex(loadedText_) + "\"} 1\n" : "\n"};
    const auto path = request.url.find(kSecrets);
    if (request.method == "PATCH" && path != std::string::npos)
      stored_[request.url.substr(path + kSecrets.size())] = loaded_ ? loaded_->providers.front() : encryption::Provider{.name = "identity", .key = {}, .secret = {}};
    return std::nullopt;
  }

  config::Setup present_, wanted_;
  std::vector<std::string> goingNames_;
  bool rotates_ = false, rotated_ = false;
  roll::Seen seen_;
  std::optional<plan::Next> pending_;
  std::string storing_, storedBy_, loadedText_;
  std::optional<encryption::Keys> loaded_;
  std::map<std::string, encryption::Provider> stored_;
};

config::Setup named(config::Setup setup, std::vector<std::string> names) {
  setup.cluster.apiServerCertSANs = std::move(names);
  return setup;
}
config::Setup audited(config::Setup setup) {
  setup.cluster.kubestrap.audit = config::Audit{.policy = Value{{"apiVersion", "audit.k8s.io/v1"}, {"kind", "Policy"}, {"rules", Value::array()}}};
  return setup;
}
config::Setup encrypting(config::Setup setup, const std::string& provider = "secretbox") {
  setup.cluster.kubestrap.encryption = config::EncryptionAtRest{provider, {"secrets"}};
  return setup;
}

bool all(const ControlPlane& machine, const std::string& key) {
  const auto stored = machine.stored();
  return stored.size() == kCount && std::ranges::all_of(stored, [&](const auto& each) { return each.second == key; });
}

/// The driver is killed at its n-th effect on the way to what `wants` says, and run again.
template <class Wants, class Check> void killedAnywhere(std::size_t stride, Wants wants, Check check) {
  std::size_t effects = 0;
  {
    ControlPlane machine;
    wants(machine);
    effects = machine.effectsOf([&] { machine.drive(); });
    check(machine);
  }
  CHECK(effects > 3);
  for (std::size_t n = 1; n < effects; n += stride) {
    CAPTURE(n);
    ControlPlane machine;
    wants(machine);
    machine.host.stopAtEffect = machine.host.effects.size() + n;
    CHECK_THROWS_AS(machine.drive(), fakes::Killed);
    machine.host.stopAtEffect.reset();
    machine.drive();
    check(machine);
  }
}

void encrypt(ControlPlane& machine) {
  machine.want(encrypting(machine.present()));
  machine.drive();
}

config::Setup open(config::Setup setup) {
  setup.cluster.kubestrap.encryption.reset();
  return setup;
}

} // namespace

TEST_CASE("a name comes and goes with the driver killed anywhere, and another run has nothing to do") {
  killedAnywhere(
      1, [](ControlPlane& machine) { machine.want(named(machine.present(), {"api.example.org"})); },
      [](ControlPlane& machine) {
        CHECK(machine.certificate().coversNames({.dns = {"api.example.org"}, .ips = {}}));
        machine.want(named(machine.present(), {"other.example.org"}));
        machine.drive();
        CHECK_FALSE(machine.certificate().coversNames({.dns = {"api.example.org"}, .ips = {}}));
        CHECK(machine.certificate().coversNames({.dns = {"other.example.org"}, .ips = {}}));
        const auto steps = machine.steps.size();
        machine.drive();
        CHECK(machine.steps.size() == steps);
      });
}

TEST_CASE("the audit log's policy and folder are there before an API server is told of them, with the driver killed anywhere") {
  killedAnywhere(
      1, [](ControlPlane& machine) { machine.want(audited(machine.present())); },
      [](ControlPlane& machine) {
        CHECK(machine.host.files.contains(manifests::auditPolicyFile(*machine.present().cluster.kubestrap.audit).string()));
        CHECK(machine.host.status("/var/log/kubernetes/audit"));
        CHECK(machine.isDone());
        const auto told = [&](std::string_view part) { return std::ranges::find_if(machine.steps, [&](const auto& each) { return each.find(part) != std::string::npos; }); };
        CHECK(told("audit policy") < told("revision 2"));
      });
}

TEST_CASE("encryption comes with the driver killed anywhere, and every object can be read all the while") {
  killedAnywhere(
      1, [](ControlPlane& machine) { machine.want(encrypting(machine.present())); },
      [](ControlPlane& machine) {
        REQUIRE(machine.loaded());
        CHECK(machine.loaded()->providers.size() == 2);
        CHECK(all(machine, machine.loaded()->providers.front().key));
        CHECK(machine.loaded()->providers.front().encrypts());
        CHECK(machine.host.files.at(kKeys).mode == 0600);
        CHECK(machine.isDone());
      });
}

TEST_CASE("other commands wait where the cluster's configuration does not speak of the keys that are there, or of ones that are not") {
  ControlPlane machine;
  const auto before = machine.present().cluster;
  encrypt(machine);
  const auto after = machine.present().cluster;
  auto byHand = before;
  byHand.apiServer.extraArgs = {{"encryption-provider-config", kKeys}};
  CHECK_THROWS_AS(cmd::refuseWhileEncryptionMoves(before, machine.host, "an upgrade"), Error);
  CHECK_THROWS_AS(cmd::refuseLeftKeys(before, machine.host, "join"), Error);
  CHECK_NOTHROW(cmd::refuseWhileEncryptionMoves(after, machine.host, "an upgrade"));
  CHECK_NOTHROW(cmd::refuseWhileEncryptionMoves(byHand, machine.host, "an upgrade"));
  machine.host.put(kKeys, "kind: EncryptionConfiguration\nresources: [{resources: [secrets], providers: [{kms: {}}]}]\n");
  CHECK_THROWS_WITH_AS(cmd::refuseLeftKeys(before, machine.host, "join"), doctest::Contains("join has to wait"), Error);
  machine.host.put(kKeys, encryption::emit({.resources = {"secrets"}, .providers = {{.name = "identity", .key = {}, .secret = {}}}}));
  CHECK_NOTHROW(cmd::refuseWhileEncryptionMoves(before, machine.host, "an upgrade"));
  CHECK_THROWS_AS(cmd::refuseWhileEncryptionMoves(after, machine.host, "an upgrade"), Error); // the configuration has not followed yet
  machine.host.files.erase(kKeys);
  CHECK_NOTHROW(cmd::refuseWhileEncryptionMoves(before, machine.host, "an upgrade"));
  CHECK_NOTHROW(cmd::refuseLeftKeys(after, machine.host, "join")); // they come with the other shared files
  CHECK_THROWS_AS(cmd::refuseWhileEncryptionMoves(after, machine.host, "an upgrade"), Error);
}

TEST_CASE("a control plane that joins is refused from the first key until the configuration speaks of it, and while keys rotate, wherever the driver is killed") {
  for (const bool rotates : {false, true}) {
    const auto begin = [&](ControlPlane& machine) {
      if (rotates) encrypt(machine);
      machine.want(encrypting(machine.present()), rotates);
    };
    std::size_t effects = 0;
    {
      ControlPlane machine;
      begin(machine);
      CHECK_FALSE(machine.joinsWait());
      effects = machine.effectsOf([&] { machine.drive(); });
    }
    for (std::size_t n = 1; n < effects; n += 2) {
      CAPTURE(rotates);
      CAPTURE(n);
      ControlPlane machine;
      begin(machine);
      machine.host.stopAtEffect = machine.host.effects.size() + n;
      CHECK_THROWS_AS(machine.drive(), fakes::Killed);
      machine.host.stopAtEffect.reset();
      const auto keys = machine.host.read(kKeys);
      if (keys && (rotates ? encryption::rotates(encryption::parse(*keys, kKeys)) : !machine.isDone())) {
        auto asked = machine.client();
        CHECK_THROWS_WITH_AS(cmd::refuseWhileJoinsWait(asked), doctest::Contains("join has to wait"), Error);
      }
      machine.drive();
      auto asked = machine.client();
      CHECK_NOTHROW(cmd::refuseWhileJoinsWait(asked));
    }
  }
}

TEST_CASE("another key, and none, come with the driver killed anywhere") {
  killedAnywhere(
      2,
      [](ControlPlane& machine) {
        encrypt(machine);
        machine.want(encrypting(machine.present()), true);
      },
      [](ControlPlane& machine) {
        const auto keys = machine.loaded()->providers;
        REQUIRE(keys.size() == 2);
        CHECK(keys.front().key != "key1");
        CHECK(all(machine, keys.front().key));
        machine.want(open(machine.present()));
        machine.drive();
        CHECK_FALSE(machine.loaded());
        CHECK_FALSE(encryption::hasKey(encryption::parse(machine.host.text(kKeys), kKeys))); // the standby names it still
        CHECK_NOTHROW(cmd::refuseLeftKeys(machine.present().cluster, machine.host, "join"));
        CHECK(all(machine, ""));
      });
}

TEST_CASE("encryption goes with the driver killed anywhere") {
  killedAnywhere(
      2,
      [](ControlPlane& machine) {
        encrypt(machine);
        machine.want(open(machine.present()));
      },
      [](ControlPlane& machine) {
        CHECK_FALSE(machine.loaded());
        CHECK_FALSE(encryption::hasKey(encryption::parse(machine.host.text(kKeys), kKeys))); // the standby names it still
        CHECK_NOTHROW(cmd::refuseLeftKeys(machine.present().cluster, machine.host, "join"));
        CHECK(all(machine, ""));
        CHECK(machine.isDone());
      });
}

TEST_CASE("a cluster can begin with encryption and an audit log, and reset takes both away") {
  Machine machine;
  machine.adjust = [](config::Setup& setup) {
    setup = audited(encrypting(std::move(setup), "aesgcm"));
    setup.request.encryptionKey = Secret(base64(std::string(32, 'k')));
  };
  machine.init();
  const auto keys = encryption::parse(machine.host.text(kKeys), kKeys);
  CHECK(encryption::describe(keys) == "key1, identity");
  CHECK(keys.providers.front().name == "aesgcm");
  CHECK(machine.host.files.at(kKeys).mode == 0600);
  CHECK(machine.host.text("/etc/kubernetes/manifests/kube-apiserver.yaml").find("--encryption-provider-config=" + kKeys) != std::string::npos);
  const auto stored = machine.api.object("/api/v1/namespaces/kube-system/configmaps/kubestrap-config");
  REQUIRE(stored);
  CHECK(stored->dump().find(base64(std::string(32, 'k'))) == std::string::npos);
  CHECK((*stored)["data"].contains("AuditPolicy"));
  machine.adjust = [](config::Setup& setup) {
    setup = audited(encrypting(std::move(setup), "aesgcm"));
    setup.request.encryptionKey = Secret(base64(std::string(32, 'z'))); // another run has made up another one
  };
  CHECK(changesOf(machine.plan()) == Lines{});
  machine.reset();
  CHECK_FALSE(machine.host.files.contains(kKeys));
  CHECK(machine.host.list("/etc/kubernetes/audit").empty());
  CHECK_FALSE(machine.host.status("/var/log/kubernetes/audit"));
}
