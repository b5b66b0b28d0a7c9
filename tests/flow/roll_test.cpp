// A roll of a control plane that runs in its own cluster, to a new minor version, as the real look sees it: its driver is killed before and after each of its
// writes, and then it is run again, or taken back, or nobody does anything. All the while every component serves on every node, in one version or the other.
#include "tests/flow/own_cluster.hpp"

#include "cmd/own_cluster.hpp"
#include "cmd/roll_look.hpp"
#include "cmd/status_look.hpp"
#include "manifests/components.hpp"
#include "manifests/guard.hpp"
#include "phases/node.hpp"
#include "phases/roll.hpp"
#include "plan/operation.hpp"

#include <doctest/doctest.h>

#include <fmt/format.h>

using namespace kubestrap;
using namespace kubestrap::flow;
namespace roll = kubestrap::phases::roll;

namespace {

const std::string kOld = "v1.36.3", kNew = "v1.37.2", kApiServer = "kube-apiserver";
const std::string kCopy = "/etc/kubernetes/kubestrap/cluster.yaml";
const std::string kPlan = "/api/v1/namespaces/kube-system/configmaps/kubestrap-plan";

std::string said(const std::function<void()>& body) {
  try {
    body();
    return "";
  } catch (const Error& error) {
    return error.message();
  }
}

/// As cmd/roll.cpp's VersionRoll, which needs a real machine. etcd keeps its version, as with --etcd-upgrade=false.
struct VersionRoll {
  OwnCluster& cluster;
  kube::Client client = cluster.client();
  config::Cluster present = *cmd::storedCluster(client);
  roll::Intent intent = {};

  VersionRoll(OwnCluster& rolled, const Version& version) : cluster(rolled) {
    intent = {.setup = cluster.setup(), .command = "upgrade", .emulates = {}, .soak = std::chrono::seconds(20), .afterwards = {}};
    intent.setup.cluster = *cmd::storedCluster(client, version);
    if (version.minor > present.version.minor) intent.emulates = fmt::format("{}.{}", present.version.major, present.version.minor);
    intent.afterwards = roll::afterwards(intent.setup);
  }

  roll::Seen look(cmd::Watched& watched) {
    auto seen = cmd::lookAtRoll(client, intent.setup.cluster, cluster.machine.clock.now(), watched);
    cmd::askApiServers(intent, [&](const std::string& url) { return cluster.clientAt(url); }, watched, seen);
    auto world = cluster.world();
    seen.hasSnapshot = std::ranges::all_of(roll::snapshot(intent, seen), [&](const auto& each) { return plan::verdict(each, world).verb == plan::Verb::keep; });
    return seen;
  }

  void perform(const std::string& holder) {
    cmd::Watched watched(cluster.machine.clock);
    std::optional<roll::Failure> failure;
    const auto next = [&] {
      const auto seen = look(watched);
      if (!failure) failure = roll::failureIn(intent, seen);
      return roll::next(intent, failure, seen);
    };
    auto world = cluster.world();
    plan::perform({.name = "upgrade", .access = phases::asAdmin(intent.setup), .holder = holder, .next = next}, world, cluster.machine.listener);
  }
};

/// `kubestrap upgrade apply v1.37.2`: why it failed.
std::string upgrade(OwnCluster& cluster, const std::string& holder = "n1") {
  return said([&] { VersionRoll(cluster, parseVersion(kNew)).perform(holder); });
}

std::string storedVersion(OwnCluster& cluster) {
  auto client = cluster.client();
  return cmd::storedCluster(client)->version.tag();
}

const std::string kNothing = "there is nothing to roll back";

/// `kubestrap upgrade rollback` (cmd/upgrade.cpp: rollBack), to the version that the cluster says it has: why it failed, or that there was nothing to do.
std::string rollBack(OwnCluster& cluster) {
  return said([&] {
    VersionRoll back(cluster, parseVersion(storedVersion(cluster)));
    cmd::Watched watched(cluster.machine.clock);
    const auto seen = roll::seenOnce(back.look(watched));
    if (roll::toRollBack(back.intent, seen).empty()) throw Error(kNothing);
    if (const auto stuck = roll::cannotGoBack(back.intent, seen)) throw Error(stuck->cause);
    back.perform("n1");
  });
}

bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

/// Each component has one pod on each node, which is ready and of the version; empty: of one of both.
void checkServes(const OwnCluster& cluster, const std::string& version) {
  CHECK(cluster.outages == Lines{});
  for (const auto& component : kComponents) {
    CAPTURE(component);
    std::set<std::string> all[2];
    for (const auto& node : cluster.nodes()) {
      all[0].insert(fmt::format("{} on {}", version.empty() ? kOld : version, node));
      all[1].insert(fmt::format("{} on {}", version.empty() ? kNew : version, node));
    }
    const auto pods = cluster.pods(component);
    CHECK_MESSAGE((pods == all[0] || pods == all[1]), join(Lines(pods.begin(), pods.end()), ", "));
  }
}

/// What tries things out, and what guards may do in a roll.
Lines remains(const OwnCluster& cluster) {
  Lines found;
  for (const auto& path : cluster.machine.api.paths())
    for (const auto* part : {"/kubestrap-rehearsal-", "/kubestrap-canary-", "/rolebindings/kubestrap:guard-put-back", "/roles/kubestrap:guard-put-back"})
      if (has(path, part)) found.push_back(path);
  return found;
}

/// Objects of the cluster as they were declared, but for those that come and go.
std::map<std::string, std::string> declared(const OwnCluster& cluster) {
  std::map<std::string, std::string> all;
  for (const auto& path : cluster.machine.api.paths()) {
    if (path == kPlan || has(path, "/pods/") || has(path, "/leases/") || has(path, "/controllerrevisions/")) continue;
    auto object = *cluster.machine.api.object(path);
    for (const auto* member : {"resourceVersion", "uid", "creationTimestamp", "generation", "managedFields"}) object["metadata"].erase(member);
    object.erase("status");
    all[path] = object.dump();
  }
  return all;
}

Lines differing(const std::map<std::string, std::string>& a, const std::map<std::string, std::string>& b) {
  Lines found;
  for (const auto& [path, text] : a)
    if (const auto other = b.find(path); other == b.end() || other->second != text) found.push_back(fmt::format("{}: {} against {}", path, text, other == b.end() ? "nothing" : other->second));
  for (const auto& [path, text] : b)
    if (!a.contains(path)) found.push_back(path + " is left");
  return found;
}

/// `check` gets what is left of the cluster where a driver is killed before, or after, one of its writes: every `stride`-th of them. A process that is killed does
/// nothing more, so a copy is what is left.
template <class Check> std::string killedAnywhere(OwnCluster cluster, std::size_t stride, Check check) {
  std::size_t n = 0, done = 0;
  TimePoint last{};
  cluster.onWrite = [&] {
    // Before a write the world is what it was after the one before, unless time has passed.
    if (cluster.writes.size() == std::exchange(done, cluster.writes.size()) && cluster.machine.host.now - last < std::chrono::seconds(1)) return;
    last = cluster.machine.host.now;
    if (n++ % stride != 0) return;
    const auto killed = fmt::format("after write {}: {}", done, done == 0 ? "none" : cluster.writes.back());
    CAPTURE(n);
    CAPTURE(killed);
    OwnCluster left(cluster);
    check(left);
  };
  auto end = upgrade(cluster);
  CHECK(cluster.outages == Lines{});
  return end;
}

/// Drivers one after the other, of which each is killed at its n-th sign of a write (odd: before one, even: after one), until one comes to the end: how many there
/// were. `pause` lies between them.
std::size_t relay(OwnCluster& cluster, std::size_t n, const Lines& holders, Duration pause) {
  for (std::size_t drivers = 1; drivers < 200; ++drivers) {
    std::size_t left = n;
    cluster.onWrite = [&] {
      if (--left == 0) throw fakes::Killed();
    };
    try {
      const auto end = upgrade(cluster, holders[drivers % holders.size()]); // not within CHECK, which would catch it
      CHECK(end == "");
      cluster.onWrite = nullptr;
      return drivers;
    } catch (const fakes::Killed&) {
      cluster.passes(pause);
    }
  }
  return 0;
}

bool behavesAsNew(const OwnCluster& cluster) {
  const auto text = cluster.daemonSet(kApiServer)->at("spec").at("template").dump();
  return has(text, "kube-apiserver:" + kNew) && !has(text, "--emulated-version=");
}

Lines inForce(const OwnCluster& cluster) {
  Lines all;
  for (const auto& component : kComponents) all.push_back(component + " " + cluster.revision(component));
  return all;
}

} // namespace

TEST_CASE("what these tests go by: a component whose only pod is taken away is missed at once") {
  OwnCluster cluster({"n1"});
  const auto all = cluster.machine.api.paths();
  const auto pod = std::ranges::find_if(all, [](const auto& path) { return has(path, "/pods/kube-scheduler-"); });
  REQUIRE(pod != all.end());
  cluster.client().remove({"v1", "Pod", "kube-system", pod->substr(pod->rfind('/') + 1)});
  CHECK(cluster.outages == Lines{"kube-scheduler on n1: no pod is ready"});
}

TEST_CASE("a roll whose drivers are killed one after the other, each a write further, comes to the end that an undisturbed one comes to") {
  const OwnCluster start({"n1"});
  OwnCluster undisturbed(start);
  CHECK(has(start.machine.host.text(kCopy), kOld));
  CHECK(upgrade(undisturbed) == "");
  checkServes(undisturbed, kNew);
  CHECK(has(undisturbed.machine.host.text(kCopy), kNew)); // for when there is no API server to ask
  OwnCluster cluster(start);
  CHECK(relay(cluster, 12, {"n1"}, {}) > 4);
  checkServes(cluster, kNew);
  CHECK(cluster.machine.host.text(kCopy) == undisturbed.machine.host.text(kCopy));
  CHECK(remains(cluster) == Lines{});
  CHECK(differing(declared(undisturbed), declared(cluster)) == Lines{});
}

TEST_CASE("three nodes are rolled by drivers that are killed and followed by one on another node, with no component missed on any node for a moment") {
  OwnCluster cluster({"n1", "n2", "n3"});
  CHECK(relay(cluster, 25, {"n1", "n2", "n3"}, std::chrono::seconds(61)) > 2);
  checkServes(cluster, kNew);
  CHECK(remains(cluster) == Lines{});
  CHECK(storedVersion(cluster) == kNew);
}

TEST_CASE("a roll whose driver was killed anywhere comes to the same end by being run again, and once more changes nothing") {
  const OwnCluster start({"n1"});
  OwnCluster undisturbed(start);
  CHECK(upgrade(undisturbed) == "");
  const auto end = killedAnywhere(start, 17, [expected = declared(undisturbed)](OwnCluster& left) {
    CHECK(upgrade(left) == "");
    checkServes(left, kNew);
    CHECK(remains(left) == Lines{});
    CHECK(differing(expected, declared(left)) == Lines{});
    left.writes.clear();
    CHECK(upgrade(left) == "");
    std::erase_if(left.writes, [](const auto& each) { return each.ends_with("/configmaps/kubestrap-plan"); });
    CHECK(left.writes == Lines{});
  });
  CHECK(end == "");
}

TEST_CASE("a roll whose driver was killed anywhere can be taken back until the API server behaves as its own version, and is served all the while") {
  const auto end = killedAnywhere(OwnCluster({"n1"}), 8, [](OwnCluster& left) {
    const auto stored = storedVersion(left);
    const bool past = stored == kOld && behavesAsNew(left);
    const auto back = rollBack(left);
    if (past) {
      CHECK(back == "v1.37.2 is past the point from which the API server can go back to v1.36.3");
      left.passes(std::chrono::minutes(1));
      checkServes(left, "");
    } else {
      if (back != kNothing) CHECK(back == "");
      checkServes(left, stored);
      CHECK(remains(left) == Lines{});
    }
  });
  CHECK(end == "");
}

TEST_CASE("a roll that nobody goes on with stays as it is, in one version or the other, and guards leave it alone") {
  const auto end = killedAnywhere(OwnCluster({"n1"}), 8, [](OwnCluster& left) {
    const auto before = inForce(left);
    left.passes(std::chrono::minutes(1));
    left.passes(std::chrono::minutes(13), std::chrono::minutes(1));
    checkServes(left, "");
    CHECK(inForce(left) == before);
  });
  CHECK(end == "");
}

TEST_CASE("a bad revision that nobody takes back is put back by a guard, as the plan notes, and pods of the one before serve") {
  for (const auto& [component, revision] : {std::pair(kApiServer, "2"), {"kube-scheduler", "2"}}) {
    CAPTURE(component);
    CAPTURE(revision);
    OwnCluster cluster({"n1"});
    cluster.bad = {component, revision};
    std::size_t looks = 0;
    cluster.onWrite = [&, wanted = cluster.bad] {
      if (cluster.revision(wanted.first) != wanted.second || looks++ % 3 != 0) return;
      const auto killed = fmt::format("after {}", cluster.writes.back());
      CAPTURE(killed);
      OwnCluster left(cluster);
      left.passes(std::chrono::minutes(9));
      CHECK(left.revision(wanted.first) == wanted.second);
      left.passes(std::chrono::minutes(3));
      CHECK(std::stoi(left.revision(wanted.first)) == std::stoi(wanted.second) - 1);
      checkServes(left, "");
      if (looks > 6) throw fakes::Killed();
    };
    CHECK_THROWS_AS(upgrade(cluster), fakes::Killed);
    CHECK(cluster.outages == Lines{});
  }
}

TEST_CASE("an API server that is ready and refuses writes makes its revision go back, while others still serve by the one before") {
  struct Row {
    Lines nodes;
    std::string url, node;
  };
  // A node's own is asked in its slot, beside the one that it follows; another's when that has gone.
  for (const auto& row : {Row{{"n1"}, "https://127.64.43.2:6443", "n1"}, Row{{"n1", "n2", "n3"}, "https://10.0.0.12:6444", "n2"}}) {
    CAPTURE(row.url);
    OwnCluster cluster(row.nodes);
    std::size_t tried = 0;
    cluster.machine.api.intercept = [&](const net::Request& request) -> std::optional<net::Response> {
      if (!request.url.starts_with(row.url) || request.method == "GET") return std::nullopt;
      ++tried;
      return net::Response{.status = 500, .headers = {}, .body = R"({"kind": "Status", "reason": "InternalError", "message": "no storage"})"};
    };
    const auto why = upgrade(cluster);
    CAPTURE(why);
    CHECK(why.starts_with(fmt::format("kube-apiserver v1.37.2, as 1.36 on {}: it is ready, and refuses a write that was tried out: PATCH {}/", row.node, row.url)));
    CHECK(why.ends_with(": no storage (500 InternalError)"));
    CHECK(tried > 1);
    CHECK(cluster.revision(kApiServer) == "1");
    cluster.passes(std::chrono::minutes(1));
    checkServes(cluster, kOld);
    CHECK(remains(cluster) == Lines{});
    CHECK_FALSE(cluster.machine.api.object("/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/kubestrap-tried-out"));
  }
}

TEST_CASE("an API server that is away for a moment when it is asked is waited for") {
  OwnCluster cluster({"n1"});
  std::size_t tried = 0;
  cluster.machine.api.intercept = [&](const net::Request& request) -> std::optional<net::Response> {
    if (!request.url.starts_with("https://127.64.43.") || request.method == "GET" || ++tried > 6) return std::nullopt;
    return net::Response{.status = tried % 2 ? 503 : 500, .headers = {}, .body = R"({"kind": "Status", "reason": "ServiceUnavailable", "message": "leader changed"})"};
  };
  CHECK(upgrade(cluster) == "");
  CHECK(tried > 6);
  checkServes(cluster, kNew);
}

TEST_CASE("after a roll what is wrong is looked at until it has passed, for a minute where it does not, and once where it lasts") {
  namespace status = phases::status;
  Machine machine;
  std::size_t looks = 0, wrongFor = 0;
  bool lasts = false;
  const auto look = [&] {
    status::Seen seen{.now = machine.clock.now()};
    if (looks++ < wrongFor) seen.controlPlane.leaders["kube-scheduler"] = {};
    if (lasts) seen.etcd.members = {{.name = "n1", .alarms = {"CORRUPT"}}};
    return seen;
  };
  wrongFor = 3;
  CHECK(cmd::findingsAfterwards(look, machine.clock).empty());
  CHECK(looks == 4);
  looks = 0;
  wrongFor = 1000;
  const auto begin = machine.clock.now();
  const auto findings = cmd::findingsAfterwards(look, machine.clock);
  REQUIRE(findings.size() == 1);
  CHECK(findings[0].name == "NoLeader");
  CHECK(machine.clock.now() - begin == std::chrono::seconds(60));
  looks = wrongFor = 0;
  lasts = true;
  CHECK(cmd::findingsAfterwards(look, machine.clock).front().name == "EtcdCorrupt");
  CHECK(looks == 1);
}
