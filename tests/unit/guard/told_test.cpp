#include "guard/told.hpp"

#include "guard/disk.hpp"
#include "tests/unit/guard/fixture.hpp"

#include <doctest/doctest.h>

using namespace kubestrap;
using namespace kubestrap::guard;
using namespace kubestrap::phases::guard;

namespace {

Value node(const std::string& labels, const std::string& annotations = "{}") {
  return Value::parse(R"({"kind":"Node","metadata":{"name":"n1","labels":)" + labels + R"(,"annotations":)" + annotations + "}}");
}

Value pod(const std::string& hosting, const std::string& phase, const std::string& activation = {}) {
  auto value = Value::object({{"metadata", Value::object({{"labels", Value::object({{"kubestrap.io/component", "kube-scheduler"},
                                                                                    {"kubestrap.io/hosting", hosting}})}})},
                              {"status", Value::object({{"phase", phase}})}});
  if (!activation.empty()) value["metadata"]["annotations"] = Value::object({{"kubestrap.io/activation", activation}});
  return value;
}

Value lease(const std::string& version) { return Value::object({{"metadata", Value::object({{"resourceVersion", version}})}}); }

Seen seenOf(const Told& told, const std::optional<Value>& standby = {}) {
  Seen seen;
  put(told, "n1", {std::nullopt, std::nullopt, standby}, seen);
  return seen;
}

} // namespace

TEST_CASE("a node has a part in the control plane by its label") {
  CHECK(membershipIn({}) == Membership::unknown);
  CHECK(membershipIn(Told::Absentable(std::in_place)) == Membership::gone);
  CHECK(membershipIn(std::optional(std::optional(node(R"({"kubestrap.io/self-hosted":"true"})")))) == Membership::labelled);
  CHECK(membershipIn(std::optional(std::optional(node(R"({"kubestrap.io/self-hosted":"false"})")))) == Membership::unlabelled);
  CHECK(membershipIn(std::optional(std::optional(node("{}")))) == Membership::unlabelled);
}

TEST_CASE("what is held is what the Node says, and a Node that says nothing is not asked") {
  const auto held = [](const std::string& annotations) { return heldIn(std::optional(std::optional(node("{}", annotations)))); };
  CHECK(held(R"({"kubestrap.io/held":"kube-scheduler,kube-apiserver"})") == std::set<Component>{apiServer, scheduler});
  CHECK(held(R"({"kubestrap.io/held":""})") == std::set<Component>{});
  CHECK(held("{}") == std::nullopt);
  CHECK(heldIn({}) == std::nullopt);
}

TEST_CASE("what is rolled is what the driver has noted, and half a note is none") {
  const auto rolling = [](const std::string& notes) {
    return rollingIn(std::optional(std::optional(Value::object({{"data", Value::object({{"state", "running"}, {"notes", notes}})}}))));
  };
  CHECK(rolling(R"({"rolling":"kube-scheduler","to":"4","from":"3"})") == Rolling{.component = scheduler, .to = "4", .from = "3"});
  for (const auto* notes : {"", "{}", "[]", "kube-scheduler 4 3", R"({"rolling":"etcd","to":"4","from":"3"})", R"({"rolling":"kube-scheduler","to":"4"})"}) CHECK_FALSE(rolling(notes));
  CHECK_FALSE(rollingIn({}));
  CHECK_FALSE(rollingIn(Told::Absentable(std::in_place)));
}

TEST_CASE("an operation that cannot be read is under way") {
  const auto plan = [](const std::string& state) {
    return planIn(std::optional(std::optional(Value::object({{"data", Value::object({{"state", state}})}}))));
  };
  CHECK(planIn({}) == Plan::running);
  CHECK(planIn(Told::Absentable(std::in_place)) == Plan::none);
  CHECK(plan("running") == Plan::running);
  CHECK(plan("commits") == Plan::commits);
  CHECK(plan("stalled") == Plan::stalled);
  CHECK(plan("done") == Plan::none);
  CHECK(plan("aborted") == Plan::none);
}

TEST_CASE("pods of the DaemonSet and mirror pods of rescue pods are told apart") {
  Told told;
  CHECK(!seenOf(told).components[scheduler].podMissing);
  told.pods = std::vector<Value>{};
  CHECK(seenOf(told).components[scheduler].podMissing == true);
  told.pods = {pod("rescue", "Running", "4"), pod("self", "Failed")};
  const auto seen = seenOf(told);
  CHECK(seen.components[scheduler].podMissing == false);
  CHECK(seen.components[scheduler].podFailed == true);
  CHECK(seen.components[scheduler].mirrors == std::set<std::string>{"4"});
  CHECK(seen.components[apiServer].podMissing == true);
}

TEST_CASE("Leases tell who leads, and which other guards live") {
  Told told;
  CHECK(!seenOf(told).components[scheduler].lease);
  told.leases = {{"kube-scheduler", lease("7")}, {"kubestrap-guard-n1", lease("8")}, {"kubestrap-guard-n2", lease("9")}};
  const auto seen = seenOf(told);
  CHECK(seen.components[scheduler].lease == "7");
  CHECK(seen.components[controllerManager].lease == "");
  CHECK(!seen.components[apiServer].lease);
  CHECK(seen.otherGuards == std::map<std::string, std::string>{{"n2", "9"}});
}

TEST_CASE("a roll is complete when it was observed, and every pod is new and available") {
  const auto complete = [](const std::string& pointer, const Value& value) {
    auto set = test::daemonSet(scheduler, Slot::green, 2);
    if (!pointer.empty()) set[Pointer(pointer)] = value;
    return daemonSetIn(scheduler, set, {}).rolledOut;
  };
  CHECK(complete("", {}));
  CHECK(!complete("/metadata/generation", 4));
  CHECK(!complete("/status/updatedNumberScheduled", 0));
  CHECK(!complete("/status/numberAvailable", 0));
  CHECK(!complete("/status/numberUnavailable", 1));
  CHECK(!complete("/status/desiredNumberScheduled", 2));
  CHECK(!complete("/status/desiredNumberScheduled", 0));
}

TEST_CASE("a DaemonSet says its slot and revision, and whether what stands by is made of it") {
  const auto set = test::daemonSet(scheduler, Slot::green, 2);
  const auto standby = manifests::rescuePodOf(test::rowOf(scheduler), set["spec"]["template"]);
  const auto seen = daemonSetIn(scheduler, set, standby);
  CHECK(seen.exists);
  CHECK(seen.slot == Slot::green);
  CHECK(seen.revision == "2");
  CHECK(seen.unfit == "");
  CHECK(seen.isStandby);
  CHECK(!daemonSetIn(scheduler, set, test::rescuePod(scheduler)).isStandby);
  CHECK(!daemonSetIn(scheduler, {}, standby).exists);
  auto leaving = set;
  leaving["metadata"]["deletionTimestamp"] = "2026-11-25T18:00:00Z";
  CHECK(!daemonSetIn(scheduler, leaving, standby).exists);
}

TEST_CASE("a plan's driver is known to live by what it writes, and no plan is not the same as not knowing") {
  CHECK_FALSE(planSignIn({}));
  CHECK(planSignIn(Told::Absentable(std::optional<Value>())) == "");
  CHECK(planSignIn(Told::Absentable(parseJson(R"({"data": {"state": "commits", "refreshed": "2026-01-01T00:00:00Z"}})"))) == "2026-01-01T00:00:00Z");
}

TEST_CASE("a template that no static pod can be made of is told of, and is no standby") {
  auto set = test::daemonSet(scheduler, Slot::green, 2);
  set["spec"]["template"]["spec"]["volumes"].push_back(Value::parse(R"({"name":"x","secret":{"secretName":"x"}})"));
  const auto seen = daemonSetIn(scheduler, set, {});
  CHECK(seen.exists);
  CHECK(seen.unfit != "");
  CHECK(!seen.isStandby);
  set = test::daemonSet(scheduler, Slot::green, 2);
  set["spec"]["template"]["metadata"].erase("annotations");
  CHECK(daemonSetIn(scheduler, set, {}).unfit != "");
  set = test::daemonSet(scheduler, Slot::green, 2);
  set["spec"]["template"]["spec"] = Value();
  CHECK(daemonSetIn(scheduler, set, {}).unfit != "");
}

TEST_CASE("a standby may be one minor version behind the cluster") {
  auto standby = test::rescuePod(apiServer); // v1.37.2
  const auto old = [&](const std::string& version) { return isTooOld(standby, version); };
  CHECK(!old("v1.37.9"));
  CHECK(!old("v1.38.0"));
  CHECK(old("v1.39.0"));
  CHECK(!old(""));
  standby["spec"]["containers"][0]["image"] = "registry.example:5000/kube-apiserver@sha256:00";
  CHECK(!old("v1.39.0"));
  standby["spec"]["containers"][0]["image"] = "registry.example:5000/kube-apiserver:v1.37.2@sha256:00";
  CHECK(old("v1.39.0"));
  CHECK(!isTooOld({}, "v1.39.0"));
}
