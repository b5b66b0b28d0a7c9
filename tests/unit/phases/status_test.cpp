#include "phases/status.hpp"
#include "phases/webhooks.hpp"
#include "support/text.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <iterator>

using namespace kubestrap;
using namespace kubestrap::phases::status;
using namespace std::chrono_literals;
using manifests::hostedComponents;
namespace pivot = phases::pivot;

namespace {

constexpr TimePoint now{std::chrono::hours(24 * 365 * 50)};

pivot::ComponentReport reportOf(std::string hosting, std::string slot) {
  pivot::ComponentReport report{.slots = {{"blue", "refuses"}, {"green", "refuses"}, {"rescue", "refuses"}, {"previous", "refuses"}}, .standby = "1"};
  report.hosting = std::move(hosting);
  report.slots[slot] = "ready";
  return report;
}

EtcdMemberSeen member(std::string name, bool leads = false) {
  return {.name = std::move(name), .id = "8e9e", .endpoint = "https://10.0.0.11:2379", .version = "3.7.0", .leads = leads, .size = 20 << 20, .inUse = 10 << 20, .quota = std::int64_t{2} << 30, .alarms = {}, .silent = {}};
}

/// A cluster whose control plane runs in itself, with nothing wrong.
Seen selfHosted(std::initializer_list<std::string> names) {
  Seen seen{.now = now};
  seen.machine = {.name = *names.begin(), .isNode = true, .controlPlane = true, .selfHosted = true};
  seen.layout = "hosted";
  seen.hosting = "self";
  for (const auto& name : names) {
    pivot::NodeSeen node{.name = name, .ready = true, .selfHosted = true, .held = {}, .guard = pivot::GuardReport{}};
    node.guard->fresh = true;
    for (const auto component : hostedComponents) {
      node.guard->components[std::string(component)] = reportOf("shadow", "blue");
      seen.pods.push_back({.node = name, .component = std::string(component), .slot = "blue", .version = "v1.37.2", .ready = true, .trouble = {}});
      seen.controlPlane.daemonSets[std::string(component)] = {.revision = "1", .observed = true, .desired = static_cast<int>(names.size()), .available = static_cast<int>(names.size())};
    }
    seen.controlPlane.nodes.push_back(node);
    seen.nodes.push_back({.name = name, .address = {}, .kubelet = {}, .controlPlane = true, .ready = true, .trouble = {}});
    seen.etcd.members.push_back(member(name, name == *names.begin()));
  }
  seen.controlPlane.leaders = {{"kube-controller-manager", {.node = *names.begin(), .fresh = true}}, {"kube-scheduler", {.node = *names.begin(), .fresh = true}}};
  return seen;
}

std::vector<std::string> namesOf(const std::vector<Finding>& findings) {
  std::vector<std::string> names;
  for (const auto& each : findings) names.push_back(each.name);
  return names;
}

pivot::GuardReport& guardOf(Seen& seen, std::size_t node = 0) { return *seen.controlPlane.nodes[node].guard; }

struct Case {
  std::string name; ///< of the only finding
  std::function<void(Seen&)> change;
  std::string evidence; ///< a part of it
};

} // namespace

TEST_CASE("with nothing wrong nothing is said, on one node and on three") {
  CHECK(namesOf(judge(selfHosted({"n1"}))).empty());
  CHECK(namesOf(judge(selfHosted({"n1", "n2", "n3"}))).empty());
}

TEST_CASE("each thing that is wrong is one finding, with what was seen") {
  const Case cases[] = {
      {"UnitDown", [](Seen& seen) { seen.machine.units = {{"containerd", true, ""}, {"kubelet", false, "failed (exit-code), started again 7 times"}}; }, "7 times"},
      {"WorkerNotReady", [](Seen& seen) { seen.nodes.push_back({.name = "w1", .address = {}, .kubelet = {}, .trouble = "Kubelet stopped posting node status."}); }, "stopped posting"},
      {"GuardSilent", [](Seen& seen) { guardOf(seen, 1).fresh = false; }, "40 s"},
      {"NoLeader", [](Seen& seen) { seen.controlPlane.leaders["kube-scheduler"].fresh = false; }, "held by n1"},
      {"DaemonSetMissing", [](Seen& seen) { seen.controlPlane.daemonSets.erase("kube-scheduler"); }, "no DaemonSet"},
      {"DaemonSetIncomplete", [](Seen& seen) { seen.controlPlane.daemonSets["kube-scheduler"].available = 2; }, "2 of 3"},
      {"RescueActive", [](Seen& seen) { guardOf(seen).components["kube-apiserver"] = reportOf("rescue", "rescue"); }, "promoted"},
      {"ComponentHeld", [](Seen& seen) { guardOf(seen).held = {"kube-apiserver"}; }, "kubestrap.io/held"},
      {"StandbyMissing", [](Seen& seen) { guardOf(seen).conditions = {{"StandbyMissing", "kube-apiserver: there is no standby"}}; }, "there is no standby"},
      {"SlotBusy", [](Seen& seen) { guardOf(seen).conditions = {{"SlotBusy", "kube-apiserver: a process"}}; }, "a process"},
      {"ParentMissing", [](Seen& seen) { guardOf(seen).conditions = {{"ParentMissing", "kube-apiserver: no pod"}}; }, "no pod"},
      {"PlanAbandoned", [](Seen& seen) { seen.plan = PlanSeen{.operation = "pivot", .state = "commits", .holder = "n1", .step = "n2: marked", .since = {}, .refreshed = now - 20min}; }, "pivot of n1"},
      {"ConversionHalfway", [](Seen& seen) { seen.machine.convertsTo = "plain"; }, "to layout plain, by /var/lib/kubestrap/conversion.yaml"},
      {"VersionsDiffer", [](Seen& seen) { seen.pods[0].version = "v1.36.3"; }, "v1.36.3 and v1.37.2"},
      {"EtcdMemberSilent", [](Seen& seen) { seen.etcd.members[2].silent = "connection refused"; }, "of 3 members 2 are well, and none more may be lost"},
      {"EtcdNoSpace", [](Seen& seen) { seen.etcd.members[0].alarms = {"NOSPACE"}; }, "20 MiB"},
      {"EtcdCorrupt", [](Seen& seen) { seen.etcd.members[0].alarms = {"CORRUPT"}; }, "CORRUPT"},
      {"EtcdQuota", [](Seen& seen) { seen.etcd.members[0].size = std::int64_t{1900} << 20; }, "1900 of 2048 MiB"},
      {"EtcdLearner", [](Seen& seen) { seen.etcd.members.push_back(member("n4")); seen.etcd.members.back().learner = true; }, "no vote"},
      {"EtcdEven", [](Seen& seen) { seen.etcd.members.push_back(member("n4")); }, "4 members need 3 for a quorum, so 1 may be lost"},
      {"CertificateExpired", [](Seen& seen) { seen.machine.certificates = {{.name = "apiserver", .ends = now - 1h}}; }, "since"},
      {"CertificateNotYetValid", [](Seen& seen) { seen.machine.certificates = {{.name = "apiserver", .begins = now + 1h, .ends = now + 9000h}}; }, "it begins"},
      {"CertificateEnds", [](Seen& seen) { seen.machine.certificates = {{.name = "apiserver", .ends = now + 240h}}; }, "10d"},
      {"WebhookBlocks", [](Seen& seen) { seen.webhooks = {{"policy", "ValidatingWebhookConfiguration", "a.b.c", true, true, false, "x/y"}}; }, "no ready endpoint"},
      {"WebhookCatches", [](Seen& seen) { seen.webhooks = {{"policy", "ValidatingWebhookConfiguration", "a.b.c", true, true, true, "x/y"}}; }, "x/y"},
      {"ClockDiffers", [](Seen& seen) { seen.clocks = {{"n1", 1s}, {"n2", -10min}}; }, "10m behind"},
      {"ClockNotKept", [](Seen& seen) { seen.machine.clockKept = false; }, "not synchronised"},
      {"DiskFull", [](Seen& seen) { seen.machine.disks = {{"/var/lib/etcd", "etcd's data", std::uint64_t{10} << 30, std::uint64_t{100} << 20}}; }, "100 MiB of 10240 MiB"},
      {"DiskLow", [](Seen& seen) { seen.machine.disks = {{"/var/lib/etcd", "etcd's data", std::uint64_t{10} << 30, std::uint64_t{900} << 20}}; }, "900 MiB of 10240 MiB"},
      {"ImageMissing", [](Seen& seen) { seen.machine.standbys = {{"kube-apiserver", "rescue", "1", "registry.k8s.io/kube-apiserver:v1.37.2", "", false}}; }, "registry.k8s.io/kube-apiserver:v1.37.2"},
      {"StandbyInvalid", [](Seen& seen) { seen.machine.standbys = {{"kube-apiserver", "rescue", "1", "", "no spec", {}}}; }, "no spec"},
  };
  for (const auto& each : cases) {
    CAPTURE(each.name);
    auto seen = selfHosted({"n1", "n2", "n3"});
    each.change(seen);
    const auto findings = judge(seen);
    REQUIRE(namesOf(findings) == std::vector<std::string>{each.name});
    CAPTURE(findings[0].evidence);
    CHECK(findings[0].evidence.find(each.evidence) != std::string::npos);
    CHECK_FALSE(findings[0].remedy.empty());
  }
}

TEST_CASE("while an operation goes on, what it does is not wrong") {
  auto seen = selfHosted({"n1", "n2"});
  seen.etcd.members.pop_back();
  seen.plan = PlanSeen{.operation = "pivot", .state = "commits", .holder = "n1", .step = {}, .since = {}, .refreshed = now - 3s};
  seen.controlPlane.nodes[1].selfHosted = false;
  guardOf(seen, 0).held = {"kube-apiserver"};
  seen.controlPlane.daemonSets["kube-apiserver"].available = 1;
  seen.machine.convertsTo = "hosted";
  CHECK(judge(seen).empty());
}

TEST_CASE("half a pivot is told of") {
  auto seen = selfHosted({"n1", "n2", "n3"});
  seen.controlPlane.nodes[1].selfHosted = false;
  CHECK(namesOf(judge(seen)) == std::vector<std::string>{"PivotHalfway"});
}

TEST_CASE("two of three members that are lost are a lost quorum, and errors come before warnings") {
  auto seen = selfHosted({"n1", "n2", "n3"});
  seen.machine.clockKept = false;
  seen.etcd.members[1].silent = seen.etcd.members[2].silent = "timed out";
  seen.etcd.members[0].seesLeader = false;
  CHECK(namesOf(judge(seen)) == std::vector<std::string>{"EtcdNoQuorum", "EtcdMemberSilent", "EtcdMemberSilent", "ClockNotKept"});
}

TEST_CASE("components are told of by the slots that serve") {
  auto seen = selfHosted({"n1"});
  auto& components = guardOf(seen).components;
  components["kube-apiserver"].slots["rescue"] = "ready";
  components["kube-apiserver"].hosting = "drain";
  components["kube-controller-manager"] = reportOf("suspect", "blue");
  components["kube-controller-manager"].slots["blue"] = "unready";
  components["kube-scheduler"] = reportOf("held", "rescue");
  const auto found = rows(seen);
  REQUIRE(found.size() == 3);
  CHECK(found[0].hosting == "rescue");
  CHECK(found[0].slot == "blue+rescue");
  CHECK(found[0].version == "v1.37.2");
  CHECK(found[0].health == "ready");
  CHECK(found[1].hosting == "-");
  CHECK(found[1].health == "unready");
  CHECK(found[2].hosting == "held");
  seen.controlPlane.nodes[0].selfHosted = false;
  CHECK(rows(seen)[2].hosting == "static");
}

TEST_CASE("without an API server the machine is shown by its guard, or by its containers") {
  auto seen = selfHosted({"n1", "n2"});
  seen.silent = "connection refused";
  seen.machine.guard = guardOf(seen);
  seen.machine.guard->components["kube-apiserver"] = reportOf("suspect", "none");
  CHECK(rows(seen).size() == 3);
  CHECK(rows(seen)[0].health == "down");
  seen.etcd.members.pop_back();
  CHECK(namesOf(judge(seen)) == std::vector<std::string>{"ApiUnreachable", "ComponentDown"});

  // What a guard wrote that is no more says nothing.
  seen.machine.guardRuns = false;
  seen.machine.containers = {{"kube-scheduler", "v1.37.2", "kube-scheduler-rescue-n1", true, ""}};
  REQUIRE(rows(seen).size() == 1);
  CHECK(rows(seen)[0].hosting == "rescue");
  CHECK(namesOf(judge(seen)) == std::vector<std::string>{"ApiUnreachable", "GuardSilent"});

  Seen plain{.now = now};
  plain.silent = "connection refused";
  plain.machine = {.name = "n1", .isNode = true, .controlPlane = true};
  plain.machine.containers = {{"kube-apiserver", "v1.37.2", "kube-apiserver-n1", false, "exit code 1"}, {"kube-scheduler", "v1.37.2", "kube-scheduler-n1", true, ""}};
  const auto found = rows(plain);
  REQUIRE(found.size() == 2);
  CHECK(found[0].health == "down");
  CHECK(found[1].health == "runs");
  CHECK(namesOf(judge(plain)) == std::vector<std::string>{"ApiUnreachable", "ContainerDown", "ComponentDown"});
}

TEST_CASE("plain control planes are told of by their static pods") {
  Seen seen{.now = now};
  seen.layout = "plain";
  seen.hosting = "static";
  for (const auto* node : {"n2", "n1"})
    for (const auto component : hostedComponents)
      seen.pods.push_back({.node = node, .component = std::string(component), .slot = {}, .version = "v1.37.2", .ready = true, .trouble = {}});
  seen.pods.push_back({.node = "n1", .component = "etcd", .slot = {}, .version = "3.7.0-0", .ready = true, .trouble = {}});
  CHECK(rows(seen).size() == 6);
  CHECK(rows(seen)[0].node == "n1");
  CHECK(rows(seen)[0].hosting == "static");
  CHECK(judge(seen).empty());
  seen.pods[0].ready = false;
  seen.pods[0].trouble = "CrashLoopBackOff";
  const auto findings = judge(seen);
  REQUIRE(namesOf(findings) == std::vector<std::string>{"ComponentDown"});
  CHECK(findings[0].where == "n2 kube-apiserver");
  CHECK(findings[0].evidence.find("CrashLoopBackOff") != std::string::npos);
}

TEST_CASE("webhooks are those that are asked when the control plane's pods are made") {
  const Labels kubeSystem{{"kubernetes.io/metadata.name", "kube-system"}};
  const std::vector<Labels> pods{{{"component", "kube-apiserver"}}};
  struct Hook {
    const char* text;
    bool catches, closed;
  };
  const Hook hooks[] = {
      {R"({"rules":[{"operations":["*"],"apiGroups":["*"],"resources":["*"]}]})", true, true},
      {R"({"failurePolicy":"Ignore","rules":[{"operations":["CREATE"],"apiGroups":[""],"resources":["pods"]}]})", true, false},
      {R"({"rules":[{"operations":["UPDATE"],"apiGroups":[""],"resources":["pods"]}]})", false, true},
      {R"({"rules":[{"operations":["CREATE"],"apiGroups":["apps"],"resources":["pods"]}]})", false, true},
      {R"({"rules":[{"operations":["CREATE"],"apiGroups":[""],"resources":["pods/exec"]}]})", false, true},
      {R"({"namespaceSelector":{"matchExpressions":[{"key":"kubernetes.io/metadata.name","operator":"NotIn","values":["kube-system"]}]},
           "rules":[{"operations":["CREATE"],"apiGroups":[""],"resources":["pods"]}]})", false, true},
      {R"({"namespaceSelector":{"matchLabels":{"policy":"on"}},"rules":[{"operations":["CREATE"],"apiGroups":[""],"resources":["pods"]}]})", false, true},
      {R"({"objectSelector":{"matchExpressions":[{"key":"component","operator":"DoesNotExist"}]},
           "rules":[{"operations":["CREATE"],"apiGroups":[""],"resources":["pods"]}]})", false, true},
  };
  for (const auto& hook : hooks) {
    CAPTURE(hook.text);
    Value configuration = Value::object({{"kind", "ValidatingWebhookConfiguration"}, {"metadata", {{"name", "policy"}}}, {"webhooks", Value::array({parseJson(hook.text)})}});
    const auto found = webhooksOf(configuration, kubeSystem, pods);
    REQUIRE(found.size() == 1);
    CHECK(found[0].catchesPods == hook.catches);
    CHECK(found[0].failsClosed == hook.closed);
  }
}

TEST_CASE("docs/status.md holds the table of findings as the code has it") {
  std::string expected = "| finding | level | what it means | what to do |\n|---|---|---|---|\n";
  for (const auto& rule : rules())
    expected += "| `" + std::string(rule.name) + "` | " + (rule.severity == plan::Severity::error ? "error" : "warning") + " | " + std::string(rule.cause) + " | " +
                replaceAll(std::string(rule.remedy), "|", "\\|") + " |\n";
  std::ifstream file(KUBESTRAP_SOURCE_DIR "/docs/status.md");
  const std::string page{std::istreambuf_iterator<char>(file), {}};
  const auto begin = page.find("| finding | level |");
  REQUIRE(begin != page.npos);
  const auto end = page.find("\n\n", begin);
  REQUIRE(end != page.npos);
  // When this fails, the expected text shown here is what belongs into the page.
  CHECK(page.substr(begin, end + 1 - begin) == expected);
}

TEST_CASE("what may pass by itself after a change are findings that there are, and none of what lasts") {
  std::size_t passing = 0;
  for (const auto& rule : rules()) passing += mayPass({.name = std::string(rule.name)}) ? 1 : 0;
  CHECK(passing == 18);
  for (const auto* lasting : {"CertificateEnds", "StandbyMissing", "EtcdCorrupt", "EtcdNoSpace", "ComponentHeld", "ClockNotKept"}) CHECK_FALSE(mayPass({.name = lasting}));
}
