#include "phases/destroy.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace kubestrap;
using namespace kubestrap::phases;
using namespace kubestrap::phases::destroy;

namespace {

const Intent intent{.self = "n1", .force = false, .nodes = {.access = {}, .image = "kubestrap.io/kubestrap:v0"}};

Seen cluster() {
  return {.nodes = {{.name = "n1", .controlPlane = true, .ready = true, .pod = {}, .trouble = {}},
          {.name = "n2", .controlPlane = true, .ready = true, .pod = {}, .trouble = {}},
          {.name = "n3", .controlPlane = true, .ready = true, .pod = {}, .trouble = {}},
          {.name = "w1", .ready = true, .pod = {}, .trouble = {}},
          {.name = "w2", .ready = true, .pod = {}, .trouble = {}}}};
}

std::string stepOf(const plan::Next& next) {
  const auto* step = std::get_if<plan::Step>(&next);
  return step ? step->name : "";
}
std::string waitsFor(const plan::Next& next) {
  const auto* waiting = std::get_if<plan::Waiting>(&next);
  return waiting ? waiting->what : "";
}

OtherNode& at(Seen& seen, const std::string& name) { return *std::ranges::find(seen.nodes, name, &OtherNode::name); }

} // namespace

TEST_CASE("workers go at once, then the other control planes one by one, and the driver stays for the end") {
  auto seen = cluster();
  std::vector<std::string> steps;
  for (auto coming = next(intent, seen); !std::holds_alternative<plan::Done>(coming); coming = next(intent, seen)) {
    steps.push_back(stepOf(coming));
    seen = assumed(seen, coming);
    REQUIRE(steps.size() < 10);
  }
  CHECK(steps == std::vector<std::string>{"w1, w2: reset begins", "n2: reset begins", "n3: reset begins"});
  CHECK(seen.nodes.size() == 1);
}

TEST_CASE("a worker is taken out of the cluster when its kubelet has stopped, a control plane goes by itself") {
  auto seen = cluster();
  for (const auto* name : {"w1", "w2"}) at(seen, name).pod = "Running";
  CHECK(waitsFor(next(intent, seen)) == "w1, w2 has left the cluster");
  at(seen, "w1").kubeletAnswers = false;
  const auto step = next(intent, seen);
  CHECK(stepOf(step) == "workers that have stopped are taken out of the cluster");
  CHECK(std::get<plan::Step>(step).work.size() == 1);
  std::erase_if(seen.nodes, [](const auto& each) { return !each.controlPlane; });
  at(seen, "n2").pod = "Succeeded";
  at(seen, "n2").kubeletAnswers = false;
  at(seen, "n2").ready = false;
  CHECK(waitsFor(next(intent, seen)) == "n2 has left the cluster");
  // Its Node goes before its member of etcd.
  std::erase_if(seen.nodes, [](const auto& each) { return each.name == "n2"; });
  seen.etcdMembers = 3;
  CHECK(waitsFor(next(intent, seen)) == "etcd has 2 members");
  seen.etcdMembers = 2;
  CHECK(stepOf(next(intent, seen)) == "n3: reset begins");
}

TEST_CASE("who is not Ready stops it, or is left behind on purpose") {
  auto seen = cluster();
  at(seen, "w2").ready = false;
  const auto refused = next(intent, seen);
  REQUIRE(std::holds_alternative<plan::Stuck>(refused));
  CHECK(std::get<plan::Stuck>(refused).cause.ends_with(": w2"));
  auto forced = intent;
  forced.force = true;
  CHECK(stepOf(next(forced, seen)) == "w1: reset begins");
  CHECK(absent(forced, seen) == std::vector<std::string>{"w2"});
}

TEST_CASE("a control plane that is gone is taken out of etcd before the others leave, and its member not waited for") {
  auto seen = cluster();
  for (const auto* name : {"n1", "n2", "n3"}) at(seen, name).etcdPeerUrl = std::string("https://") + name + ":2380";
  seen.etcdMembers = 3;
  at(seen, "n3").ready = false;
  auto forced = intent;
  forced.force = true;
  std::vector<std::string> steps;
  for (auto coming = next(forced, seen); !std::holds_alternative<plan::Done>(coming); coming = next(forced, seen)) {
    steps.push_back(stepOf(coming));
    if (steps.size() == 1) CHECK(std::get<plan::EtcdMember>(std::get<plan::Step>(coming).work.front()).peerUrl == "https://n3:2380");
    seen = assumed(seen, coming);
    if (steps.size() == 1) seen.etcdMembers = 2;
    REQUIRE(steps.size() < 10);
  }
  CHECK(steps == std::vector<std::string>{"etcd is left without n3", "w1, w2: reset begins", "n2: reset begins"});
}

TEST_CASE("a reset that does not begin is told with its reason") {
  auto seen = cluster();
  at(seen, "w1").pod = "Pending";
  at(seen, "w2").pod = "Running";
  at(seen, "w1").trouble = "ErrImagePull: not found";
  const auto stuck = next(intent, seen);
  REQUIRE(std::holds_alternative<plan::Stuck>(stuck));
  CHECK(std::get<plan::Stuck>(stuck).cause == "the reset of w1 does not begin: ErrImagePull: not found");
}
