// A roll of a control plane that runs in its own cluster, to a new minor version, as the real look sees it: its driver is killed before and after each of its
// writes, and then it is run again, or taken back, or nobody does anything. All the while every component serves on every node, in one version or the other.
#include "tests/flow/own_cluster.hpp"

#include "cmd/own_cluster.hpp"
#include "cmd/roll_look.hpp"
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
const std::string kPlan = "/api/v1/namespaces/kube-system/configmaps/kubestrap-plan";

std::string storedVersion(OwnCluster& cluster) {
  auto client = cluster.client();
  return cmd::storedCluster(client)->version.tag();
}

/// As `kubestrap upgrade apply VERSION` (cmd/roll.cpp: toVersion, roll).
void upgrade(OwnCluster& cluster, const std::string& to, const std::string& holder = "n1") {
  auto client = cluster.client();
  const auto present = cmd::storedCluster(client)->version, wanted = parseVersion(to);
  roll::Intent intent{.setup = cluster.setup(), .command = "upgrade", .emulates = {}, .soak = std::chrono::seconds(20), .afterwards = {}};
  intent.setup.cluster = *cmd::storedCluster(client, wanted);
  if (wanted.minor > present.minor) intent.emulates = fmt::format("{}.{}", present.major, present.minor);
  intent.afterwards = roll::afterwards(intent.setup);
  cmd::Watched watched(cluster.machine.clock);
  std::optional<roll::Failure> failure;
  const auto next = [&] {
    const auto seen = cmd::lookAtRoll(client, intent.setup.cluster, cluster.machine.clock.now(), watched);
    if (!failure) failure = roll::failureIn(intent, seen);
    return roll::next(intent, failure, seen);
  };
  auto world = cluster.world();
  plan::perform({.name = "upgrade", .access = phases::asAdmin(intent.setup), .holder = holder, .next = next}, world, cluster.machine.listener);
}

std::string said(const std::function<void()>& body) {
  try {
    body();
    return "";
  } catch (const Error& error) {
    return error.message();
  }
}

/// `kubestrap upgrade rollback` (cmd/upgrade.cpp: rollBack) goes to the version that the cluster says it has.
std::string rollBack(OwnCluster& cluster) {
  return said([&] { upgrade(cluster, storedVersion(cluster)); });
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

/// What tries things out, what guards may do in a roll, and what the plan notes for them.
Lines remains(const OwnCluster& cluster) {
  Lines found;
  for (const auto& path : cluster.machine.api.paths())
    for (const auto* part : {"/kubestrap-rehearsal-", "/kubestrap-canary-", "/rolebindings/kubestrap:guard-put-back"})
      if (has(path, part)) found.push_back(path);
  const auto plan = cluster.machine.api.object(kPlan).value_or(Value::object());
  if (stringAt(plan, "data.state") != "done" || stringAt(plan, "data.notes") != "{}") found.push_back(plan.dump());
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

/// `check` gets what a driver leaves behind that is killed before, or after, its n-th write; a process that is killed does nothing more, so a copy of the world
/// is what is left.
template <class Check> std::string killedAnywhere(OwnCluster cluster, std::size_t stride, Check check) {
  std::size_t n = 0, tried = 0;
  cluster.onWrite = [&] {
    if (n++ % stride != 0) return;
    ++tried;
    const auto after = fmt::format("killed at {}: {} writes were done, the last one was {}", n, cluster.writes.size(), cluster.writes.empty() ? "none" : cluster.writes.back());
    CAPTURE(after);
    OwnCluster left(cluster);
    check(left);
  };
  auto end = said([&] { upgrade(cluster, kNew); });
  CHECK(cluster.outages == Lines{});
  MESSAGE(n << " kill points, " << tried << " tried");
  CHECK(n > 80);
  return end;
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

TEST_CASE("a roll to the next minor version: no component is missed on any node for a moment, and another run changes nothing") {
  for (const auto& nodes : {Lines{"n1"}, Lines{"n1", "n2", "n3"}}) {
    OwnCluster cluster(nodes);
    checkServes(cluster, kOld);
    CHECK(said([&] { upgrade(cluster, kNew); }) == "");
    checkServes(cluster, kNew);
    CHECK(remains(cluster) == Lines{});
    CHECK(cluster.revision(kApiServer) == "3");
    CHECK(storedVersion(cluster) == kNew);
    MESSAGE(join(cluster.writes, "\n"));
    MESSAGE(join(cluster.machine.listener.lines, "\n"));
  }
}

TEST_CASE("a roll whose driver was killed anywhere comes to the same end by being run again, and once more changes nothing") {
  const OwnCluster start({"n1"});
  OwnCluster undisturbed(start);
  upgrade(undisturbed, kNew);
  const auto end = killedAnywhere(start, 1, [expected = declared(undisturbed)](OwnCluster& left) {
    CHECK(said([&] { upgrade(left, kNew); }) == "");
    checkServes(left, kNew);
    CHECK(remains(left) == Lines{});
    CHECK(differing(expected, declared(left)) == Lines{});
    left.writes.clear();
    CHECK(said([&] { upgrade(left, kNew); }) == "");
    std::erase_if(left.writes, [](const auto& each) { return each.ends_with("/configmaps/kubestrap-plan"); });
    CHECK(left.writes == Lines{});
  });
  CHECK(end == "");
}

TEST_CASE("a roll whose driver was killed anywhere can be taken back until the API server behaves as its own version, and is served all the while") {
  const auto end = killedAnywhere(OwnCluster({"n1"}), 1, [](OwnCluster& left) {
    const auto stored = storedVersion(left);
    const bool past = stored == kOld && behavesAsNew(left);
    const auto back = rollBack(left);
    if (!past) {
      CHECK(back == "");
      checkServes(left, stored);
      CHECK(remains(left) == Lines{});
    } else {
      CHECK(back == "v1.37.2 is past the point from which the API server can go back to v1.36.3");
      left.passes(std::chrono::minutes(1));
      checkServes(left, "");
    }
  });
  CHECK(end == "");
}

TEST_CASE("a roll that nobody goes on with stays as it is, in one version or the other, and guards leave it alone") {
  const auto end = killedAnywhere(OwnCluster({"n1"}), 1, [](OwnCluster& left) {
    const auto before = inForce(left);
    left.passes(std::chrono::minutes(1));
    left.passes(std::chrono::minutes(13), std::chrono::seconds(10));
    checkServes(left, "");
    CHECK(inForce(left) == before);
  });
  CHECK(end == "");
}
