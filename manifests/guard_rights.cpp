// What guards may do in the cluster, and the policies that stand beside them.
#include "config/rolling.hpp"
#include "manifests/guard.hpp"
#include "manifests/hosted.hpp"

#include <fmt/format.h>

#include <span>

namespace kubestrap::manifests {

namespace {

constexpr std::string_view rbac = "rbac.authorization.k8s.io", role = "kubestrap:guard";
using Words = std::vector<std::string_view>;

struct RightRow {
  std::string_view nameSpace; ///< empty: of the cluster
  std::string_view group, resource;
  Words names; ///< empty: all
  Words verbs;
};

const RightRow rights[] = {
    // Whether the node is labelled self-hosted, and what is held there.
    {"", "", "nodes", {}, {"get"}},
    // Its pods of the DaemonSets: whether one has failed. And the mirror pods of its rescue pods: which promotion the kubelet has taken up.
    {"kube-system", "", "pods", {}, {"list"}},
    // Whether a roll is complete, and the template that becomes the standby.
    {"kube-system", "apps", "daemonsets", {hostedComponents.begin(), hostedComponents.end()}, {"get"}},
    // Whether somebody leads, and whether other guards live.
    {"kube-system", "coordination.k8s.io", "leases", {}, {"list"}},
    // Its own Lease; a policy sees to it that it is its own. Creating knows no names.
    {"kube-system", "coordination.k8s.io", "leases", {}, {"create", "patch"}},
    // Whether an operation is under way, in which no standby is written and no rescue ended.
    {"kube-system", "", "configmaps", {config::planName}, {"get"}},
    // Where the API servers of other nodes are.
    {"kube-public", "", "configmaps", {"cluster-info"}, {"get"}},
    // The addresses of the Service kubernetes: a node with a ready API server puts its own back.
    {"default", "", "endpoints", {"kubernetes"}, {"get", "patch"}},
    {"default", "discovery.k8s.io", "endpointslices", {"kubernetes"}, {"get", "watch", "patch"}},
};

/// While a roll goes on.
const RightRow rightsInRoll[] = {
    // The template of the revision before, as its DaemonSet has kept it.
    {"kube-system", "apps", "controllerrevisions", {}, {"list"}},
    // That it is in force again; a policy sees to it that it is one before.
    {"kube-system", "apps", "daemonsets", {hostedComponents.begin(), hostedComponents.end()}, {"patch"}},
};

Value list(const Words& words) {
  Value value = Value::array();
  for (const auto word : words) value.push_back(word);
  return value;
}

Value named(std::string_view name, std::string_view nameSpace) {
  Value metadata = Value::object({{"name", name}});
  if (!nameSpace.empty()) metadata["namespace"] = nameSpace;
  return metadata;
}

Value rule(const RightRow& row) {
  Value value = Value::object({{"apiGroups", Value::array({row.group})}, {"resources", Value::array({row.resource})}});
  if (!row.names.empty()) value["resourceNames"] = list(row.names);
  value["verbs"] = list(row.verbs);
  return value;
}

/// Those of the rights that are in one namespace, and that guards have them.
std::vector<Value> rightsIn(std::string_view nameSpace, std::string_view called, std::span<const RightRow> rows) {
  const std::string prefix = nameSpace.empty() ? "Cluster" : "";
  Value rules = Value::array();
  for (const auto& row : rows)
    if (row.nameSpace == nameSpace) rules.push_back(rule(row));
  const Value guards = Value::object({{"apiGroup", rbac}, {"kind", "Group"}, {"name", guardGroup}});
  return {Value::object({{"apiVersion", fmt::format("{}/v1", rbac)},
                         {"kind", prefix + "Role"},
                         {"metadata", named(called, nameSpace)},
                         {"rules", std::move(rules)}}),
          Value::object({{"apiVersion", fmt::format("{}/v1", rbac)},
                         {"kind", prefix + "RoleBinding"},
                         {"metadata", named(called, nameSpace)},
                         {"roleRef", Value::object({{"apiGroup", rbac}, {"kind", prefix + "Role"}, {"name", called}})},
                         {"subjects", Value::array({guards})}})};
}

// ---- policies

constexpr std::string_view admission = "admissionregistration.k8s.io/v1";

/// What API servers shall hold against a rule.
struct MatchRow {
  std::string_view group, resource;
  Words operations, names;
};

struct CheckRow {
  std::string expression, message;
};

struct PolicyRow {
  std::string_view name, failurePolicy, nameSpace;
  std::vector<MatchRow> matches;
  std::vector<std::pair<std::string_view, std::string>> conditions, variables;
  std::vector<CheckRow> checks;
};

Value expressions(const std::vector<std::pair<std::string_view, std::string>>& rows) {
  Value value = Value::array();
  for (const auto& [name, expression] : rows) value.push_back(Value::object({{"name", name}, {"expression", expression}}));
  return value;
}

/// The policy and what puts it into force.
std::vector<Value> policy(const PolicyRow& row) {
  Value constraints = Value::object();
  if (!row.nameSpace.empty())
    constraints["namespaceSelector"] = Value::object({{"matchLabels", Value::object({{"kubernetes.io/metadata.name", row.nameSpace}})}});
  constraints["resourceRules"] = Value::array();
  for (const auto& match : row.matches) {
    Value rule = Value::object({{"apiGroups", Value::array({match.group})},
                                {"apiVersions", Value::array({"v1"})},
                                {"operations", list(match.operations)},
                                {"resources", Value::array({match.resource})}});
    if (!match.names.empty()) rule["resourceNames"] = list(match.names);
    constraints["resourceRules"].push_back(std::move(rule));
  }
  Value spec = Value::object({{"failurePolicy", row.failurePolicy}, {"matchConstraints", std::move(constraints)}});
  if (!row.conditions.empty()) spec["matchConditions"] = expressions(row.conditions);
  if (!row.variables.empty()) spec["variables"] = expressions(row.variables);
  spec["validations"] = Value::array();
  for (const auto& check : row.checks)
    spec["validations"].push_back(Value::object({{"expression", check.expression}, {"message", check.message}}));
  return {Value::object({{"apiVersion", admission},
                         {"kind", "ValidatingAdmissionPolicy"},
                         {"metadata", named(row.name, {})},
                         {"spec", std::move(spec)}}),
          Value::object({{"apiVersion", admission},
                         {"kind", "ValidatingAdmissionPolicyBinding"},
                         {"metadata", named(row.name, {})},
                         {"spec", Value::object({{"policyName", row.name}, {"validationActions", Value::array({"Deny"})}})}})};
}

void append(std::vector<Value>& all, std::vector<Value> more) {
  for (auto& each : more) all.push_back(std::move(each));
}

/// A role names no guard, so that it would let each of them take the Leases of leaders.
std::vector<Value> ownLeasePolicy() {
  return policy(
      {.name = "kubestrap-guards-own-lease",
       .failurePolicy = "Fail",
       .nameSpace = "kube-system",
       .matches = {{"coordination.k8s.io", "leases", {"CREATE", "UPDATE"}, {}}},
       .conditions = {{"guards", fmt::format("'{}' in request.userInfo.groups", guardGroup)}},
       .checks = {{fmt::format("request.userInfo.username == '{}' + object.metadata.name.replace('{}', '', 1) && "
                               "object.metadata.name.startsWith('{}')",
                               guardUser, guardLease(""), guardLease("")),
                   "a guard writes its own Lease and no other"}}});
}

/// A guard that is somebody else's shall not make it a template of its own: what would let it out of its container, or brings other programs.
std::vector<CheckRow> putBackChecks() {
  const auto revision = [](std::string_view object) { return fmt::format("int({}.spec.template.metadata.annotations['{}'])", object, config::revisionAnnotation); };
  const auto repository = [](std::string_view container) { return fmt::format("{0}.image.substring(0, {0}.image.lastIndexOf(':'))", container); };
  const auto seconds = [](std::string_view object) { return fmt::format("(has({0}.spec.minReadySeconds) ? {0}.spec.minReadySeconds : 0)", object); };
  const std::string pod = "object.spec.template.spec", oldPod = "oldObject.spec.template.spec";
  return {{fmt::format("{} < {}", revision("object"), revision("oldObject")), "a guard puts a revision before in force again, and does nothing else to a DaemonSet"},
          {fmt::format("object.spec.selector == oldObject.spec.selector && object.spec.updateStrategy == oldObject.spec.updateStrategy && {} == {}", seconds("object"), seconds("oldObject")),
           "a guard puts a template back, and nothing else of a DaemonSet"},
          {fmt::format("!has({0}.hostPID) || !{0}.hostPID || (has({1}.hostPID) && {1}.hostPID)", pod, oldPod), "no guard lets a pod see the processes of its node"},
          {fmt::format("!has({}.initContainers) || has({}.initContainers)", pod, oldPod), "no guard adds containers"},
          {fmt::format("{}.containers.all(c, !has(c.securityContext) || !has(c.securityContext.privileged) || !c.securityContext.privileged)", pod), "no guard makes a container privileged"},
          {fmt::format("{}.containers.all(c, {}.containers.exists(o, o.name == c.name && {} == {}))", pod, oldPod, repository("c"), repository("o")),
           "a guard brings no container, and no image of another repository, that the DaemonSet does not have"}};
}

std::string annotated(std::string_view object, std::string_view annotation) {
  return fmt::format("has({0}.metadata.annotations) && '{1}' in {0}.metadata.annotations", object, annotation);
}

/// What a DaemonSet of the control plane has to be like, so that its pods can run side by side and a static pod can be made of them.
std::vector<CheckRow> daemonSetChecks() {
  const std::string unlessDeleted = "request.operation == 'DELETE' || ";
  return {
      {"request.operation != 'DELETE' || (" + annotated("oldObject", allowDeleteAnnotation) + ")",
       "this DaemonSet is the cluster's control plane: kubestrap unpivot hands it back to static pods, kubestrap repair makes a ruined one anew"},
      {unlessDeleted + "variables.slot in ['blue', 'green']", "its pods need a slot, blue or green: kubestrap repair makes it as it has to be"},
      {unlessDeleted + "request.operation != 'UPDATE' || object.spec.template == oldObject.spec.template || variables.slot != variables.oldSlot",
       "a new revision cannot have the slot of the one that serves: kubestrap upgrade changes slot, address and probes together, and "
       "kubectl rollout undo goes back"},
      {unlessDeleted + "object.spec.template.spec.containers.exists(c, has(c.command) && ('--bind-address=' + variables.address) in c.command)",
       "--bind-address is not the address of its slot: kubestrap upgrade changes both together"},
      {unlessDeleted + "object.spec.template.spec.containers.all(c, !has(c.ports) || size(c.ports) == 0)",
       "ports keep two instances from running side by side on a node: leave them out"},
      {unlessDeleted + "!has(object.spec.template.spec.volumes) || object.spec.template.spec.volumes.all(v, has(v.hostPath) || has(v.emptyDir) "
                       "|| has(v.downwardAPI) || has(v.image))",
       "a volume of an API object cannot be had in a cold start: put the files on the nodes and mount their folder"},
      {unlessDeleted + "!has(object.spec.template.spec.serviceAccountName) || object.spec.template.spec.serviceAccountName in ['', 'default']",
       "a service account cannot be had in a cold start: components have a kubeconfig of their own"},
      {unlessDeleted + "object.spec.updateStrategy.type == 'RollingUpdate' && has(object.spec.updateStrategy.rollingUpdate) && "
                       "has(object.spec.updateStrategy.rollingUpdate.maxSurge) && "
                       "string(object.spec.updateStrategy.rollingUpdate.maxSurge) == '1' && "
                       "(!has(object.spec.updateStrategy.rollingUpdate.maxUnavailable) || "
                       "string(object.spec.updateStrategy.rollingUpdate.maxUnavailable) == '0')",
       "a roll starts the new instance before it takes the old one away: maxSurge 1, maxUnavailable 0"},
  };
}

std::string slotIn(std::string_view object) {
  return fmt::format("{0} != null && has({0}.spec.template.metadata.annotations) && '{1}' in {0}.spec.template.metadata.annotations ? "
                     "{0}.spec.template.metadata.annotations['{1}'] : ''",
                     object, slotAnnotation);
}

} // namespace

std::vector<Value> guardRules(const config::Cluster&) {
  std::vector<Value> all;
  for (const auto nameSpace : {"", "kube-system", "kube-public", "default"}) append(all, rightsIn(nameSpace, role, rights));
  append(all, ownLeasePolicy());
  append(all, putBackPolicy());
  return all;
}

/// While a roll goes on guards may write DaemonSets, and nothing but this.
std::vector<Value> putBackPolicy() {
  return policy({.name = "kubestrap-guards-put-back",
                 .failurePolicy = "Fail",
                 .nameSpace = "kube-system",
                 .matches = {{"apps", "daemonsets", {"UPDATE"}, {}}},
                 .conditions = {{"guards", fmt::format("'{}' in request.userInfo.groups", guardGroup)}},
                 .checks = putBackChecks()});
}

std::vector<Value> putBackRights() { return rightsIn("kube-system", putBackRole, rightsInRoll); }

std::vector<Value> keepEndpointsPolicy() {
  // Ignore: what it prevents is a second without the Service, what it could cause is an API server that cannot start.
  return policy({.name = "kubestrap-keep-kubernetes-endpoints",
                 .failurePolicy = "Ignore",
                 .nameSpace = "default",
                 .matches = {{"", "endpoints", {"UPDATE"}, {"kubernetes"}}, {"discovery.k8s.io", "endpointslices", {"UPDATE"}, {"kubernetes"}}},
                 // dyn: one expression for two kinds, each of which lacks the other's fields.
                 .checks = {{"object.kind == 'Endpoints' ? (has(dyn(object).subsets) && dyn(object).subsets.exists(s, has(s.addresses) && "
                             "size(s.addresses) > 0)) : (has(dyn(object).endpoints) && size(dyn(object).endpoints) > 0)",
                             "the address list of default/kubernetes must not become empty"}}});
}

std::vector<Value> guardRailsPolicy() {
  auto all = policy({.name = "kubestrap-controlplane-guardrails",
                     .failurePolicy = "Fail",
                     .nameSpace = "kube-system",
                     .matches = {{"apps", "daemonsets", {"CREATE", "UPDATE", "DELETE"}, {hostedComponents.begin(), hostedComponents.end()}}},
                     .variables = {{"slot", slotIn("object")},
                                   {"oldSlot", slotIn("oldObject")},
                                   {"address", fmt::format("variables.slot == 'green' ? '{}' : '{}'", slotAddress(Slot::green), slotAddress(Slot::blue))}},
                     .checks = daemonSetChecks()});
  const auto labelled = [](std::string_view object) {
    return fmt::format("has({0}.metadata.labels) && '{1}' in {0}.metadata.labels && {0}.metadata.labels['{1}'] == 'true'", object, selfHostedLabel);
  };
  // Ignore: a node must be able to tell of itself, whatever becomes of this policy.
  append(all, policy({.name = "kubestrap-node-guardrails",
                      .failurePolicy = "Ignore",
                      .nameSpace = {},
                      .matches = {{"", "nodes", {"UPDATE"}, {}}},
                      .checks = {{fmt::format("!({}) || ({}) || ({})", labelled("oldObject"), labelled("object"), annotated("object", allowUnlabelAnnotation)),
                                  fmt::format("without its label {} the node loses its control plane: kubestrap unpivot takes it away, after it has "
                                              "made sure that another serves",
                                              selfHostedLabel)}}}));
  return all;
}

} // namespace kubestrap::manifests
