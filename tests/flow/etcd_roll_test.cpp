// Another version of etcd on one node: a second member beside the first, which makes room, and back again.
#include "tests/fakes/fake_etcd.hpp"
#include "tests/flow/machine.hpp"
#include "tests/lines.hpp"

#include "config/paths.hpp"
#include "phases/etcd_roll.hpp"
#include "plan/operation.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <map>

using namespace kubestrap;
using namespace kubestrap::flow;

namespace {

const std::string kFirst = "https://10.0.0.11:2380", kSecond = "https://10.0.0.11:2382";

/// A member of etcd that the kubelet runs for as long as its manifest is there.
struct Place {
  std::string name, pod, manifest, clientUrl;
};
const std::map<std::string, Place> kPlaces{{kFirst, {"n1", "etcd-n1", "/etc/kubernetes/manifests/etcd.yaml", "https://10.0.0.11:2379"}},
                                           {kSecond, {"n1-second", "etcd-second-n1", "/etc/kubernetes/manifests/etcd-second.yaml", "https://10.0.0.11:2383"}}};

/// A control plane whose etcd is old. A member that begins tells its name and address at once, and serves clients a while later.
class Node : public Machine {
public:
  Node() {
    init();
    api.reachable = [](const net::Request&) { return true; }; // it knows both places of etcd
    clock.onSleep = [this] { work(); };
    etcd.members = {{.id = 1, .name = "n1", .peerUrl = kFirst, .clientUrl = kPlaces.at(kFirst).clientUrl}};
    versions = {{kFirst, "3.6.8"}};
    showPod(kPlaces.at(kFirst));
    host.onRun = [this](const host::Command& command) -> host::CommandResult {
      if (command.program != "ss") return {.exitCode = 1};
      const auto& place = kPlaces.at(command.arguments.back() == "127.0.0.1:2383" ? kSecond : kFirst);
      const auto member = std::ranges::find(etcd.members, place.name, &fakes::FakeEtcd::Member::name);
      if (member == etcd.members.end() || host.now < knownFrom_[member->peerUrl]) return {};
      return {.exitCode = 0, .output = "0 0 127.0.0.1:40000 127.0.0.1:2379 users:((\"kube-apiserver\",pid=1,fd=8))\n"
                                       "0 0 127.0.0.1:40001 127.0.0.1:2379 users:((\"etcd-exporter\",pid=2,fd=8))\n"};
    };
    etcd.onChange = [this](const std::string& change) {
      std::string away;
      for (const auto& member : etcd.members)
        if (member.silent) away = " while " + member.name + " serves nobody";
        else if (host.now < knownFrom_[member.peerUrl]) away = " while nobody is connected to " + member.name;
      changes.push_back(change + away);
    };
  }

  fakes::FakeEtcd etcd{api};
  Lines changes; ///< of etcd
  std::map<std::string, std::string> versions;
  std::uint32_t hashOfSecond = 0; ///< of its data
  int compacting = 0;
  std::string unheard; ///< peer URL of a member whom the others do not hear
  Duration silence = std::chrono::seconds(7), backoff{}; ///< of a member that begins, and of API servers that come back to it
  bool hasRuntime = false;   ///< which tells of members' containers: "etcd-n1 1" is the first one of that pod, and one that is begun anew serves at once
  unsigned firstAttempt = 0; ///< of a container whose pod was made

  using StepOf = std::optional<plan::Step> (*)(const config::Setup&, const std::vector<phases::EtcdMemberSeen>&);
  void roll(StepOf stepOf = phases::rollEtcd) {
    plan::World world{host, cri, etcd, clock, entropy};
    const auto wanted = setup();
    const auto next = [&]() -> plan::Next {
      std::vector<phases::EtcdMemberSeen> seen;
      for (const auto& member : etcd.members) seen.push_back({.name = member.name, .peerUrl = member.peerUrl, .version = versions[member.peerUrl], .learner = member.learner, .leads = member.id == etcd.leader});
      if (auto step = stepOf(wanted, seen)) return *std::move(step);
      return plan::Done{};
    };
    plan::perform({.name = "example", .access = {config::paths::adminConf, "https://10.0.0.11:6443"}, .holder = "n1", .next = next}, world, listener);
  }

private:
  void showPod(const Place& place) {
    api.put({{"apiVersion", "v1"}, {"kind", "Pod"}, {"metadata", {{"name", place.pod}, {"namespace", "kube-system"},
             {"labels", {{"component", "etcd"}, {"tier", "control-plane"}}},
             {"annotations", {{"kubeadm.kubernetes.io/etcd.advertise-client-urls", place.clientUrl}}}}}, {"spec", {{"nodeName", "n1"}}}});
  }

  bool runs(const std::string& pod) const {
    return std::ranges::any_of(cri.found, [&](const auto& each) { return each.podName == pod && each.state == host::Container::State::running; });
  }
  void begin(const std::string& pod, unsigned attempt) {
    cri.found.push_back({.id = fmt::format("{} {}", pod, ++begun_[pod]), .podName = pod, .podNamespace = "kube-system", .name = "etcd", .state = host::Container::State::running,
                         .attempt = attempt, .createdAt = host.now});
  }

  /// The kubelet's and etcd's.
  void work() {
    if (hasRuntime && begun_.empty()) begin("etcd-n1", 0);
    for (const auto& [peerUrl, place] : kPlaces) {
      if (host.files.contains(place.manifest)) gone_.erase(peerUrl);
      else if (host.now - gone_.try_emplace(peerUrl, host.now).first->second >= std::chrono::seconds(2)) api.remove("/api/v1/namespaces/kube-system/pods/" + place.pod);
    }
    for (auto& member : etcd.members) {
      const auto& place = kPlaces.at(member.peerUrl);
      if (!host.files.contains(place.manifest) || unheard == member.peerUrl) continue;
      if (member.name.empty()) {
        member.name = place.name, member.clientUrl = place.clientUrl, member.silent = true;
        versions[member.peerUrl] = "3.7.0";
        if (member.peerUrl == kSecond) member.hash = hashOfSecond, member.compacting = compacting;
        began_[member.peerUrl] = host.now;
        knownFrom_[member.peerUrl] = host.now + backoff;
        showPod(place);
        if (hasRuntime) begin(place.pod, firstAttempt);
      } else if (hasRuntime && !runs(place.pod)) {
        begin(place.pod, firstAttempt + 1);
        member.silent = false;
      }
      if (member.silent && host.now - began_[member.peerUrl] >= silence) member.silent = false;
    }
  }
  std::map<std::string, TimePoint> began_, knownFrom_, gone_;
  std::map<std::string, int> begun_; ///< containers by pod
};

} // namespace

TEST_CASE("a member makes room only for one that serves clients: one that does not for long votes by then, and does not lead yet") {
  Node node;
  node.silence = std::chrono::seconds(10);
  node.roll();
  CHECK(node.changes == Lines{"add " + kSecond, "promote " + kSecond + " while n1-second serves nobody", "lead " + kSecond, "remove " + kFirst,
                              "add " + kFirst, "promote " + kFirst + " while n1 serves nobody", "lead " + kFirst, "remove " + kSecond});
  CHECK(node.etcd.members.size() == 1);
  CHECK(node.host.files.contains(kPlaces.at(kFirst).manifest));
  CHECK_FALSE(node.host.files.contains(kPlaces.at(kSecond).manifest));
}

TEST_CASE("a learner that waits for its own announcement is begun anew once, beside the member that serves, and in its own place again") {
  Node node;
  node.hasRuntime = true;
  node.cri.effects.clear();
  SUBCASE("which the kubelet does at once") {
    node.roll();
    CHECK(node.cri.effects == Lines{"stop container etcd-second-n1 1", "stop container etcd-n1 1", "stop container etcd-n1 2", "stop container etcd-second-n1 2"});
  }
  SUBCASE("but one that has begun anew already would be let wait by the kubelet for longer than it waits by itself") {
    node.firstAttempt = 1;
    node.roll();
    CHECK(node.cri.effects == Lines{"stop container etcd-n1 1", "stop container etcd-second-n1 1"});
  }
  CHECK(node.changes == Lines{"add " + kSecond, "promote " + kSecond, "lead " + kSecond, "remove " + kFirst, "add " + kFirst, "promote " + kFirst, "lead " + kFirst, "remove " + kSecond});
}

TEST_CASE("a learner that has served is not begun anew: the answer to its promotion may have been lost") {
  Node node;
  node.hasRuntime = true;
  node.silence = Duration::zero();
  node.etcd.onChange = [&, before = node.etcd.onChange](const std::string& change) {
    before(change);
    if (change != "promote " + kSecond || node.silence > Duration::zero()) return;
    node.silence = std::chrono::seconds(3);
    node.etcd.members[1].silent = true;
    throw net::TransportError(net::TransportError::Kind::other, "the answer was lost");
  };
  node.cri.effects.clear();
  node.roll(phases::etcdBeside);
  CHECK(node.cri.effects == Lines{});
  CHECK(node.changes == Lines{"add " + kSecond, "promote " + kSecond, "promote " + kSecond + " while n1-second serves nobody"});
}

TEST_CASE("the only member gets one beside it, which serves clients before anybody is told of it, and goes again") {
  Node node;
  node.silence = std::chrono::seconds(10);
  node.roll(phases::etcdBeside);
  CHECK(node.changes == Lines{"add " + kSecond, "promote " + kSecond + " while n1-second serves nobody"});
  REQUIRE(node.etcd.members.size() == 2);
  CHECK_FALSE(node.etcd.members[1].silent);
  SUBCASE("and makes room for it") {
    node.roll();
    CHECK(node.changes.at(2) == "lead " + kSecond);
    CHECK(node.etcd.members.size() == 1);
    CHECK(node.etcd.members.front().peerUrl == kFirst);
  }
  SUBCASE("which leads") { node.etcd.leader = node.etcd.members[1].id; }
  SUBCASE("which follows") {}
  node.roll(phases::etcdBesideGone);
  CHECK(node.etcd.members.size() == 1);
  CHECK(node.etcd.leader == node.etcd.members.front().id);
  CHECK(node.etcd.members.front().peerUrl == kFirst);
  CHECK(node.host.files.contains(kPlaces.at(kFirst).manifest));
  CHECK_FALSE(node.host.files.contains(kPlaces.at(kSecond).manifest));
}

TEST_CASE("the own place is taken again when the kubelet is through with the pod that was there: until then another of its name would wait") {
  Node node;
  bool isThere = true;
  node.etcd.onChange = [&](const std::string& change) {
    if (change == "add " + kFirst) isThere = node.api.object("/api/v1/namespaces/kube-system/pods/etcd-n1").has_value();
  };
  node.roll();
  CHECK_FALSE(isThere);
  CHECK(std::ranges::any_of(node.listener.waits, [](const auto& wait) { return wait.find("the kubelet is not through with it") != std::string::npos; }));
}

TEST_CASE("a member that has left is ended at once, before the kubelet does it: it would answer, and refuse all") {
  Node node;
  node.silence = Duration::zero();
  for (const auto* pod : {"etcd-n1", "etcd-second-n1"})
    node.cri.found.push_back({.id = pod, .podName = pod, .podNamespace = "kube-system", .name = "etcd", .state = host::Container::State::running, .createdAt = node.host.now});
  Lines seen;
  node.etcd.onChange = [&, before = node.etcd.onChange](const std::string& change) {
    before(change);
    if (change.starts_with("remove")) seen.push_back(join(node.cri.effects, ", "));
  };
  node.cri.effects.clear();
  node.roll();
  CHECK(seen == Lines{"", "stop container etcd-n1"});
  CHECK(node.cri.effects == Lines{"stop container etcd-n1", "stop container etcd-second-n1"});
}

TEST_CASE("a member makes room only when every API server is connected to the other: a client comes back to an address by and by") {
  Node node;
  node.backoff = std::chrono::seconds(100);
  node.roll();
  for (const auto& change : node.changes)
    if (change.starts_with("lead") || change.starts_with("remove")) CHECK(change.find("while") == std::string::npos);
  CHECK(std::ranges::any_of(node.listener.waits, [](const auto& wait) { return wait.find("kube-apiserver has 0 connections there, and 1 to 127.0.0.1:2379") != std::string::npos; }));
  CHECK(node.etcd.members.size() == 1);
}

TEST_CASE("a member makes no room for one that has other data") {
  Node node;
  node.hashOfSecond = 7;
  std::string said;
  try {
    node.roll();
  } catch (const Error& error) {
    said = error.message();
  }
  CHECK(said == "etcd member n1-second has other data than n1, in whose place it was to come: at revision 0 their hashes are 00000007 and 00000000");
  CHECK(node.changes == Lines{"add " + kSecond, "promote " + kSecond});
  CHECK(node.etcd.leader == 1);
  node.etcd.members[1].hash = 0;
  node.roll();
  CHECK(node.etcd.members.size() == 1);
}

TEST_CASE("data of members are compared once both are compacted to the same revision") {
  Node node;
  node.compacting = 3;
  node.roll();
  CHECK(std::ranges::any_of(node.listener.waits, [](const auto& wait) { return wait.find("it is compacted to revision 3, and n1 to 0") != std::string::npos; }));
  CHECK(node.etcd.members.size() == 1);
}

TEST_CASE("of a member that the others do not hear the ports that it has are named") {
  Node node;
  node.unheard = kSecond;
  node.cri.found.push_back({.id = "second", .podName = "etcd-second-n1", .podNamespace = "kube-system", .name = "etcd", .state = host::Container::State::running, .createdAt = node.host.now});
  std::string hint;
  try {
    node.roll();
  } catch (const Error& error) {
    CHECK(error.message().find("they cannot reach " + kSecond) != std::string::npos);
    hint = error.hint();
  }
  CHECK(hint == "let ports 2382 and 2383 through the firewalls between control planes, in both directions");
}
