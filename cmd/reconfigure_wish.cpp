#include "cmd/reconfigure_wish.hpp"

#include "cmd/own_cluster.hpp"
#include "cmd/wishes.hpp"
#include "config/audit.hpp"
#include "config/load.hpp"
#include "config/store.hpp"
#include "config/v1alpha1.hpp"
#include "manifests/security.hpp"
#include "phases/certificates.hpp"
#include "phases/reconfigure.hpp"
#include "plan/run.hpp"
#include "support/log.hpp"
#include "support/yaml.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::cmd {

namespace {

/// What can be changed: all else in ClusterConfiguration lies in etcd, in what clients know, or in what nodes have from their beginning.
constexpr const char* changeable[] = {"apiServer.certSANs", "apiServer.extraArgs", "apiServer.extraEnvs", "apiServer.extraVolumes", "controllerManager", "scheduler",
                                      "imageRepository", "dns"};
constexpr const char* changeableOfKubestrap = "security";

Value withoutChangeable(Value document) {
  for (const std::string path : changeable) {
    const auto dot = path.find('.');
    if (dot == path.npos) document.erase(path);
    else if (document.contains(path.substr(0, dot))) document[path.substr(0, dot)].erase(path.substr(dot + 1));
  }
  Value left = Value::object();
  for (const auto& [name, member] : document.items())
    if (!member.is_object() || !member.empty()) left[name] = member;
  return left;
}

std::vector<std::string> differing(const Value& before, const Value& after) {
  if (sameDocument(before, after)) return {};
  auto paths = differences(after, before);
  for (auto& path : differences(before, after))
    if (std::ranges::find(paths, path) == paths.end()) paths.push_back(std::move(path));
  return paths;
}

Value withoutSecurity(Value document) {
  document.erase(changeableOfKubestrap);
  return document;
}

void refuseOthers(const config::Cluster& present, const config::Cluster& wanted, std::string_view means) {
  if (present.version != wanted.version) throw Error("reconfigure does not change the version", "kubestrap upgrade does", ExitCode::refused);
  auto paths = differing(withoutChangeable(config::clusterConfigurationDocument(present)), withoutChangeable(config::clusterConfigurationDocument(wanted)));
  for (auto& path : differing(withoutSecurity(config::kubestrapConfigurationDocument(present)), withoutSecurity(config::kubestrapConfigurationDocument(wanted))))
    paths.push_back("KubestrapConfiguration." + path);
  if (!paths.empty())
    throw Error(fmt::format("{} cannot change {}", means, fmt::join(paths, ", ")),
                fmt::format("it can change {}, and {} of the KubestrapConfiguration", fmt::join(changeable, ", "), changeableOfKubestrap), ExitCode::refused);
  if (const auto flag = config::setTwice(wanted); !flag.empty())
    throw Error(fmt::format("apiServer.extraArgs: {} is set by security in the KubestrapConfiguration, too", flag), "take one of them out", ExitCode::refused);
  const auto &before = present.kubestrap.encryption, &after = wanted.kubestrap.encryption;
  if (before && after && before->resources != after->resources)
    throw Error("security.encryptionAtRest.resources cannot change while these are encrypted", "first without encryptionAtRest, then with the other resources", ExitCode::refused);
}

/// What a document does not say, as it is: all of it, or what cannot be another anyhow.
void complete(Value& document, const config::Cluster& present, bool merges) {
  const bool own = stringAt(document, "kind") == config::v1alpha1::kind;
  if (!own && stringAt(document, "kind") != "ClusterConfiguration") return;
  auto now = own ? config::kubestrapConfigurationDocument(present) : config::clusterConfigurationDocument(present);
  if (!merges) now = own ? withoutSecurity(std::move(now)) : withoutChangeable(std::move(now));
  dropNulls(document); // which would take away
  now.merge_patch(document);
  document = std::move(now);
}

/// Documents as init takes them, made complete.
std::vector<Document> documentsOf(const ReconfigureWish& wish, const config::Cluster& present, Machine& machine) {
  if (wish.file.empty()) return {};
  auto documents = withAuditPolicy(machine.readDocuments(wish.file), machine.host());
  std::vector<std::string> warnings;
  auto problems = config::validateDocuments(documents, warnings);
  if (!problems.empty()) throw Problems(std::move(problems));
  for (const auto& warning : warnings) log::warn(warning);
  for (auto& document : documents) complete(document.value, present, wish.merges);
  return documents;
}

std::vector<std::string> without(const std::vector<std::string>& names, const std::vector<std::string>& others) {
  std::vector<std::string> left;
  for (const auto& name : names)
    if (std::ranges::find(others, name) == others.end()) left.push_back(name);
  return left;
}

} // namespace

Value auditPolicyOf(const config::Cluster& cluster) { return cluster.kubestrap.audit ? cluster.kubestrap.audit->policy : Value(); }

config::Cluster wantedCluster(const ReconfigureWish& wish, const std::vector<Document>& stored, Machine& machine, std::string_view means) {
  if (stored.empty()) throw Error("the cluster keeps no configuration", "kubestrap init phase upload-config all");
  const auto present = clusterOf(stored);
  auto documents = documentsOf(wish, present, machine);
  const bool hasPolicy = std::ranges::any_of(documents, [](const Document& each) { return stringAt(each.value, "kind") == config::auditPolicyKind; });
  auto wanted = clusterOf(stored, {}, std::move(documents));
  refuseOthers(present, wanted, means);
  const auto& audit = wanted.kubestrap.audit;
  if (audit && !audit->policy.is_object())
    throw Error("security.audit: nothing says what the log is to hold", "name a file with policyFile, or put the Policy beside the KubestrapConfiguration", ExitCode::usage);
  if (hasPolicy && !audit) throw Error("nothing asks for an audit log, for which there is a Policy", "security.audit in the KubestrapConfiguration", ExitCode::usage);
  if (wish.rotatesKey && (!present.kubestrap.encryption || !wanted.kubestrap.encryption))
    throw Error("there is no key to rotate: nothing is encrypted", "security.encryptionAtRest in the KubestrapConfiguration", ExitCode::refused);
  return wanted;
}

std::vector<std::string> goingNames(const config::Cluster& present, const config::Cluster& wanted) { return without(present.apiServerCertSANs, wanted.apiServerCertSANs); }

bool isStoredOtherwise(const config::Cluster& present, const config::Cluster& wanted) {
  return !sameDocument(config::clusterConfigurationDocument(present), config::clusterConfigurationDocument(wanted)) ||
         !sameDocument(config::kubestrapConfigurationDocument(present), config::kubestrapConfigurationDocument(wanted)) || !sameDocument(auditPolicyOf(present), auditPolicyOf(wanted));
}

std::string upgradeThatGoesOn(const std::string& stoppedAt, const Version& present) {
  const auto version = readVersion(stoppedAt);
  return version && *version < present ? "kubestrap upgrade node goes on" : fmt::format("kubestrap upgrade apply {} goes on", stoppedAt);
}

void refuseWithoutAuthority(const config::Setup& setup, const std::vector<std::string>& going, Machine& machine) {
  if (machine.host().status(phases::keyFile(setup.cluster, "ca"))) return;
  auto world = machine.world();
  try {
    plan::verdict(phases::reconfigure::onNode(setup, going).front(), world);
  } catch (const Interrupted&) {
    throw;
  } catch (const Error& error) {
    throw Error(fmt::format("{}; the authority's key is not on this machine", error.message()),
                "on every control plane: kubestrap certs generate-csr --config FILE with this configuration, have apiserver.csr signed where the key is, kubestrap certs import; then "
                "run this again",
                ExitCode::refused);
  }
}

} // namespace kubestrap::cmd
