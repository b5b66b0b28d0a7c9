#include "config/validate.hpp"

#include "config/addons.hpp"
#include "config/audit.hpp"
#include "config/rules.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>

namespace kubestrap::config {

namespace {

using schema::Place;
using schema::Report;
using Warnings = std::vector<std::string>;

constexpr std::uint64_t leastServiceAddresses = 10, leastPodAddresses = 14;
constexpr int mostServiceBits = 20, mostNodeBits = 16;

Place at(std::string_view dottedPath) {
  Place place;
  for (const auto& part : split(dottedPath, '.')) place = place.member(part);
  return place;
}

/// Counts, families and sizes; nothing when they do not even parse.
std::vector<Cidr> checkSubnets(const std::string& text, std::uint64_t leastAddresses, const Place& place,
                               const Report& report, Warnings& warnings) {
  static const std::string example = "a range like 10.244.0.0/16, or an IPv4 and an IPv6 one with a comma between";
  auto subnets = parseSubnets(text);
  if (!subnets) {
    report.add(place, fmt::format("\"{}\" is not an address range", text), example);
    return {};
  }
  if (subnets->size() > 2 || (subnets->size() == 2 && subnets->front().isV6() == subnets->back().isV6()))
    report.add(place, fmt::format("\"{}\" is not one range, or two of different families", text), example);
  const Cidr siteLocal = *Cidr::parse("fec0::/10");
  for (const Cidr& subnet : *subnets) {
    if (subnet.size() < leastAddresses)
      report.add(place, fmt::format("{} has only {} addresses", subnet.string(), subnet.size()),
                 fmt::format("at least {}", leastAddresses));
    if (subnet.overlaps(siteLocal))
      warnings.push_back(
          fmt::format("{}: {} has IPv6 site-local addresses, which RFC 3879 deprecates", place.path, subnet.string()));
  }
  return *subnets;
}

void checkServices(const v1beta4::Networking& networking, const Report& report, Warnings& warnings) {
  const Place place = at("networking.serviceSubnet");
  for (const Cidr& subnet : checkSubnets(networking.serviceSubnet, leastServiceAddresses, place, report, warnings))
    if (subnet.hostBits() > mostServiceBits)
      report.add(place, fmt::format("{} is too large for services", subnet.string()),
                 fmt::format("/{} or smaller", (subnet.isV6() ? 128 : 32) - mostServiceBits));
}

/// The prefix that the controller manager gives to each node.
std::optional<int> nodeMask(const std::vector<Arg>& arguments, bool v6) {
  auto given = lastArgument(arguments, v6 ? "node-cidr-mask-size-ipv6" : "node-cidr-mask-size-ipv4");
  if (!given || given->empty()) return v6 ? 64 : 24;
  int mask = 0;
  auto [end, error] = std::from_chars(given->data(), given->data() + given->size(), mask);
  return error == std::errc() && end == given->data() + given->size() ? std::optional(mask) : std::nullopt;
}

void checkPods(const v1beta4::ClusterConfiguration& configuration, const Report& report, Warnings& warnings) {
  const std::string& text = configuration.networking.podSubnet;
  if (text.empty()) return;
  const auto& arguments = configuration.controllerManager.extraArgs;
  const Place place = at("networking.podSubnet");
  const auto subnets = checkSubnets(text, leastPodAddresses, place, report, warnings);
  if (lastArgument(arguments, "allocate-node-cidrs") == "false") return;
  for (const Cidr& subnet : subnets) {
    auto mask = nodeMask(arguments, subnet.isV6());
    if (!mask)
      report.add(at("controllerManager.extraArgs"),
                 fmt::format("node-cidr-mask-size-ipv{} is not a whole number", subnet.isV6() ? 6 : 4), "like 24");
    else if (subnet.prefix() > *mask)
      report.add(place, fmt::format("{} is smaller than the /{} that each node gets of it", subnet.string(), *mask),
                 fmt::format("/{} or larger", *mask));
    else if (*mask - subnet.prefix() > mostNodeBits)
      report.add(place,
                 fmt::format("{} is more than {} bits larger than the /{} that each node gets of it", subnet.string(),
                             mostNodeBits, *mask),
                 fmt::format("/{} or smaller", *mask - mostNodeBits));
  }
}

void checkEtcd(const v1beta4::Etcd& etcd, const Report& report) {
  if (etcd.local && etcd.external)
    return report.add(at("etcd"), "local and external exclude each other", "one of them");
  if (!etcd.external) return;
  const auto& external = *etcd.external;
  const Place place = at("etcd.external");
  const bool anyFile = !external.caFile.empty() || !external.certFile.empty() || !external.keyFile.empty();
  if (external.certFile.empty() != external.keyFile.empty())
    report.add(place.member(external.certFile.empty() ? "certFile" : "keyFile"), "missing",
               "certFile and keyFile together");
  if (!external.certFile.empty() && !external.keyFile.empty() && external.caFile.empty())
    report.add(place.member("caFile"), "missing", "a file, since certFile and keyFile are given");
  if (external.endpoints.empty())
    report.add(place.member("endpoints"), "no endpoint is given", "at least one, like https://10.0.0.21:2379");
  for (std::size_t i = 0; i < external.endpoints.size(); ++i) {
    auto scheme = rules::schemeOf(external.endpoints[i]);
    if (anyFile && !scheme.empty() && scheme != "https")
      report.add(place.member("endpoints").item(i), fmt::format("\"{}\" is not an https URL", external.endpoints[i]),
                 "https, since certificate files are given");
  }
}

void checkLifetimes(const v1beta4::ClusterConfiguration& configuration, const Report& report, Warnings& warnings) {
  constexpr Duration usual = std::chrono::hours(8760), usualAuthority = std::chrono::hours(87600);
  const Duration life = configuration.certificateValidityPeriod.value_or(usual),
                 authority = configuration.caCertificateValidityPeriod.value_or(usualAuthority);
  if (life <= Duration::zero())
    report.add(at("certificateValidityPeriod"), fmt::format("{} is no time at all", formatDuration(life)),
               "like 8760h");
  if (authority <= Duration::zero())
    report.add(at("caCertificateValidityPeriod"), fmt::format("{} is no time at all", formatDuration(authority)),
               "like 87600h");
  if (life > usual)
    warnings.push_back(fmt::format("certificateValidityPeriod: {} is longer than the recommended {}",
                                   formatDuration(life), formatDuration(usual)));
  if (authority > usualAuthority)
    warnings.push_back(fmt::format("caCertificateValidityPeriod: {} is longer than the recommended {}",
                                   formatDuration(authority), formatDuration(usualAuthority)));
  if (life > authority)
    warnings.push_back(fmt::format("certificateValidityPeriod: {} is longer than the {} of the authorities",
                                   formatDuration(life), formatDuration(authority)));
}

void checkTokens(const std::vector<v1beta4::BootstrapToken>& tokens, const Report& report) {
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const auto& token = tokens[i];
    const Place place = at("bootstrapTokens").item(i);
    if (token.ttl && token.expires) report.add(place, "ttl and expires exclude each other", "one of them");
    if (token.ttl && *token.ttl < Duration::zero())
      report.add(place.member("ttl"), fmt::format("{} is negative", formatDuration(*token.ttl)),
                 "a duration like 24h, or 0s for ever");
    if (!token.groups.empty() && std::ranges::find(token.usages, "authentication") == token.usages.end())
      report.add(place.member("groups"), "groups are of use for authentication only",
                 "usages with authentication, or no groups");
  }
}

void checkDiscovery(const v1beta4::Discovery& discovery, const Report& report) {
  const Place place = at("discovery");
  if (!discovery.bootstrapToken == !discovery.file)
    report.add(place,
               discovery.file ? "bootstrapToken and file exclude each other" : "nothing says how the cluster is found",
               "bootstrapToken or file");
  if (!discovery.bootstrapToken) return;
  const auto& token = *discovery.bootstrapToken;
  const Place below = place.member("bootstrapToken");
  auto endpoint = splitHostPort(token.apiServerEndpoint);
  if (token.apiServerEndpoint.empty())
    report.add(below.member("apiServerEndpoint"), "missing", "host:port of an API server");
  else if (endpoint && !endpoint->port)
    report.add(below.member("apiServerEndpoint"), fmt::format("\"{}\" has no port", token.apiServerEndpoint),
               "host:port of an API server");
  if (token.caCertHashes.empty() && !token.unsafeSkipCAVerification)
    report.add(below.member("caCertHashes"),
               "missing: without a hash anybody who knows the token can pose as the cluster",
               "sha256:... as init printed it, or unsafeSkipCAVerification: true");
}

void checkPatchFolder(const std::optional<v1beta4::Patches>& patches, std::string_view section, const Report& report) {
  if (patches && !patches->directory.starts_with('/'))
    report.add(at(section).member("patches").member("directory"),
               fmt::format("\"{}\" is not an absolute path", patches->directory), "a path that begins with /");
}

/// A feature gate of the bootstrapper. Minors are of Kubernetes 1; `lastMinor` 0: still there.
struct GateRow {
  std::string_view name;
  int lastMinor = 0;
  std::string_view advice; ///< why it cannot be switched from its default
  bool fixedAt;
};
constexpr GateRow gates[] = {
    {"RootlessControlPlane", 0, "it is to go in favour of user namespaces, and a cluster made with it could not be carried on", false},
    {"NodeLocalCRISocket", 36, "it is locked on since 1.36", true},
    {"PublicKeysECDSA", 36, "encryptionAlgorithm takes its place", false},
};

} // namespace

std::optional<std::vector<Cidr>> parseSubnets(std::string_view text) {
  std::vector<Cidr> subnets;
  for (const auto& part : split(text, ',')) {
    auto subnet = Cidr::parse(part);
    if (!subnet) return {};
    subnets.push_back(*subnet);
  }
  if (subnets.empty()) return {};
  return subnets;
}

std::optional<std::string> lastArgument(const std::vector<Arg>& arguments, std::string_view name) {
  auto found =
      std::find_if(arguments.rbegin(), arguments.rend(), [&](const Arg& argument) { return argument.name == name; });
  return found == arguments.rend() ? std::nullopt : std::optional(found->value);
}

void validate(const v1beta4::ClusterConfiguration& configuration, const Report& report, Warnings& warnings) {
  checkServices(configuration.networking, report, warnings);
  checkPods(configuration, report, warnings);
  checkEtcd(configuration.etcd, report);
  checkLifetimes(configuration, report, warnings);
}

void validate(const v1beta4::InitConfiguration& configuration, const Report& report, Warnings&) {
  checkTokens(configuration.bootstrapTokens, report);
}

void validate(const v1beta4::JoinConfiguration& configuration, const Report& report, Warnings&) {
  checkDiscovery(configuration.discovery, report);
}

void validate(const v1beta4::ResetConfiguration&, const Report&, Warnings&) {}

void validate(const v1beta4::UpgradeConfiguration& configuration, const Report& report, Warnings&) {
  checkPatchFolder(configuration.apply.patches, "apply", report);
  checkPatchFolder(configuration.node.patches, "node", report);
}

namespace {

/// What security sets is not set by hand as well.
void checkSecurity(const v1alpha1::KubestrapConfiguration& kubestrap, const v1beta4::ClusterConfiguration& cluster, const schema::Report& report) {
  Cluster both;
  both.apiServer.extraArgs = cluster.apiServer.extraArgs;
  if (kubestrap.security && kubestrap.security->audit) both.kubestrap.audit.emplace();
  if (kubestrap.security && kubestrap.security->encryptionAtRest) both.kubestrap.encryption.emplace();
  if (const auto flag = setTwice(both); !flag.empty())
    report.add(at("apiServer.extraArgs"), fmt::format("{} is set by security in the KubestrapConfiguration, too", flag), "one of them");
}

void checkVip(const v1alpha1::KubestrapConfiguration& kubestrap, const v1beta4::ClusterConfiguration& cluster, const schema::Report& report) {
  const auto& [mode, vip] = kubestrap.endpoint;
  if (mode == "vip" && !vip) report.add(at("endpoint.vip"), "nothing says which address the control plane nodes share", "endpoint.vip.address, of the nodes' own network and unused");
  if (mode != "vip" && vip) report.add(at("endpoint.vip"), fmt::format("is for endpoint.mode vip only, and the mode is \"{}\"", mode), "endpoint.mode vip");
  const auto address = vip ? IpAddress::parse(vip->address) : std::nullopt;
  if (!address) return;
  if (!address->isGlobalUnicast()) report.add(at("endpoint.vip.address"), vip->address + " is no address of a machine", "an unused one of the nodes' own network");
  for (const auto& [what, given] : {std::pair{"services", cluster.networking.serviceSubnet}, {"pods", cluster.networking.podSubnet}})
    for (const auto& subnet : parseSubnets(given).value_or(std::vector<Cidr>{}))
      if (subnet.contains(*address))
        report.add(at("endpoint.vip.address"), fmt::format("{} is an address of the cluster's {}, in {}", vip->address, what, subnet.string()), "an unused one of the nodes' own network");
}

/// Of the core group (Kubernetes: api/core/v1/register.go), but for events, which may lie elsewhere.
constexpr std::string_view coreResources[] = {"configmaps", "endpoints", "limitranges", "namespaces", "nodes", "persistentvolumeclaims", "persistentvolumes", "pods",
                                              "podtemplates", "replicationcontrollers", "resourcequotas", "secrets", "serviceaccounts", "services"};

/// An API server takes any name, and encrypts nothing by one that it does not know.
bool isUnknown(const std::string& resource) { return resource.find('.') == resource.npos && std::ranges::find(coreResources, resource) == std::end(coreResources); }

} // namespace

void validateSecurity(const v1alpha1::KubestrapConfiguration& kubestrap, const schema::Report& report) {
  if (!kubestrap.security || !kubestrap.security->encryptionAtRest || !kubestrap.security->encryptionAtRest->resources) return;
  const auto& resources = *kubestrap.security->encryptionAtRest->resources;
  const auto place = at("security.encryptionAtRest.resources");
  if (resources.empty()) report.add(place, "there is none to encrypt", "like secrets; or no encryptionAtRest");
  for (const auto& each : resources)
    if (isUnknown(each)) report.add(place, fmt::format("the core group has no {}", each), "a plural, outside the core group with its group, like secrets or deployments.apps");
  for (auto each = resources.begin(); each != resources.end(); ++each)
    if (std::find(resources.begin(), each, *each) != each) report.add(place, fmt::format("{} is there twice", *each), "each once");
}

void validate(const v1alpha1::KubestrapConfiguration& kubestrap, const v1beta4::ClusterConfiguration& cluster,
              const schema::Report& kubestrapReport, const schema::Report& clusterReport) {
  const auto& mode = kubestrap.endpoint.mode;
  const auto& given = cluster.controlPlaneEndpoint;
  if (mode == "external" && given.empty())
    kubestrapReport.add(at("endpoint.mode"), "external says that there is a balancer, and nothing says where",
                        "controlPlaneEndpoint in the ClusterConfiguration");
  if (kubestrap.hosting == "self")
    kubestrapReport.add(at("hosting"), "self is what pivot makes of a cluster, which begins with static pods", "init --self-hosted, or then kubestrap pivot; in a cluster.yaml it may stand");
  checkVip(kubestrap, cluster, kubestrapReport);
  validateAddons(kubestrap.addons, cluster, kubestrapReport);
  checkSecurity(kubestrap, cluster, clusterReport);
  validateSecurity(kubestrap, kubestrapReport);
  const bool balances = mode == "local" || mode == "vip";
  if (kubestrap.layout == "hosted" && !balances)
    kubestrapReport.add(at("endpoint.mode"), fmt::format("\"{}\" does not go with layout hosted, whose control planes have a balancer on every node", mode),
                        "local or vip, or no mode");
  if (const auto services = parseSubnets(cluster.networking.serviceSubnet);
      kubestrap.layout == "hosted" && services && !services->empty() && services->front().isV6())
    kubestrapReport.add(at("layout"), "hosted has slots on IPv4's loopback only, and the cluster's addresses are IPv6", "plain");
  if (!balances) return;
  if (const auto parts = splitHostPort(given); parts && IpAddress::parse(parts->host))
    clusterReport.add(at("controlPlaneEndpoint"), "has to be a name where endpoint.mode is " + mode + ": on every node it stands for that node",
                      "a name like api.example.org:6443; for a balancer with an address endpoint.mode external");
  else if (given.empty() && !isDns1123Subdomain(lower(cluster.clusterName)))
    clusterReport.add(at("clusterName"), fmt::format("\"{}\" cannot be a part of the control plane's name", cluster.clusterName),
                      "controlPlaneEndpoint, or a cluster name that is a DNS name");
}

void validateFeatureGates(const std::map<std::string, bool>& given, const Version& version, const Report& report,
                          Warnings& warnings) {
  for (const auto& [name, enabled] : given) {
    const Place place = at("featureGates").member(name);
    auto row = std::ranges::find(gates, name, &GateRow::name);
    if (row == std::end(gates)) {
      std::vector<std::string> names;
      for (const GateRow& gate : gates)
        if (gate.lastMinor == 0 || version.minor <= gate.lastMinor) names.emplace_back(gate.name);
      report.add(place, "unknown feature gate",
                 fmt::format("one of {}; gates of components go into their extraArgs or configuration",
                             fmt::join(names, ", ")));
    } else if (row->lastMinor != 0 && version.minor > row->lastMinor) {
      report.add(place, fmt::format("this feature gate is gone since 1.{}: {}", row->lastMinor + 1, row->advice),
                 "no such gate");
    } else if (enabled != row->fixedAt) {
      report.add(place, fmt::format("this feature gate cannot be {}: {}", enabled ? "on" : "off", row->advice),
                 row->fixedAt ? "true" : "false");
    } else {
      warnings.push_back(fmt::format("featureGates.{}: nothing depends on it any more", name));
    }
  }
}

} // namespace kubestrap::config
