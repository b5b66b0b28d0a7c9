#include "manifests/guard.hpp"

#include "manifests/hosted.hpp"
#include "support/text.hpp"
#include "tests/unit/manifests/fixture.hpp"

#include <doctest/doctest.h>

#include <set>

using namespace kubestrap;
using namespace kubestrap::manifests;

namespace {

using test::hostedSetup;

std::string joined(const Value& list) {
  const auto words = test::strings(list);
  return join(words, ",");
}

/// "kube-system /pods list": each right that a role gives, a line.
std::set<std::string> rightsOf(const std::vector<Value>& objects) {
  std::set<std::string> lines;
  for (const auto& object : objects) {
    if (!object.contains("rules")) continue;
    for (const auto& rule : object.at("rules"))
      for (const auto& verb : rule.at("verbs"))
        lines.insert(stringAt(object, "metadata.namespace", "*") + " " + joined(rule.at("apiGroups")) + "/" + joined(rule.at("resources")) +
                     (rule.contains("resourceNames") ? ":" + joined(rule.at("resourceNames")) : "") + " " + verb.get<std::string>());
  }
  return lines;
}

const Value& policyOf(const std::vector<Value>& objects, const std::string& name) {
  for (const auto& object : objects)
    if (stringAt(object, "kind") == "ValidatingAdmissionPolicy" && stringAt(object, "metadata.name") == name) return object;
  throw std::runtime_error("no policy " + name);
}

} // namespace

TEST_CASE("a guard may do this, and nothing else") {
  const auto rules = guardRules(hostedSetup().cluster);
  CHECK(rightsOf(rules) == std::set<std::string>{
                               "* /nodes get",
                               "kube-system /pods list",
                               "kube-system apps/daemonsets:kube-apiserver,kube-controller-manager,kube-scheduler get",
                               "kube-system coordination.k8s.io/leases list",
                               "kube-system coordination.k8s.io/leases create",
                               "kube-system coordination.k8s.io/leases patch",
                               "kube-system /configmaps:kubestrap-plan get",
                               "kube-public /configmaps:cluster-info get",
                               "default /endpoints:kubernetes get",
                               "default /endpoints:kubernetes patch",
                               "default discovery.k8s.io/endpointslices:kubernetes get",
                               "default discovery.k8s.io/endpointslices:kubernetes watch",
                               "default discovery.k8s.io/endpointslices:kubernetes patch",
                           });
  // Each role is bound to guards and to nobody else, and there is no binding to a role that is not among these.
  std::set<std::string> roles, bound;
  for (const auto& object : rules) {
    const auto kind = stringAt(object, "kind"), place = stringAt(object, "metadata.namespace");
    if (kind.ends_with("Role")) roles.insert(place + "/" + stringAt(object, "metadata.name"));
    if (!kind.ends_with("Binding") || kind.starts_with("Validating")) continue;
    bound.insert(place + "/" + stringAt(object, "roleRef.name"));
    REQUIRE(object.at("subjects").size() == 1);
    CHECK(object.at("subjects")[0] == Value::object({{"apiGroup", "rbac.authorization.k8s.io"}, {"kind", "Group"}, {"name", "kubestrap:guards"}}));
  }
  CHECK(roles == bound);
  CHECK(roles.size() == 4);
}

TEST_CASE("while a roll goes on a guard may do this besides, and nothing else, as one role with its binding") {
  const auto rules = putBackRights();
  CHECK(rightsOf(rules) == std::set<std::string>{
                               "kube-system apps/controllerrevisions list",
                               "kube-system apps/daemonsets:kube-apiserver,kube-controller-manager,kube-scheduler patch",
                           });
  REQUIRE(rules.size() == 2);
  CHECK(stringAt(rules[0], "kind") == "Role");
  CHECK(stringAt(rules[1], "kind") == "RoleBinding");
  CHECK(stringAt(rules[1], "roleRef.name") == stringAt(rules[0], "metadata.name"));
  CHECK(stringAt(rules[1], "metadata.name") == putBackRole);
  CHECK(rules[1].at("subjects") == Value::array({Value::object({{"apiGroup", "rbac.authorization.k8s.io"}, {"kind", "Group"}, {"name", "kubestrap:guards"}})}));
}

TEST_CASE("the guard's pod has no capability, no port, no object of the API, and three folders") {
  const auto pod = guardPod(hostedSetup());
  CHECK(notFitForStaticPod(pod) == "");
  CHECK(stringAt(pod, "metadata.name") == "kubestrap-guard");
  CHECK(pod["spec"]["hostNetwork"] == true);
  CHECK(pod["spec"]["priority"] == 2000001000);
  REQUIRE(pod["spec"]["containers"].size() == 1);
  const auto& container = test::container(pod);
  CHECK(stringAt(container, "image") == "kubestrap.io/kubestrap:v0");
  CHECK(container["securityContext"]["capabilities"] == Value::object({{"drop", Value::array({"ALL"})}}));
  CHECK(container["securityContext"]["allowPrivilegeEscalation"] == false);
  CHECK(container["securityContext"]["readOnlyRootFilesystem"] == true);
  CHECK(!container.contains("ports"));
  std::set<std::string> folders, mounts;
  for (const auto& volume : pod["spec"]["volumes"]) folders.insert(stringAt(volume, "hostPath.path"));
  for (const auto& mount : container["volumeMounts"]) mounts.insert(stringAt(mount, "mountPath"));
  CHECK(folders == std::set<std::string>{"/etc/kubernetes/manifests", "/etc/kubernetes/kubestrap", "/run/kubestrap"});
  CHECK(mounts == folders);
}

TEST_CASE("the guard knows its node, its front, its slots and its etcd") {
  auto setup = hostedSetup();
  auto command = test::command(guardPod(setup));
  CHECK(command == std::vector<std::string>{"kubestrap", "guard", "run", "--node=n1", "--address=10.88.0.11", "--server=https://127.0.0.1:6443",
                                            "--slot-port=6443", "--etcd=http://127.0.0.1:2381/readyz"});
  setup.node.bindPort = 8443;
  setup.cluster.etcd.external = config::ExternalEtcd{.endpoints = {"https://10.0.0.9:2379", "https://10.0.0.10:2379"}};
  command = test::command(guardPod(setup));
  CHECK(test::has(command, "--server=https://127.0.0.1:8443"));
  CHECK(test::has(command, "--slot-port=8443"));
  CHECK(test::has(command, "--etcd=https://10.0.0.9:2379,https://10.0.0.10:2379"));
}

TEST_CASE("a node begins with everything held") {
  CHECK(bootstrapState() == Value::parse(R"({"mode":"bootstrap","held":["kube-apiserver","kube-controller-manager","kube-scheduler"]})"));
  CHECK(nodeState("selfhosted", {}) == Value::parse(R"({"mode":"selfhosted","held":[]})"));
}

TEST_CASE("a policy that cannot be worked out keeps guards from Leases, and keeps nobody from starting an API server") {
  CHECK(policyOf(guardRules(hostedSetup().cluster), "kubestrap-guards-own-lease")["spec"]["failurePolicy"] == "Fail");
  const auto putBack = policyOf(guardRules(hostedSetup().cluster), "kubestrap-guards-put-back");
  CHECK(putBack["spec"]["failurePolicy"] == "Fail");
  std::string checks;
  for (const auto& each : putBack["spec"]["validations"]) checks += stringAt(each, "expression") + "\n";
  for (const auto* part : {"spec.selector", "spec.updateStrategy", ".hostPID", ".initContainers", ".privileged", "lastIndexOf(':')"}) CHECK(checks.find(part) != checks.npos);
  CHECK(policyOf(keepEndpointsPolicy(), "kubestrap-keep-kubernetes-endpoints")["spec"]["failurePolicy"] == "Ignore");
  CHECK(policyOf(guardRailsPolicy(), "kubestrap-node-guardrails")["spec"]["failurePolicy"] == "Ignore");
  CHECK(policyOf(guardRailsPolicy(), "kubestrap-controlplane-guardrails")["spec"]["failurePolicy"] == "Fail");
}

TEST_CASE("every policy is in force, and every refusal says something") {
  for (const auto& objects : {guardRules(hostedSetup().cluster), keepEndpointsPolicy(), guardRailsPolicy()}) {
    std::set<std::string> policies, inForce;
    for (const auto& object : objects) {
      if (stringAt(object, "kind") == "ValidatingAdmissionPolicyBinding") inForce.insert(stringAt(object, "spec.policyName"));
      if (stringAt(object, "kind") != "ValidatingAdmissionPolicy") continue;
      policies.insert(stringAt(object, "metadata.name"));
      for (const auto& check : object["spec"]["validations"]) CHECK(!stringAt(check, "message").empty());
    }
    CHECK(policies == inForce);
    CHECK(!policies.empty());
  }
}
