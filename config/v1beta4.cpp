#include "config/v1beta4.hpp"

#include "config/v1beta4_cluster.hpp"
#include "config/v1beta4_machine.hpp"
#include "config/v1beta4_upgrade.hpp"

namespace kubestrap::config {

namespace v1beta4 {

namespace {

using schema::Kind;
using schema::Type;

template <class Configuration>
constexpr Type documentType{.kind = Kind::record, .fields = schema::fieldsOf<Configuration>, .document = true};

template <class Configuration> constexpr std::string_view kindOf = "";
template <> constexpr std::string_view kindOf<InitConfiguration> = "InitConfiguration";
template <> constexpr std::string_view kindOf<ClusterConfiguration> = "ClusterConfiguration";
template <> constexpr std::string_view kindOf<JoinConfiguration> = "JoinConfiguration";
template <> constexpr std::string_view kindOf<ResetConfiguration> = "ResetConfiguration";
template <> constexpr std::string_view kindOf<UpgradeConfiguration> = "UpgradeConfiguration";

void fillTimeouts(std::optional<Timeouts>& timeouts) {
  if (!timeouts) timeouts.emplace();
  schema::applyDefaults(*timeouts);
}

/// As core/v1 EnvVar is read and written: an empty value is none, and a field is one of v1.
void fillEnvironment(std::vector<Value>& variables) {
  for (Value& one : variables) {
    if (!one.is_object()) continue;
    if (one.contains("value") && one["value"] == "") one.erase("value");
    if (one.contains("valueFrom") && one["valueFrom"].is_object() && one["valueFrom"].contains("fieldRef") &&
        stringAt(one, "valueFrom.fieldRef.apiVersion").empty() && one["valueFrom"]["fieldRef"].is_object())
      one["valueFrom"]["fieldRef"]["apiVersion"] = "v1";
  }
}

void fillRest(InitConfiguration& configuration) {
  if (configuration.bootstrapTokens.empty()) configuration.bootstrapTokens.emplace_back();
  fillTimeouts(configuration.timeouts);
}

void fillRest(ClusterConfiguration& configuration) {
  Etcd& etcd = configuration.etcd;
  if (!etcd.local && !etcd.external) etcd.local.emplace();
  if (etcd.local) fillEnvironment(etcd.local->extraEnvs);
  if (etcd.external && etcd.external->httpEndpoints.empty()) etcd.external->httpEndpoints = etcd.external->endpoints;
  for (auto* variables : {&configuration.apiServer.extraEnvs, &configuration.controllerManager.extraEnvs,
                          &configuration.scheduler.extraEnvs})
    fillEnvironment(*variables);
}

void fillRest(JoinConfiguration& configuration) {
  Discovery& discovery = configuration.discovery;
  if (discovery.tlsBootstrapToken.empty() && discovery.bootstrapToken)
    discovery.tlsBootstrapToken = discovery.bootstrapToken->token;
  constexpr std::string_view fileScheme = "file://";
  if (discovery.file && discovery.file->kubeConfigPath.starts_with(fileScheme))
    discovery.file->kubeConfigPath.erase(0, fileScheme.size());
  fillTimeouts(configuration.timeouts);
}

void fillRest(ResetConfiguration& configuration) { fillTimeouts(configuration.timeouts); }
void fillRest(UpgradeConfiguration& configuration) { fillTimeouts(configuration.timeouts); }

/// A token's defaults depend on each other: `expires` takes the place of `ttl`, groups are for authentication only.
void untangle(std::vector<BootstrapToken>& tokens, const std::vector<BootstrapToken>& asGiven) {
  for (std::size_t i = 0; i < asGiven.size(); ++i) {
    if (asGiven[i].expires && !asGiven[i].ttl) tokens[i].ttl.reset();
    const auto& usages = tokens[i].usages;
    if (asGiven[i].groups.empty() && std::find(usages.begin(), usages.end(), "authentication") == usages.end())
      tokens[i].groups.clear();
  }
}

} // namespace

const Type initConfiguration = documentType<InitConfiguration>;
const Type clusterConfiguration = documentType<ClusterConfiguration>;
const Type joinConfiguration = documentType<JoinConfiguration>;
const Type resetConfiguration = documentType<ResetConfiguration>;
const Type upgradeConfiguration = documentType<UpgradeConfiguration>;

template <class Configuration> Configuration decode(const Value& document) {
  Configuration configuration;
  schema::get(document, configuration);
  return configuration;
}

template <class Configuration> Value encode(const Configuration& configuration) {
  Value document = schema::put(configuration);
  document["apiVersion"] = std::string(apiVersion);
  document["kind"] = std::string(kindOf<Configuration>);
  return sorted(document);
}

template <class Configuration> void applyDefaults(Configuration& configuration) {
  fillRest(configuration);
  if constexpr (std::is_same_v<Configuration, InitConfiguration>) {
    const auto asGiven = configuration.bootstrapTokens;
    schema::applyDefaults(configuration);
    untangle(configuration.bootstrapTokens, asGiven);
  } else {
    schema::applyDefaults(configuration);
  }
}

template InitConfiguration decode(const Value&);
template ClusterConfiguration decode(const Value&);
template JoinConfiguration decode(const Value&);
template ResetConfiguration decode(const Value&);
template UpgradeConfiguration decode(const Value&);
template Value encode(const InitConfiguration&);
template Value encode(const ClusterConfiguration&);
template Value encode(const JoinConfiguration&);
template Value encode(const ResetConfiguration&);
template Value encode(const UpgradeConfiguration&);
template void applyDefaults(InitConfiguration&);
template void applyDefaults(ClusterConfiguration&);
template void applyDefaults(JoinConfiguration&);
template void applyDefaults(ResetConfiguration&);
template void applyDefaults(UpgradeConfiguration&);

} // namespace v1beta4

} // namespace kubestrap::config
