#include "config/join.hpp"

#include "config/assemble.hpp"
#include "config/inputs.hpp"
#include "config/machine_defaults.hpp"
#include "config/token.hpp"
#include "config/v1alpha1.hpp"
#include "config/v1beta4.hpp"
#include "config/validate.hpp"
#include "support/text.hpp"

namespace kubestrap::config {

namespace {

using schema::Place;
using schema::Report;

constexpr std::string_view kJoin = "JoinConfiguration";

template <auto Member> constexpr auto flag = given<JoinFlags, Member>;

/// --token stands for both tokens, and gives way to the flag of either.
template <auto Member> std::optional<Value> orToken(const JoinFlags& flags) {
  const auto& own = flags.*Member;
  return own ? std::optional<Value>(*own) : flag<&JoinFlags::token>(flags);
}
/// A discovery token means nothing beside a file, which may have credentials of its own.
std::optional<Value> discoveryToken(const JoinFlags& flags) {
  return flags.discoveryFile ? flag<&JoinFlags::discoveryToken>(flags) : orToken<&JoinFlags::discoveryToken>(flags);
}

using F = JoinFlags;
constexpr FlagRow<JoinFlags> flagRows[] = {
    {"HOST:PORT", kJoin, "/discovery/bootstrapToken/apiServerEndpoint", false, flag<&F::endpoint>},
    {"--cri-socket", kJoin, "/nodeRegistration/criSocket", false, flag<&F::criSocket>},
    {"--discovery-file", kJoin, "/discovery/file/kubeConfigPath", false, flag<&F::discoveryFile>},
    {"--discovery-token", kJoin, "/discovery/bootstrapToken/token", false, discoveryToken},
    {"--discovery-token-ca-cert-hash", kJoin, "/discovery/bootstrapToken/caCertHashes", false, flag<&F::discoveryTokenCaCertHash>},
    {"--discovery-token-unsafe-skip-ca-verification", kJoin, "/discovery/bootstrapToken/unsafeSkipCAVerification", false,
     flag<&F::discoveryTokenUnsafeSkipCaVerification>},
    {"--node-name", kJoin, "/nodeRegistration/name", true, flag<&F::nodeName>},
    {"--patches", kJoin, "/patches/directory", false, flag<&F::patches>},
    {"--skip-phases", kJoin, "/skipPhases", true, flag<&F::skipPhases>},
    {"--tls-bootstrap-token", kJoin, "/discovery/tlsBootstrapToken", false, orToken<&F::tlsBootstrapToken>},
};

/// What only a control plane node has: without --control-plane they would be passed over in silence.
constexpr FlagRow<JoinFlags> controlPlaneRows[] = {
    {"--apiserver-advertise-address", kJoin, "/controlPlane/localAPIEndpoint/advertiseAddress", false, flag<&F::apiserverAdvertiseAddress>},
    {"--apiserver-bind-port", kJoin, "/controlPlane/localAPIEndpoint/bindPort", false, flag<&F::apiserverBindPort>},
    {"--certificate-key", kJoin, "/controlPlane/certificateKey", false, flag<&F::certificateKey>},
};

Inputs gatherForJoin(const std::vector<Document>& documents, const JoinFlags& flags, std::vector<Problem>& problems,
                     std::vector<std::string>& warnings) {
  auto inputs = gather(documents, {"join", {kJoin}, {v1alpha1::kind}}, flags.configFile, problems, warnings);
  const bool withFile = flags.configFile || !documents.empty();
  auto& join = inputs.at(kJoin).value;
  if (flags.controlPlane.value_or(false)) {
    if (withFile)
      problems.push_back({.where = "--control-plane", .message = "cannot be given together with --config", .expected = "controlPlane in the file"});
    else join["controlPlane"] = Value::object();
  }
  overlayFlags(inputs, flagRows, flags, withFile, problems);
  if (join.contains("controlPlane")) {
    overlayFlags(inputs, controlPlaneRows, flags, withFile, problems);
  } else {
    for (const auto& row : controlPlaneRows)
      if (row.value(flags)) warnings.push_back(std::string(row.flag) + " is only for control planes, and is ignored without --control-plane");
  }
  checkOverlaid(inputs, {kJoin}, problems);
  return inputs;
}

Discovery discoveryOf(const v1beta4::Discovery& given) {
  Discovery discovery{.how = {}, .tlsBootstrapToken = Secret(given.tlsBootstrapToken)};
  if (given.file) {
    discovery.how = FileDiscovery{given.file->kubeConfigPath};
    return discovery;
  }
  auto token = *parseToken(given.bootstrapToken->token);
  discovery.how = TokenDiscovery{.server = *endpoint(given.bootstrapToken->apiServerEndpoint, 6443),
                                 .tokenId = std::move(token.id),
                                 .tokenSecret = std::move(token.secret),
                                 .pins = given.bootstrapToken->caCertHashes};
  return discovery;
}

Node nodeOf(const v1beta4::JoinConfiguration& join, const Facts& facts, const Report& report, std::vector<std::string>& warnings) {
  const auto& registration = join.nodeRegistration;
  Node node{.name = nodeName(registration, facts, report),
            .hostname = lower(trim(facts.hostname)),
            .controlPlane = join.controlPlane.has_value(),
            .criSocket = criSocket(registration, facts, report, warnings),
            .taints = registration.taints.value_or(std::vector<Value>{}),
            .kubeletExtraArgs = registration.kubeletExtraArgs,
            .pullPolicy = pullPolicy(registration.imagePullPolicy),
            .pullSerial = registration.imagePullSerial.value_or(true),
            .resolvConf = resolvConf(facts),
            .proxyVariables = facts.proxyVariables,
            .kubeletWithoutSettings = kubeletWithoutSettings(facts),
            .hasSystemd = facts.initSystem == "systemd",
            .caFolders = existingCaFolders(facts)};
  if (!join.controlPlane) {
    if (facts.defaultAddress) node.advertiseAddress = *facts.defaultAddress;
    return node;
  }
  if (!registration.taints) node.taints = defaultControlPlaneTaints();
  const auto place = Place{}.member("controlPlane").member("localAPIEndpoint").member("advertiseAddress");
  node.advertiseAddress = advertiseAddress(join.controlPlane->localAPIEndpoint, place, facts, report);
  node.bindPort = join.controlPlane->localAPIEndpoint.bindPort;
  return node;
}

} // namespace

JoinRequest loadJoin(const std::vector<Document>& documents, const JoinFlags& flags, const Facts& facts,
                     std::vector<std::string>& warnings) {
  std::vector<Problem> problems;
  const auto inputs = gatherForJoin(documents, flags, problems, warnings);
  const auto report = inputs.at(kJoin).report(problems);
  auto join = v1beta4::decode<v1beta4::JoinConfiguration>(inputs.at(kJoin).value);
  v1beta4::applyDefaults(join);
  validate(join, report, warnings);
  auto node = nodeOf(join, facts, report, warnings);
  auto ignored = ignoredPreflightErrors(flags.ignorePreflightErrors, join.nodeRegistration, report);
  if (!problems.empty()) throw Problems(std::move(problems));

  // From here on everything given is valid.
  Request request{.certificateKey = Secret(join.controlPlane ? join.controlPlane->certificateKey : ""),
                  .ignorePreflightErrors = std::move(ignored),
                  .skipPhases = join.skipPhases,
                  .patchesDirectory = join.patches ? join.patches->directory : "",
                  .dryRun = join.dryRun,
                  .timeouts = timeouts(*join.timeouts)};
  request.joining.authorityFile = join.caCertPath;
  return {std::move(node), std::move(request), discoveryOf(join.discovery)};
}

} // namespace kubestrap::config
