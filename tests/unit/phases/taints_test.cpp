#include "phases/taints.hpp"

#include <doctest/doctest.h>

using namespace kubestrap;
using namespace kubestrap::phases::fleet;

namespace {

const std::string usual = "node-role.kubernetes.io/control-plane:NoSchedule";

Value nodeWith(const Value& taints, const std::string& given = "") {
  Value node{{"metadata", {{"name", "w1"}, {"resourceVersion", "7"}}}, {"spec", {{"taints", taints}}}};
  if (!given.empty()) node["metadata"]["annotations"][std::string(givenTaintsNotice)] = given;
  return node;
}

Value taint(const char* key, const char* effect, const char* value = "") {
  Value one{{"key", key}};
  if (*value != '\0') one["value"] = value;
  one["effect"] = effect;
  return one;
}

} // namespace

TEST_CASE("a taint that differs in its value only is given anew, and the same key may have two effects") {
  const auto changes = taintChanges(Taints{{"a:NoSchedule", "new"}, {"a:NoExecute", ""}}, false, {.all = {{"a:NoSchedule", "old"}}, .given = {}});
  REQUIRE(changes.size() == 2);
  CHECK(changes.at("a:NoSchedule") == "new");
  CHECK(taintWord("a:NoSchedule", "new") == "a=new:NoSchedule");
  CHECK(taintWord("a:NoExecute", "") == "a:NoExecute");
  CHECK(taintWord("a:NoExecute", std::nullopt) == "a:NoExecute-");
}

TEST_CASE("a control plane's usual taint goes where the file has a list without it, and is let be where the file says nothing") {
  const Labels has{.all = {{usual, ""}}, .given = {}}, none{.all = {}, .given = {}}, given{.all = {{usual, ""}}, .given = {usual}};
  CHECK(taintChanges(Taints{}, true, has).contains(usual));
  CHECK(taintChanges(std::nullopt, true, has).empty());
  CHECK(taintChanges(std::nullopt, true, none).empty()); // taken away by hand
  CHECK(taintChanges(std::nullopt, true, given).empty());
  CHECK(taintChanges(Taints{}, false, has).empty()); // a worker's, given by somebody
  CHECK(taintChanges(std::nullopt, false, given).contains(usual));
}

TEST_CASE("what a node has until it is ready is not given a second time") {
  const Taints wanted{{"node.cilium.io/agent-not-ready:NoExecute", "true"}, {"node.cloudprovider.kubernetes.io/uninitialized:NoSchedule", ""}, {"node.kubernetes.io/unschedulable:NoSchedule", ""}};
  CHECK(taintChanges(wanted, false, {}).empty());
  CHECK(taintPatch(nodeWith(Value::array()), false, wanted).is_null());
}

TEST_CASE("a patch has the whole list, what was given, and the version that was seen") {
  const auto node = nodeWith(Value::array({taint("others", "NoSchedule"), taint("old", "NoSchedule"), taint("a", "NoSchedule", "old")}), "old:NoSchedule");
  const auto patch = taintPatch(node, false, Taints{{"a:NoSchedule", "new"}});
  CHECK(patch["spec"]["taints"] == Value::array({taint("others", "NoSchedule"), taint("a", "NoSchedule", "new")}));
  CHECK(stringAt(patch, "metadata.resourceVersion") == "7");
  CHECK(patch["metadata"]["annotations"][std::string(givenTaintsNotice)] == "a:NoSchedule");
  CHECK(taintPatch(applyMergePatch(node, patch), false, Taints{{"a:NoSchedule", "new"}}).is_null());
  // What the kubelet registered with is only taken down.
  const auto noted = taintPatch(nodeWith(Value::array({taint("a", "NoSchedule")})), false, Taints{{"a:NoSchedule", ""}});
  CHECK_FALSE(noted.contains("spec"));
  CHECK(noted["metadata"]["annotations"][std::string(givenTaintsNotice)] == "a:NoSchedule");
  // And forgotten with the last one.
  const auto last = taintPatch(nodeWith(Value::array({taint("a", "NoSchedule")}), "a:NoSchedule"), false, std::nullopt);
  CHECK(last["spec"]["taints"] == Value::array());
  CHECK(last["metadata"]["annotations"][std::string(givenTaintsNotice)].is_null());
}
