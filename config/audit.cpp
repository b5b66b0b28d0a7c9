#include "config/audit.hpp"

#include "config/rules.hpp"
#include "support/error.hpp"
#include "support/yaml.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace kubestrap::config {

namespace {

using schema::Field;
using schema::Kind;
using schema::Rule;
using schema::Type;

// The fields are those of k8s.io/apiserver/apis/audit/v1, of 1.37.

constexpr std::string_view since = "v1";
constexpr std::string_view levelNames[] = {"None", "Metadata", "Request", "RequestResponse"};
constexpr std::string_view stageNames[] = {"RequestReceived", "ResponseStarted", "ResponseComplete", "Panic"};
constexpr Rule level{.choices = levelNames}, stage{.choices = stageNames};

constexpr Type text{.kind = Kind::text}, boolean{.kind = Kind::boolean}, anything{.kind = Kind::any};
constexpr Type texts{.kind = Kind::list, .item = &text};

constexpr Field stages{.name = "omitStages", .rule = &stage, .doc = "Stages of a request that are not logged.", .since = since, .type = &texts};
constexpr Field managedFields{.name = "omitManagedFields", .doc = "Whether the managed fields of objects are left out.", .since = since, .type = &boolean};

constexpr Field groupFields[] = {
    {.name = "group", .doc = "The API group; empty is the core group.", .since = since, .type = &text},
    {.name = "resources", .doc = "Resources of it, or RESOURCE/SUBRESOURCE; all when there are none.", .since = since, .type = &texts},
    {.name = "resourceNames", .doc = "Names of objects; all when there are none.", .since = since, .type = &texts},
};
constexpr Type group{.kind = Kind::record, .fields = groupFields};
constexpr Type groups{.kind = Kind::list, .item = &group};

constexpr Field ruleFields[] = {
    {.name = "level", .rule = &level, .doc = "How much of a request that it fits is logged.", .since = since, .required = true, .type = &text},
    {.name = "users", .doc = "Whose requests it fits.", .since = since, .type = &texts},
    {.name = "userGroups", .doc = "The requests of members of which groups it fits.", .since = since, .type = &texts},
    {.name = "verbs", .doc = "Which verbs it fits.", .since = since, .type = &texts},
    {.name = "resources", .doc = "Requests for which resources it fits.", .since = since, .type = &groups},
    {.name = "namespaces", .doc = "Requests in which namespaces it fits.", .since = since, .type = &texts},
    {.name = "nonResourceURLs", .doc = "Requests for which other paths it fits.", .since = since, .type = &texts},
    stages,
    managedFields,
};
constexpr Type rule{.kind = Kind::record, .fields = ruleFields};
constexpr Type ruleList{.kind = Kind::list, .item = &rule};

constexpr Field policyFields[] = {
    {.name = "metadata", .doc = "As of any object; it says nothing to the API server.", .since = since, .type = &anything},
    {.name = "rules", .doc = "The first rule that fits a request says what is logged of it.", .since = since, .required = true, .type = &ruleList},
    stages,
    managedFields,
};

constexpr std::string_view auditFlags[] = {"audit-policy-file", "audit-log-path", "audit-log-maxsize", "audit-log-maxbackup"};
constexpr std::string_view encryptionFlags[] = {"encryption-provider-config", "encryption-provider-config-automatic-reload"};

std::string among(std::span<const std::string_view> flags, const std::vector<Arg>& arguments) {
  for (const auto& each : arguments)
    if (std::ranges::find(flags, each.name) != flags.end()) return each.name;
  return {};
}

} // namespace

const Type auditPolicy{.kind = Kind::record, .fields = policyFields, .document = true};

std::string auditPolicyText(const Audit& audit) {
  if (!audit.policy.is_object())
    throw Error("the audit log's policy is not known", "security.audit.policyFile names a file with it, where a configuration comes from one; the cluster keeps it in "
                                                       "kube-system/kubestrap-config");
  return emitYaml(sorted(audit.policy));
}

std::string setTwice(const Cluster& cluster) {
  const auto& arguments = cluster.apiServer.extraArgs;
  if (auto flag = cluster.kubestrap.audit ? among(auditFlags, arguments) : ""; !flag.empty()) return flag;
  return cluster.kubestrap.encryption ? among(encryptionFlags, arguments) : "";
}

bool encryptsByArguments(const Cluster& cluster) { return !among(encryptionFlags, cluster.apiServer.extraArgs).empty(); }

} // namespace kubestrap::config
