#include "cmd/saved_plan.hpp"

#include "support/error.hpp"
#include "tests/lines.hpp"

#include <doctest/doctest.h>

using namespace kubestrap;
using namespace kubestrap::cmd;

namespace {

Value plan() {
  return {{"kind", "UpgradePlan"},
          {"from", "v1.36.3"},
          {"to", "v1.37.2"},
          {"components", Value::array({{{"name", "kube-apiserver"}, {"node", "n1"}, {"currentVersion", "v1.36.3"}, {"newVersion", "v1.37.2"}}})},
          {"findings", Value::array()},
          {"changes", Value::array({{{"phase", "control-plane"}, {"verb", "update"}, {"subject", "DaemonSet kube-apiserver"}, {"reason", "differs"}, {"diff", "-a\n+b\n"}},
                                    {{"phase", "addon"}, {"verb", "keep"}, {"subject", "Deployment coredns"}, {"reason", ""}}})}};
}

} // namespace

TEST_CASE("a version is no file, and a plan's name is none of a version") {
  for (const auto* version : {"v1.37.2", "1.37", "stable", "latest"}) CHECK_FALSE(isPlanFile(version));
  for (const auto* file : {"./plan", "/root/plan", "plan.json", "plan.yaml"}) CHECK(isPlanFile(file));
}

TEST_CASE("a plan comes back from its text, and another document is none") {
  CHECK(parsePlan(plan().dump(2), "plan.json") == plan());
  CHECK_THROWS_WITH_AS(parsePlan("kind: ConfigMap\n", "x.yaml"), "x.yaml is no plan of an upgrade", Error);
  CHECK_THROWS_AS(parsePlan("", "x.yaml"), Error);
}

TEST_CASE("the same plan again has not moved, whatever is found and why something is kept") {
  auto now = plan();
  now["findings"].push_back({{"name", "NodesReady"}});
  now["changes"][1]["reason"] = "as it is";
  now["changes"][0]["reason"] = "differs in two places";
  CHECK(moved(plan(), now) == Lines{});
}

TEST_CASE("everything that is another is told") {
  auto now = plan();
  now["to"] = "v1.37.3";
  now["components"][0]["currentVersion"] = "v1.36.2";
  now["components"].push_back({{"name", "kubelet"}, {"node", "n2"}, {"currentVersion", "v1.36.3"}});
  now["changes"][0]["diff"] = "-a\n+c\n";
  now["changes"][1]["verb"] = "update";
  CHECK(moved(plan(), now) == Lines{"it would go to v1.37.3, and was to go to v1.37.2", "kube-apiserver on n1 has v1.36.2, and had v1.36.3",
                                    "there is a kubelet on n2 (v1.36.3) that was not there", "DaemonSet kube-apiserver would be changed in another way",
                                    "Deployment coredns would be changed, and was not to be"});
  CHECK(moved(now, plan()) == Lines{"it would go to v1.37.2, and was to go to v1.37.3", "kube-apiserver on n1 has v1.36.3, and had v1.36.2", "there is no kubelet on n2 any more",
                                    "DaemonSet kube-apiserver would be changed in another way", "Deployment coredns would not be changed any more"});
}

TEST_CASE("where a plan has begun the command that goes on has the version and the flags that it was made with") {
  auto made = plan();
  CHECK(withoutPlan(made) == "kubestrap upgrade apply v1.37.2");
  made["options"] = {{"certificateRenewal", false}, {"etcdUpgrade", false}, {"config", "/root/upgrade.yaml"}, {"patches", "/root/patches"}};
  CHECK(withoutPlan(made) == "kubestrap upgrade apply v1.37.2 --certificate-renewal=false --etcd-upgrade=false --config /root/upgrade.yaml --patches /root/patches");
  made["steps"] = Value::array(); // of a roll
  CHECK(withoutPlan(made) == "kubestrap upgrade apply v1.37.2 --etcd-upgrade=false --config /root/upgrade.yaml --patches /root/patches");
}
