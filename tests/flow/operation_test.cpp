// Operations over several nodes: one driver, steps until there are none, and what becomes of the plan in the cluster.
#include "tests/flow/machine.hpp"

#include "config/paths.hpp"
#include "plan/operation.hpp"

#include <doctest/doctest.h>

namespace kubestrap::flow {

namespace {

const std::string kPlan = "/api/v1/namespaces/kube-system/configmaps/kubestrap-plan";

Value configMap(const std::string& name) {
  return Value::object({{"apiVersion", "v1"}, {"kind", "ConfigMap"}, {"metadata", Value::object({{"name", name}, {"namespace", "kube-system"}})}});
}

/// A control plane, and an operation that makes the ConfigMaps "one" and "two" in its cluster.
struct Driven {
  Machine machine;
  std::string holder = "n1";
  std::function<plan::Next()> next = [this] { return twoSteps(); };

  Driven() { machine.init(); }

  plan::Access access() const { return {config::paths::adminConf, "https://10.0.0.11:6443"}; }

  std::optional<Value> stored(const std::string& name) { return machine.api.object("/api/v1/namespaces/kube-system/configmaps/" + name); }
  std::string planSays(const char* member) { return stringAt(machine.api.object(kPlan).value_or(Value::object()), std::string("data.") + member); }

  plan::Next twoSteps() {
    for (const auto* name : {"one", "two"})
      if (!stored(name)) return plan::Step{name, {plan::Object{.document = configMap(name), .access = access()}}};
    return plan::Done{};
  }

  void perform() {
    plan::World world{machine.host, machine.cri, machine.api, machine.clock, machine.entropy};
    plan::perform({.name = "example", .access = access(), .holder = holder, .next = next}, world, machine.listener);
  }
  std::string fails() {
    try {
      perform();
      return "";
    } catch (const Error& error) {
      return error.message() + "; " + error.hint();
    }
  }
};

bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

} // namespace

TEST_CASE("an operation goes on until nothing is left to do, and another run finds nothing") {
  Driven driven;
  driven.perform();
  CHECK(driven.stored("one"));
  CHECK(driven.stored("two"));
  CHECK(driven.planSays("state") == "done");
  CHECK(driven.planSays("holder") == "n1");
  const auto version = stringAt(*driven.stored("two"), "metadata.resourceVersion");
  driven.perform();
  CHECK(stringAt(*driven.stored("two"), "metadata.resourceVersion") == version);
}

TEST_CASE("while one drives, another is told who and how far, and one that has fallen silent is followed") {
  Driven driven;
  std::string refused;
  driven.next = [&]() -> plan::Next {
    Driven* other = &driven;
    if (refused.empty()) {
      const auto mine = std::exchange(other->holder, "n2");
      refused = other->fails();
      other->holder = mine;
    }
    return driven.twoSteps();
  };
  driven.perform();
  CHECK(has(refused, "n1 is at it already: example since "));
  CHECK(driven.planSays("holder") == "n1");

  Driven abandoned;
  abandoned.next = []() -> plan::Next { throw Interrupted(); };
  CHECK_THROWS_AS(abandoned.perform(), Interrupted);
  CHECK(abandoned.planSays("state") == "running");
  abandoned.next = [&] { return abandoned.twoSteps(); };
  abandoned.holder = "n2";
  CHECK(has(abandoned.fails(), "n1 is at it already"));
  abandoned.machine.host.now += std::chrono::seconds(61);
  abandoned.perform();
  CHECK(abandoned.planSays("holder") == "n2");
  CHECK(abandoned.stored("two"));
}

TEST_CASE("what a step notes is in the plan before its work is done, stays for whoever goes on, and goes with the end") {
  Driven driven;
  std::vector<std::string> seen;
  int looks = 0;
  driven.next = [&]() -> plan::Next {
    seen.push_back(driven.planSays("notes"));
    switch (looks++) {
    case 0: return plan::Step{"one", {plan::Object{.document = configMap("one"), .access = driven.access()}}, {{"rolling", "kube-scheduler"}, {"to", "4"}}};
    case 1: return plan::Step{"two", {plan::Object{.document = configMap("two"), .access = driven.access()}}};
    default: throw Interrupted();
    }
  };
  driven.machine.api.intercept = [&](const net::Request& request) -> std::optional<net::Response> {
    if (request.method == "PATCH" && has(request.url, "/configmaps/one")) seen.push_back("at work: " + driven.planSays("notes"));
    return std::nullopt;
  };
  CHECK_THROWS_AS(driven.perform(), Interrupted);
  const std::string noted = R"({"rolling":"kube-scheduler","to":"4"})";
  CHECK(seen == std::vector<std::string>{"{}", "at work: " + noted, noted, noted});
  driven.next = [&]() -> plan::Next {
    CHECK(driven.planSays("notes") == noted);
    return plan::Done{};
  };
  driven.perform();
  CHECK(driven.planSays("notes") == "{}");
}

TEST_CASE("another operation does not go by what one before has noted") {
  Driven driven;
  bool noted = false;
  driven.next = [&]() -> plan::Next {
    if (std::exchange(noted, true)) throw Interrupted();
    return plan::Step{"one", {plan::Object{.document = configMap("one"), .access = driven.access()}}, {{"seen", "something"}}};
  };
  CHECK_THROWS_AS(driven.perform(), Interrupted);
  plan::World world{driven.machine.host, driven.machine.cri, driven.machine.api, driven.machine.clock, driven.machine.entropy};
  const auto next = [&]() -> plan::Next {
    CHECK(driven.planSays("notes") == "{}");
    return plan::Done{};
  };
  plan::perform({.name = "other", .access = driven.access(), .holder = "n1", .next = next}, world, driven.machine.listener);
}

TEST_CASE("a roll whose driver is gone is gone on with before anything else: another plan would take from guards what they go by") {
  Driven driven;
  driven.next = [&, noted = false]() mutable -> plan::Next {
    if (std::exchange(noted, true)) throw Interrupted();
    return plan::Step{"one", {plan::Object{.document = configMap("one"), .access = driven.access()}}, {{"rolling", "kube-scheduler"}, {"to", "4"}}};
  };
  CHECK_THROWS_AS(driven.perform(), Interrupted);
  const auto inForce = [&](const std::string& revision) {
    driven.machine.api.put({{"apiVersion", "apps/v1"}, {"kind", "DaemonSet"}, {"metadata", {{"name", "kube-scheduler"}, {"namespace", "kube-system"}}},
                            {"spec", {{"template", {{"metadata", {{"annotations", {{"kubestrap.io/revision", revision}}}}}}}}}});
  };
  inForce("4");
  plan::World world{driven.machine.host, driven.machine.cri, driven.machine.api, driven.machine.clock, driven.machine.entropy};
  const plan::Operation other{.name = "other", .access = driven.access(), .holder = "n1", .next = [] { return plan::Done{}; }};
  CHECK_THROWS_WITH_AS(plan::perform(other, world, driven.machine.listener), "example was giving kube-scheduler another revision when its driver was not heard of any more", Error);
  CHECK(driven.planSays("operation") == "example");
  SUBCASE("it is gone on with") {
    driven.next = [] { return plan::Done{}; };
    driven.perform();
    plan::perform(other, world, driven.machine.listener);
  }
  SUBCASE("it ends by an error, which takes it from guards as well") {
    driven.next = [] { return plan::Stuck{"it does not go", "mend it"}; };
    CHECK(has(driven.fails(), "it does not go"));
    plan::perform(other, world, driven.machine.listener);
  }
  SUBCASE("guards have put it back") {
    inForce("3");
    plan::perform(other, world, driven.machine.listener);
  }
  SUBCASE("what ends the cluster does not mind") {
    auto reset = other;
    reset.endsAll = true;
    plan::perform(reset, world, driven.machine.listener);
  }
  CHECK(driven.planSays("operation") == "other");
}

TEST_CASE("a wait is told of, its driver gives signs meanwhile, and it ends with what is lacking when patience is over") {
  Driven driven;
  std::set<std::string> signs;
  driven.next = [&]() -> plan::Next {
    signs.insert(driven.planSays("refreshed"));
    return plan::Waiting{"the moon is full", "it is new", std::chrono::minutes(2), "look up"};
  };
  const auto said = driven.fails();
  CHECK(has(said, "the moon is full: still not after 2m: it is new"));
  CHECK(has(said, "look up; kubestrap example goes on from here"));
  CHECK(signs.size() > 8);
  CHECK(driven.planSays("state") == "aborted");
}

TEST_CASE("a driver gives signs while a step waits, also where an API server is away for a while") {
  Driven driven;
  std::set<std::string> signs;
  const auto begin = driven.machine.clock.now();
  const auto answers = driven.machine.api.reachable;
  driven.machine.api.intercept = [&](const net::Request& request) -> std::optional<net::Response> {
    if (!has(request.url, "/configmaps/awaited")) return std::nullopt;
    signs.insert(driven.planSays("refreshed"));
    CHECK(driven.planSays("step") == "waits");
    const auto elapsed = driven.machine.clock.now() - begin;
    const bool away = elapsed > std::chrono::seconds(60) && elapsed < std::chrono::seconds(90);
    driven.machine.api.reachable = [=](const net::Request& each) { return (!away || !has(each.url, "/kubestrap-plan")) && answers(each); };
    if (elapsed > std::chrono::minutes(3)) driven.machine.api.put(configMap("awaited"));
    return std::nullopt;
  };
  driven.next = [&]() -> plan::Next {
    if (driven.stored("awaited")) return plan::Done{};
    return plan::Step{"waits", {plan::Condition{.what = "it is there", .probe = plan::ObjectExists{driven.access(), "v1", "ConfigMap", "kube-system", "awaited"},
                                                .patience = std::chrono::minutes(5), .hint = "wait"}}};
  };
  driven.perform();
  CHECK(signs.size() > 10);
  CHECK(signs.size() < 20);
  CHECK(driven.planSays("state") == "done");
}

TEST_CASE("a driver gives signs while a look asks a node that takes its time, and nobody follows it meanwhile") {
  Driven driven;
  std::set<std::string> signs;
  std::string refused;
  plan::World world{driven.machine.host, driven.machine.cri, driven.machine.api, driven.machine.clock, driven.machine.entropy};
  const auto slowly = [&](plan::Reporter& asking) -> plan::Next {
    for (int second = 0; second < 90; ++second) {
      driven.machine.clock.sleep(std::chrono::seconds(1));
      asking.waiting("node", {.verb = plan::Verb::run, .subject = "n2: how its files are"}, std::chrono::seconds(second), std::chrono::minutes(10), "its pod is Pending");
      signs.insert(driven.planSays("refreshed"));
    }
    CHECK(driven.planSays("step") == "looking at the nodes");
    Driven* other = &driven;
    const auto mine = std::exchange(other->holder, "n2");
    refused = other->fails();
    other->holder = mine;
    return plan::Done{};
  };
  plan::perform({.name = "example", .access = driven.access(), .holder = "n1", .next = {}, .nextByAsking = slowly}, world, driven.machine.listener);
  CHECK(signs.size() > 5);
  CHECK(has(refused, "n1 is at it already: example since "));
  CHECK(driven.planSays("holder") == "n1");
  CHECK(driven.machine.listener.waits.back() == "n2: how its files are: its pod is Pending");
}

TEST_CASE("a step that comes again had no effect, and what cannot go on says why") {
  Driven driven;
  driven.next = [&]() -> plan::Next { return plan::Step{"one", {plan::Object{.document = configMap("one"), .access = driven.access()}}}; };
  CHECK(has(driven.fails(), "one had no effect"));
  driven.next = []() -> plan::Next { return plan::Stuck{"there is no way", "turn back"}; };
  CHECK(driven.fails() == "there is no way; turn back");
  CHECK(driven.planSays("state") == "aborted");
}

TEST_CASE("an API server that is away for a moment is waited for") {
  Driven driven;
  int silent = 3;
  const auto answers = driven.machine.api.reachable;
  driven.machine.api.reachable = [&](const net::Request& request) { return --silent < 0 && answers(request); };
  driven.perform();
  CHECK(driven.stored("two"));
}

} // namespace kubestrap::flow
