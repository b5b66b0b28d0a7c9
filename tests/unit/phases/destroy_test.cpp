#include "phases/destroy.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace kubestrap;
using namespace kubestrap::phases::destroy;

namespace {

const Intent intent{.self = "n1", .force = false, .access = {}, .image = "kubestrap.io/kubestrap:v0"};

std::vector<NodeSeen> cluster() {
  return {{.name = "n1", .controlPlane = true, .ready = true, .pod = {}, .trouble = {}},
          {.name = "n2", .controlPlane = true, .ready = true, .pod = {}, .trouble = {}},
          {.name = "n3", .controlPlane = true, .ready = true, .pod = {}, .trouble = {}},
          {.name = "w1", .ready = true, .pod = {}, .trouble = {}},
          {.name = "w2", .ready = true, .pod = {}, .trouble = {}}};
}

std::string stepOf(const plan::Next& next) {
  const auto* step = std::get_if<plan::Step>(&next);
  return step ? step->name : "";
}
std::string waitsFor(const plan::Next& next) {
  const auto* waiting = std::get_if<plan::Waiting>(&next);
  return waiting ? waiting->what : "";
}

NodeSeen& at(std::vector<NodeSeen>& nodes, const std::string& name) { return *std::ranges::find(nodes, name, &NodeSeen::name); }

} // namespace

TEST_CASE("workers go at once, then the other control planes one by one, and the driver stays for the end") {
  auto nodes = cluster();
  std::vector<std::string> steps;
  for (auto coming = next(intent, nodes); !std::holds_alternative<plan::Done>(coming); coming = next(intent, nodes)) {
    steps.push_back(stepOf(coming));
    nodes = assumed(nodes, coming);
    REQUIRE(steps.size() < 10);
  }
  CHECK(steps == std::vector<std::string>{"w1, w2: reset begins", "n2: reset begins", "n3: reset begins"});
  CHECK(nodes.size() == 1);
}

TEST_CASE("a worker is taken out of the cluster when its kubelet has stopped, a control plane goes by itself") {
  auto nodes = cluster();
  for (const auto* name : {"w1", "w2"}) at(nodes, name).pod = "Running";
  CHECK(waitsFor(next(intent, nodes)) == "w1, w2 has left the cluster");
  at(nodes, "w1").kubeletAnswers = false;
  const auto step = next(intent, nodes);
  CHECK(stepOf(step) == "workers that have stopped are taken out of the cluster");
  CHECK(std::get<plan::Step>(step).work.size() == 1);
  std::erase_if(nodes, [](const auto& each) { return !each.controlPlane; });
  at(nodes, "n2").pod = "Succeeded";
  at(nodes, "n2").kubeletAnswers = false;
  at(nodes, "n2").ready = false;
  CHECK(waitsFor(next(intent, nodes)) == "n2 has left the cluster");
}

TEST_CASE("who is not Ready stops it, or is left behind on purpose") {
  auto nodes = cluster();
  at(nodes, "w2").ready = false;
  const auto refused = next(intent, nodes);
  REQUIRE(std::holds_alternative<plan::Stuck>(refused));
  CHECK(std::get<plan::Stuck>(refused).cause.ends_with(": w2"));
  auto forced = intent;
  forced.force = true;
  CHECK(stepOf(next(forced, nodes)) == "w1: reset begins");
  CHECK(absent(forced, nodes) == std::vector<std::string>{"w2"});
}

TEST_CASE("a reset that does not begin is told with its reason") {
  auto nodes = cluster();
  at(nodes, "w1").pod = "Pending";
  at(nodes, "w2").pod = "Running";
  at(nodes, "w1").trouble = "ErrImagePull: not found";
  const auto stuck = next(intent, nodes);
  REQUIRE(std::holds_alternative<plan::Stuck>(stuck));
  CHECK(std::get<plan::Stuck>(stuck).cause == "the reset of w1 does not begin: ErrImagePull: not found");
}
