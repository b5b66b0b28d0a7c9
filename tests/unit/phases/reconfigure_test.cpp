#include "phases/reconfigure.hpp"

#include "manifests/flags.hpp"
#include "manifests/security.hpp"
#include "support/encoding.hpp"
#include "tests/unit/phases/pivoted.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace kubestrap;
using namespace kubestrap::phases::reconfigure;
using namespace kubestrap::test;
namespace encryption = kubestrap::phases::encryption;
namespace roll = kubestrap::phases::roll;

namespace {

using Lines = std::vector<std::string>;

Intent to(config::Setup setup) {
  Intent intent;
  intent.encryption = {.encryption = setup.cluster.kubestrap.encryption, .rotates = false, .secret = Secret(base64(std::string(32, 'n')))};
  intent.roll = {.setup = std::move(setup), .command = "reconfigure", .emulates = {},
                 .afterwards = {plan::Object{.document = Value::object({{"kind", "ConfigMap"}, {"metadata", Value::object({{"name", "kubeadm-config"}})}})}}};
  intent.nodes = {.access = {}, .image = "kubestrap.io/kubestrap:v0"};
  return intent;
}

Seen seenOf(std::initializer_list<std::string> names, bool settled = true) {
  Seen seen{.roll = pivoted(names), .nodes = {}, .keys = {}, .storedBy = {}};
  for (const auto& name : names) seen.nodes.push_back({.name = name, .settled = settled});
  for (auto& [component, each] : seen.roll.components) each.proved = "1"; // leaders have shown what they do
  return seen;
}

Lines steps(const Intent& intent, Seen& seen, std::size_t most = 80) {
  Lines done;
  while (done.size() < most) {
    const auto coming = phases::reconfigure::next(intent, {}, seen);
    if (std::holds_alternative<plan::Done>(coming)) return done;
    REQUIRE(std::holds_alternative<plan::Step>(coming));
    done.push_back(std::get<plan::Step>(coming).name);
    seen = assumed(intent, std::move(seen), coming);
  }
  return done;
}

config::Setup encrypting() {
  auto setup = at("v1.36.3");
  setup.cluster.kubestrap.encryption = config::EncryptionAtRest{"secretbox", {"secrets"}};
  return setup;
}

const std::string flag = "encryption-provider-config";

std::string flagOf(const Seen& seen, const std::string& name) {
  return manifests::flagOf(seen.roll.components.at(apiServer).podTemplate.at("spec").at("containers").at(0).at("command").get<Lines>(), name);
}

} // namespace

TEST_CASE("other names come node by node, without a roll, and the configuration follows last") {
  auto setup = at("v1.36.3");
  setup.cluster.apiServerCertSANs = {"api.example.org"};
  auto seen = seenOf({"n1", "n2", "n3"}, false);
  const auto intent = to(setup);
  CHECK(steps(intent, seen) == Lines{"n1: certificate and audit policy as they shall be", "n2: certificate and audit policy as they shall be",
                                     "n3: certificate and audit policy as they shall be", "addons and the cluster's configuration"});
  CHECK(steps(intent, seen).empty());
}

TEST_CASE("this machine's files are written by the driver, others' by a pod there") {
  auto setup = at("v1.36.3");
  setup.cluster.apiServerCertSANs = {"api.example.org"};
  auto seen = seenOf({"n1", "n2"}, false);
  auto intent = to(setup);
  intent.goingNames = {"old.example.org", "10.9.9.9", "n1"};
  auto coming = phases::reconfigure::next(intent, {}, seen);
  const auto& certificate = std::get<plan::Certificate>(std::get<plan::Step>(coming).work.front()).spec;
  CHECK(std::ranges::find(certificate.names.dns, "api.example.org") != certificate.names.dns.end());
  CHECK(certificate.unwanted.dns == Lines{"old.example.org"}); // the node's own name is needed all the same
  REQUIRE(certificate.unwanted.ips.size() == 1);
  seen = assumed(intent, std::move(seen), coming);
  coming = phases::reconfigure::next(intent, {}, seen);
  const auto& step = std::get<plan::Step>(coming);
  CHECK(step.name == "n2: certificate and audit policy as they shall be");
  const auto& task = std::get<plan::RunOnNode>(std::get<plan::Task>(step.work.front()));
  const auto text = task.pod.dump();
  CHECK(text.find("old.example.org") != std::string::npos);
  CHECK(stringAt(task.pod, "spec.nodeName") == "n2");
}

TEST_CASE("the audit log's policy is on every node before an API server is told its name") {
  auto setup = at("v1.36.3");
  setup.cluster.kubestrap.audit = config::Audit{.policy = Value::object({{"apiVersion", "audit.k8s.io/v1"}, {"kind", "Policy"}, {"rules", Value::array()}})};
  auto seen = seenOf({"n1", "n2"}, false);
  const auto intent = to(setup);
  CHECK(steps(intent, seen) == Lines{"every node tries the new command lines", "n1: certificate and audit policy as they shall be", "n2: certificate and audit policy as they shall be",
                                     "kube-apiserver v1.36.3: revision 2, in slot green", "what tried things out is removed", "addons and the cluster's configuration"});
  CHECK(flagOf(seen, "audit-policy-file") == manifests::auditPolicyFile(*setup.cluster.kubestrap.audit).string());
  CHECK(flagOf(seen, "audit-log-maxsize") == "100");
}

TEST_CASE("encryption: known, told to API servers, used, and everything written anew before the configuration says so") {
  auto seen = seenOf({"n1", "n2"});
  const auto intent = to(encrypting());
  CHECK(steps(intent, seen) == Lines{"every node tries the new command lines", "n1: knows the keys identity, key1", "n2: knows the keys identity, key1",
                                     "kube-apiserver v1.36.3: revision 2, in slot green", "what tried things out is removed", "n1: knows the keys key1, identity",
                                     "n2: knows the keys key1, identity", "n1: goes by the keys key1, identity", "n2: goes by the keys key1, identity",
                                     "every object is written anew: secrets", "addons and the cluster's configuration", "control planes may join again"});
  CHECK(steps(intent, seen).empty());
  CHECK(flagOf(seen, flag) == "/etc/kubernetes/pki/encryption.yaml");

  auto rotating = intent;
  rotating.encryption.rotates = true;
  CHECK(steps(rotating, seen) == Lines{"n1: knows the keys key1, key2, identity", "n2: knows the keys key1, key2, identity", "n1: goes by the keys key1, key2, identity",
                                       "n2: goes by the keys key1, key2, identity", "n1: knows the keys key2, key1, identity", "n2: knows the keys key2, key1, identity",
                                       "n1: goes by the keys key2, key1, identity", "n2: goes by the keys key2, key1, identity", "every object is written anew: secrets",
                                       "n1: knows the keys key2, identity", "n2: knows the keys key2, identity", "n1: goes by the keys key2, identity", "n2: goes by the keys key2, identity",
                                       "control planes may join again"});

  seen.roll.stored = false;
  const auto off = to(at("v1.36.3"));
  const auto done = steps(off, seen);
  CHECK(done == Lines{"every node tries the new command lines", "n1: knows the keys identity, key2", "n2: knows the keys identity, key2", "n1: goes by the keys identity, key2",
                      "n2: goes by the keys identity, key2", "every object is written anew: secrets", "kube-apiserver v1.36.3: revision 3, in slot blue",
                      "what tried things out is removed", "n1: forgets the keys", "n2: forgets the keys", "addons and the cluster's configuration",
                      "control planes may join again"});
  CHECK(flagOf(seen, flag).empty());
}

TEST_CASE("keys go to another node sealed, and never in the words of a pod") {
  auto seen = seenOf({"n1", "n2"});
  seen.nodes[1].receiver = "its certificate";
  seen.uploadedCerts = true;
  const auto intent = to(encrypting());
  std::vector<plan::Step> made;
  for (int i = 0; i < 3; ++i) {
    const auto coming = phases::reconfigure::next(intent, {}, seen);
    made.push_back(std::get<plan::Step>(coming));
    seen = assumed(intent, std::move(seen), coming);
  }
  const auto& own = made[1].work;
  const auto& refused = std::get<plan::Object>(own.front()); // before there is a key of which the configuration does not speak
  CHECK(refused.mode == plan::ApplyMode::mark);
  CHECK(stringAt(refused.document, "metadata.name") == "kubestrap-config");
  CHECK(std::get<plan::File>(own[1]).mode == 0600);
  CHECK(std::get<plan::File>(own[1]).secrecy == plan::Secrecy::secret);
  CHECK(stringAt(std::get<plan::Object>(own.back()).document, "metadata.name") == "kubeadm-certs"); // outdated for who joins
  const auto& others = made[2].work;
  REQUIRE(others.size() == 3);
  const auto& sealed = std::get<plan::Object>(others.front());
  CHECK(stringAt(sealed.document, "data.keys").empty());
  CHECK(std::get<plan::FileFor>(sealed.fills.front().with).certificate == "its certificate");
  CHECK(std::get<plan::Object>(others.back()).mode == plan::ApplyMode::absent);
  CHECK(std::get<plan::RunOnNode>(std::get<plan::Task>(others[1])).pod.dump().find(seen.keys->providers.back().secret.reveal()) == std::string::npos);
}

TEST_CASE("a Secret with keys that was left by a run which was killed goes once its node has them") {
  auto seen = seenOf({"n1", "n2"});
  const auto intent = to(encrypting());
  steps(intent, seen, 2);
  seen.carriers = {"n2"};
  const auto gives = phases::reconfigure::next(intent, {}, seen);
  CHECK(std::get<plan::Step>(gives).name == "n2: knows the keys identity, key1");
  seen = assumed(intent, std::move(seen), gives);
  const auto removes = std::get<plan::Step>(phases::reconfigure::next(intent, {}, seen));
  REQUIRE(removes.work.size() == 1);
  CHECK(std::get<plan::Object>(removes.work.front()).mode == plan::ApplyMode::absent);
  CHECK(stringAt(std::get<plan::Object>(removes.work.front()).document, "metadata.name") == "kubestrap-keys-n2");
  CHECK(steps(intent, seen).front() == removes.name);
}

TEST_CASE("whatever the driver was at when it was killed, another one comes to the same end") {
  for (const auto* from : {"n1", "n2"}) {
    auto whole = seenOf({"n1", "n2"});
    const auto intent = to(encrypting());
    const auto count = steps(intent, whole).size();
    for (std::size_t killed = 0; killed <= count; ++killed) {
      CAPTURE(from);
      CAPTURE(killed);
      auto seen = seenOf({"n1", "n2"});
      steps(intent, seen, killed);
      seen.storedBy.clear(); // what only the driver knew
      seen.rotated = false;
      auto other = intent;
      other.roll.setup.node.name = from;
      other.encryption.secret = Secret(base64(std::string(32, 'o')));
      if (from == std::string("n2")) {
        std::ranges::reverse(seen.nodes);
        if (seen.nodes.front().keysDigest.empty()) seen.keys.reset(); // it has not reached that node
        else if (seen.nodes.front().keysDigest != seen.nodes.back().keysDigest) continue; // its own file is looked at on the real machine
      }
      steps(other, seen);
      CHECK(seen.roll.stored);
      REQUIRE(seen.keys);
      CHECK(encryption::describe(*seen.keys) == "key1, identity");
      for (const auto& node : seen.nodes) CHECK(node.keysDigest == encryption::digest(*seen.keys));
    }
  }
}

TEST_CASE("whoever goes back from encryption that has not come to its end asks every node for its keys") {
  auto seen = seenOf({"n1", "n2"});
  CHECK_FALSE(hasKeys(to(encrypting()), seen));
  const auto coming = steps(to(encrypting()), seen, 6);
  REQUIRE(coming.back() == "n1: knows the keys key1, identity");
  CHECK(hasKeys(to(encrypting()), seen));
  const auto off = to(at("v1.36.3"));
  auto alone = seen;
  alone.nodes.pop_back();
  const auto stuck = phases::reconfigure::next(off, {}, assumed(off, alone, phases::reconfigure::next(off, {}, alone)));
  REQUIRE(std::holds_alternative<plan::Stuck>(stuck));
  CHECK(std::get<plan::Stuck>(stuck).cause == "it is not known by which keys n2 encrypts");
  const auto done = steps(off, seen);
  CHECK(std::ranges::find(done, "n2: goes by the keys identity, key1") != done.end());
  CHECK(std::ranges::find(done, "n2: forgets the keys") != done.end());
}

TEST_CASE("without its own file a machine does not go on where API servers encrypt by it") {
  auto seen = seenOf({"n1"});
  seen.roll.components.at(apiServer).podTemplate = templateOf(apiServer, encrypting(), manifests::Slot::blue, 1);
  const auto coming = phases::reconfigure::next(to(encrypting()), {}, seen);
  REQUIRE(std::holds_alternative<plan::Stuck>(coming));
  CHECK(std::get<plan::Stuck>(coming).cause.find("encryption.yaml on this machine has no key") != std::string::npos);
}

TEST_CASE("a file that lacks the key by which another node encrypts is not brought to it") {
  auto seen = seenOf({"n1", "n2"});
  steps(to(encrypting()), seen);
  auto rotating = to(encrypting());
  rotating.encryption.rotates = true;
  const auto stale = seen;
  steps(rotating, seen);
  CHECK(seen.nodes[1].writingKey == encryption::writingKey(*seen.keys));
  CHECK(steps(to(encrypting()), seen).empty());
  seen.keys = stale.keys; // this machine slept through the rotation
  seen.nodes[0] = stale.nodes[0];
  for (const auto& intent : {to(encrypting()), to(at("v1.36.3")), rotating}) {
    auto here = seen;
    here.roll.stored = false;
    const auto coming = phases::reconfigure::next(intent, {}, assumed(intent, here, phases::reconfigure::next(intent, {}, here)));
    REQUIRE(std::holds_alternative<plan::Stuck>(coming));
    CHECK(std::get<plan::Stuck>(coming).cause.starts_with("n2 encrypts by a key that /etc/kubernetes/pki/encryption.yaml on this machine does not have"));
  }
}

TEST_CASE("keys that encrypt are not forgotten where API servers have lost the flag, and come back with it") {
  auto seen = seenOf({"n1", "n2"});
  steps(to(encrypting()), seen);
  seen.roll.components.at(apiServer).podTemplate = templateOf(apiServer, at("v1.36.3"), manifests::Slot::blue, 3);
  seen.roll.stored = false;
  const auto stuck = phases::reconfigure::next(to(at("v1.36.3")), {}, seen);
  REQUIRE(std::holds_alternative<plan::Stuck>(stuck));
  CHECK(std::get<plan::Stuck>(stuck).cause.find("encryption.yaml encrypts, and API servers are not told of it") != std::string::npos);
  const auto keys = encryption::digest(*seen.keys);
  seen.storedBy.clear();
  CHECK(steps(to(encrypting()), seen) == Lines{"every node tries the new command lines", "kube-apiserver v1.36.3: revision 4, in slot green", "what tried things out is removed",
                                               "every object is written anew: secrets", "addons and the cluster's configuration"});
  CHECK(encryption::digest(*seen.keys) == keys);
}

TEST_CASE("an API server does not go back to a revision that cannot read what lies encrypted, or whose file of keys is gone") {
  const auto back = [](const Intent& intent, const Seen& seen) {
    const roll::Failure failure{apiServer, "it has ended 2 times", seen.roll.components.at(apiServer).before};
    return phases::reconfigure::next(intent, failure, seen);
  };
  auto seen = seenOf({"n1", "n2"});
  const auto on = to(encrypting());
  steps(on, seen, 5); // they are told the file, and encrypt nothing yet
  CHECK(std::get<plan::Step>(back(on, seen)).name == "kube-apiserver: back to revision 1");
  steps(on, seen, 2);
  REQUIRE(std::holds_alternative<plan::Stuck>(back(on, seen)));
  CHECK(std::get<plan::Stuck>(back(on, seen)).cause == "it has ended 2 times; and it does not go back to the revision before, which could not read what n1 has encrypted");
  seen.nodes[0].writingKey.clear(); // this machine's file is an older one
  CHECK(std::get<plan::Stuck>(back(on, seen)).cause.find("n2 has encrypted") != std::string::npos);

  auto gone = seenOf({"n1", "n2"});
  steps(on, gone);
  gone.roll.stored = false;
  const auto off = to(at("v1.36.3"));
  const auto done = steps(off, gone);
  REQUIRE(flagOf(gone, flag).empty());
  CHECK(std::get<plan::Stuck>(back(off, gone)).cause.find("whose keys are absent on n1") != std::string::npos);
}

TEST_CASE("other resources wait until those that are encrypted are not any more, though nothing was stored of it yet") {
  auto seen = seenOf({"n1"});
  auto other = encrypting();
  other.cluster.kubestrap.encryption->resources = {"configmaps"};
  steps(to(encrypting()), seen, 2); // no API server is told the file yet: it may be another one
  auto early = seen;
  steps(to(other), early);
  CHECK(early.keys->resources == Lines{"configmaps"});
  steps(to(encrypting()), seen, 4);
  const auto stuck = phases::reconfigure::next(to(other), {}, seen);
  REQUIRE(std::holds_alternative<plan::Stuck>(stuck));
  CHECK(std::get<plan::Stuck>(stuck).cause == "secrets are encrypted, and configmaps are wished");
}

TEST_CASE("keys that arguments speak of are left alone") {
  auto setup = at("v1.36.3");
  setup.cluster.apiServer.extraArgs = {{"encryption-provider-config", "/etc/kubernetes/own.yaml"}};
  auto seen = seenOf({"n1"});
  seen.roll.components.at(apiServer).podTemplate = templateOf(apiServer, setup, manifests::Slot::blue, 1);
  CHECK_FALSE(hasKeys(to(setup), seen)); // what patches say is not kubestrap's, either
  setup.cluster.scheduler.extraArgs = {{"v", "4"}};
  auto intent = to(setup);
  for (const bool byHand : {true, false}) {
    intent.keysByHand = byHand;
    auto now = seen;
    const auto done = steps(intent, now);
    CHECK(done.back() == "addons and the cluster's configuration");
    CHECK(std::ranges::none_of(done, [](const auto& each) { return each.find("keys") != std::string::npos; }));
  }
  const auto ours = to(at("v1.36.3"));
  setup.cluster.apiServer.extraArgs = {{"encryption-provider-config", "/etc/kubernetes/pki/encryption.yaml"}};
  seen.roll.components.at(apiServer).podTemplate = templateOf(apiServer, setup, manifests::Slot::blue, 1);
  CHECK(std::holds_alternative<plan::Stuck>(phases::reconfigure::next(ours, {}, assumed(ours, seen, phases::reconfigure::next(ours, {}, seen)))));
  intent = to(setup);
  intent.keysByHand = true;
  CHECK_FALSE(steps(intent, seen).empty());
}

TEST_CASE("a command line that does not begin is found before a file is touched") {
  auto setup = at("v1.36.3");
  setup.cluster.scheduler.extraArgs = {{"no-such-flag", "1"}};
  setup.cluster.apiServerCertSANs = {"api.example.org"};
  auto seen = seenOf({"n1"}, false);
  const auto intent = to(setup);
  seen = assumed(intent, std::move(seen), phases::reconfigure::next(intent, {}, seen));
  seen.roll.rehearsals.front().phase = "Failed";
  seen.roll.rehearsals.front().trouble = "unknown flag";
  const auto failure = roll::failureIn(intent.roll, seen.roll);
  REQUIRE(failure);
  CHECK(std::get<plan::Step>(phases::reconfigure::next(intent, failure, seen)).name == "what tried things out is removed");
}
