#include "config/assemble.hpp"

#include "config/components.hpp"
#include "config/rules.hpp"
#include "config/validate.hpp"
#include "config/versions.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::config {

namespace {

constexpr std::string_view defaultRepository = "registry.k8s.io";

template <class Enum> struct Named {
  Enum value;
  std::string_view name;
};
template <class Enum, std::size_t N> Enum byName(const Named<Enum> (&rows)[N], std::string_view name) {
  auto row = std::ranges::find(rows, name, &Named<Enum>::name);
  return row == std::end(rows) ? rows[0].value : row->value;
}
template <class Enum, std::size_t N> std::string nameOf(const Named<Enum> (&rows)[N], Enum value) {
  return std::string(std::ranges::find(rows, value, &Named<Enum>::value)->name);
}

constexpr Named<Layout> layouts[] = {{Layout::plain, "plain"}, {Layout::hosted, "hosted"}};
constexpr Named<Hosting> hostings[] = {{Hosting::staticPods, "static"}, {Hosting::self, "self"}};
constexpr Named<EndpointMode> endpointModes[] = {{EndpointMode::single, "single"},
                                                 {EndpointMode::local, "local"},
                                                 {EndpointMode::vip, "vip"},
                                                 {EndpointMode::external, "external"}};
constexpr Named<PullPolicy> pullPolicies[] = {
    {PullPolicy::ifNotPresent, "IfNotPresent"}, {PullPolicy::always, "Always"}, {PullPolicy::never, "Never"}};

/// Another virtual address on the same link has another last octet, and so another router id.
std::optional<Vip> vipOf(const v1alpha1::KubestrapConfiguration& given) {
  if (given.endpoint.mode != "vip" || !given.endpoint.vip) return std::nullopt;
  const auto& vip = *given.endpoint.vip;
  const auto address = IpAddress::parse(vip.address).value();
  const auto last = static_cast<unsigned char>(address.octets().back());
  return Vip{.address = address,
             .interface = vip.interface,
             .router = vip.routerID ? vip.routerID : last ? last : 51,
             .priority = vip.priority,
             .image = given.images ? given.images->vip : ""};
}

std::optional<Audit> auditOf(const ClusterDocuments& documents) {
  const auto& security = documents.kubestrap.security;
  if (!security || !security->audit) return std::nullopt;
  const auto& audit = *security->audit;
  return Audit{.policyFile = audit.policyFile,
               .maxSize = rules::parseMebibytes(audit.maxSize).value_or(Audit{}.maxSize),
               .maxBackups = audit.maxBackups.value_or(Audit{}.maxBackups),
               .policy = documents.auditPolicy ? sorted(*documents.auditPolicy) : Value()};
}

std::optional<EncryptionAtRest> encryptionOf(const v1alpha1::KubestrapConfiguration& given) {
  if (!given.security || !given.security->encryptionAtRest) return std::nullopt;
  const auto& encryption = *given.security->encryptionAtRest;
  return EncryptionAtRest{encryption.provider, encryption.resources.value_or(std::vector<std::string>{})};
}

template <class Component> ComponentOptions options(const Component& component) {
  return {.extraArgs = component.extraArgs, .extraVolumes = component.extraVolumes, .extraEnvs = component.extraEnvs};
}

/// A component's section from its options.
template <class Component> void setOptions(Component& component, const ComponentOptions& options) {
  component.extraArgs = options.extraArgs;
  component.extraVolumes = options.extraVolumes;
  component.extraEnvs = options.extraEnvs;
}

std::vector<std::string> lowered(std::vector<std::string> names) {
  for (auto& name : names) name = lower(name);
  return names;
}

std::string orElse(const std::string& text, std::string_view otherwise) {
  return text.empty() ? std::string(otherwise) : text;
}

Etcd etcdOf(const v1beta4::ClusterConfiguration& configuration, const SupportedMinor& minor) {
  Etcd etcd;
  if (const auto& external = configuration.etcd.external)
    etcd.external = ExternalEtcd{.endpoints = external->endpoints,
                                 .httpEndpoints = external->httpEndpoints,
                                 .caFile = external->caFile,
                                 .certFile = external->certFile,
                                 .keyFile = external->keyFile};
  const v1beta4::LocalEtcd local = configuration.etcd.local.value_or(v1beta4::LocalEtcd{});
  etcd.local = {.imageRepository = orElse(local.imageRepository, configuration.imageRepository),
                .imageTag = orElse(local.imageTag, minor.etcdTag),
                .tagGiven = !local.imageTag.empty(),
                .repositoryGiven = !local.imageRepository.empty(),
                .dataDir = orElse(local.dataDir, "/var/lib/etcd"),
                .extraArgs = local.extraArgs,
                .extraEnvs = local.extraEnvs,
                .serverCertSANs = lowered(local.serverCertSANs),
                .peerCertSANs = lowered(local.peerCertSANs)};
  return etcd;
}

/// kubeadm: images/images.go; CoreDNS has a folder of its own in the default registry only.
Images imagesOf(const Cluster& cluster, const SupportedMinor& minor) {
  const std::string& repository = cluster.imageRepository;
  const auto kubernetes = [&](std::string_view name) {
    return fmt::format("{}/{}:{}", repository, name, cluster.version.imageTag());
  };
  std::string dns = orElse(cluster.dnsImageRepository, repository);
  if (dns == defaultRepository) dns += "/coredns";
  return {.apiServer = kubernetes("kube-apiserver"),
          .controllerManager = kubernetes("kube-controller-manager"),
          .scheduler = kubernetes("kube-scheduler"),
          .proxy = kubernetes("kube-proxy"),
          .coreDns = fmt::format("{}/coredns:{}", dns, orElse(cluster.dnsImageTag, minor.coreDnsTag)),
          .pause = fmt::format("{}/pause:{}", repository, minor.pauseTag),
          .etcd = fmt::format("{}/etcd:{}", cluster.etcd.local.imageRepository, cluster.etcd.local.imageTag)};
}

} // namespace

PullPolicy pullPolicy(std::string_view name) { return byName(pullPolicies, name); }

Timeouts timeouts(const v1beta4::Timeouts& given) {
  const Timeouts usual;
  return {.controlPlaneComponentHealthCheck =
              given.controlPlaneComponentHealthCheck.value_or(usual.controlPlaneComponentHealthCheck),
          .kubeletHealthCheck = given.kubeletHealthCheck.value_or(usual.kubeletHealthCheck),
          .kubernetesAPICall = given.kubernetesAPICall.value_or(usual.kubernetesAPICall),
          .etcdAPICall = given.etcdAPICall.value_or(usual.etcdAPICall),
          .tlsBootstrap = given.tlsBootstrap.value_or(usual.tlsBootstrap),
          .discovery = given.discovery.value_or(usual.discovery),
          .upgradeManifests = given.upgradeManifests.value_or(usual.upgradeManifests)};
}

std::optional<Endpoint> endpoint(std::string_view text, int otherwisePort) {
  if (text.empty()) return {};
  if (auto address = IpAddress::parse(text)) return Endpoint{address->string(), otherwisePort};
  auto parts = splitHostPort(text);
  if (!parts) return {};
  return Endpoint{parts->host, parts->port.value_or(otherwisePort)};
}

std::map<std::string, Endpoint> apiServersIn(const std::map<std::string, std::string>& notices) {
  std::map<std::string, Endpoint> servers;
  for (const auto& [key, text] : notices) {
    const auto address = splitHostPort(text);
    if (key.starts_with(apiServerNotice) && address && address->port)
      servers[key.substr(apiServerNotice.size())] = {address->host, *address->port};
  }
  return servers;
}

Cluster assemble(const ClusterDocuments& documents, const ClusterCircumstances& circumstances,
                 std::vector<std::string>& warnings) {
  const v1beta4::ClusterConfiguration& given = documents.cluster;
  const SupportedMinor* minor = findMinor(circumstances.version);
  if (!minor) minor = &supportedMinors().front();
  Cluster cluster{
      .name = given.clusterName,
      .version = circumstances.version,
      .controlPlaneEndpoint = endpoint(given.controlPlaneEndpoint, circumstances.bindPort),
      .networks = {.services = parseSubnets(given.networking.serviceSubnet).value_or(std::vector<Cidr>{}),
                   .pods = parseSubnets(given.networking.podSubnet).value_or(std::vector<Cidr>{}),
                   .serviceSubnet = given.networking.serviceSubnet,
                   .podSubnet = given.networking.podSubnet,
                   .dnsDomain = given.networking.dnsDomain},
      .etcd = etcdOf(given, *minor),
      .pki = {.folder = given.certificatesDir,
              .algorithm = certs::parseKeyAlgorithm(given.encryptionAlgorithm).value_or(certs::KeyAlgorithm::ecdsaP256),
              .certificateLife = *given.certificateValidityPeriod,
              .authorityLife = *given.caCertificateValidityPeriod,
              .requests = documents.kubestrap.pki ? documents.kubestrap.pki->requests : "",
              .policy = documents.kubestrap.pki ? documents.kubestrap.pki->policy : ""},
      .imageRepository = given.imageRepository,
      .images = {},
      .apiServer = options(given.apiServer),
      .controllerManager = options(given.controllerManager),
      .scheduler = options(given.scheduler),
      .apiServerCertSANs = lowered(given.apiServer.certSANs),
      .dnsDisabled = given.dns.disabled,
      .proxyDisabled = given.proxy.disabled,
      .dnsImageRepository = given.dns.imageRepository,
      .dnsImageTag = given.dns.imageTag,
      .featureGates = given.featureGates,
      .kubelet = {},
      .proxy = {},
      .kubestrap = {.layout = byName(layouts, documents.kubestrap.layout),
                    .hosting = byName(hostings, documents.kubestrap.hosting),
                    .endpointMode = byName(endpointModes, documents.kubestrap.endpoint.mode),
                    .frontImage = documents.kubestrap.images ? documents.kubestrap.images->front : "",
                    .vip = vipOf(documents.kubestrap),
                    .preflightFix = documents.kubestrap.preflight ? documents.kubestrap.preflight->fix : std::nullopt,
                    .addons = documents.kubestrap.addons,
                    .audit = auditOf(documents),
                    .encryption = encryptionOf(documents.kubestrap)},
  };
  // From the start it has a name that more than one machine can answer to.
  if (balancesOnNodes(cluster.kubestrap.endpointMode) && !cluster.controlPlaneEndpoint)
    cluster.controlPlaneEndpoint = Endpoint{fmt::format("api.{}.internal", lower(cluster.name)), circumstances.bindPort};
  cluster.images = imagesOf(cluster, *minor);
  cluster.kubelet = {defaultKubelet(documents.kubelet.value_or(Value::object()), cluster, warnings),
                     documents.kubelet.has_value()};
  cluster.proxy = {defaultProxy(documents.proxy.value_or(Value::object()), cluster, circumstances.advertised, warnings),
                   documents.proxy.has_value()};
  return cluster;
}

v1beta4::ClusterConfiguration clusterConfiguration(const Cluster& cluster) {
  v1beta4::ClusterConfiguration configuration{
      .etcd = {},
      .networking = {.serviceSubnet = cluster.networks.serviceSubnet,
                     .podSubnet = cluster.networks.podSubnet,
                     .dnsDomain = cluster.networks.dnsDomain},
      .kubernetesVersion = cluster.version.tag(),
      .controlPlaneEndpoint = cluster.controlPlaneEndpoint ? cluster.controlPlaneEndpoint->string() : "",
      .apiServer = {},
      .controllerManager = {},
      .scheduler = {},
      .dns = {.imageRepository = cluster.dnsImageRepository,
              .imageTag = cluster.dnsImageTag,
              .disabled = cluster.dnsDisabled},
      .proxy = {.disabled = cluster.proxyDisabled},
      .certificatesDir = cluster.pki.folder.string(),
      .imageRepository = cluster.imageRepository,
      .featureGates = cluster.featureGates,
      .clusterName = cluster.name,
      .encryptionAlgorithm = std::string(certs::name(cluster.pki.algorithm)),
      .certificateValidityPeriod = cluster.pki.certificateLife,
      .caCertificateValidityPeriod = cluster.pki.authorityLife,
  };
  setOptions(configuration.apiServer, cluster.apiServer);
  setOptions(configuration.controllerManager, cluster.controllerManager);
  setOptions(configuration.scheduler, cluster.scheduler);
  configuration.apiServer.certSANs = cluster.apiServerCertSANs;
  if (const auto& external = cluster.etcd.external) {
    configuration.etcd.external = v1beta4::ExternalEtcd{external->endpoints, external->httpEndpoints, external->caFile,
                                                        external->certFile, external->keyFile};
  } else {
    const LocalEtcd& local = cluster.etcd.local;
    configuration.etcd.local = v1beta4::LocalEtcd{.imageRepository = local.repositoryGiven ? local.imageRepository : "",
                                                  .imageTag = local.tagGiven ? local.imageTag : "",
                                                  .dataDir = local.dataDir.string(),
                                                  .extraArgs = local.extraArgs,
                                                  .extraEnvs = local.extraEnvs,
                                                  .serverCertSANs = local.serverCertSANs,
                                                  .peerCertSANs = local.peerCertSANs};
  }
  return configuration;
}

namespace {

std::optional<v1alpha1::Vip> vipDocument(const std::optional<Vip>& vip) {
  if (!vip) return std::nullopt;
  return v1alpha1::Vip{.address = vip->address.string(), .interface = vip->interface, .routerID = vip->router, .priority = vip->priority};
}

std::optional<v1alpha1::Images> imagesDocument(const KubestrapOptions& options) {
  v1alpha1::Images images{.front = options.frontImage, .vip = options.vip ? options.vip->image : ""};
  return images.front.empty() && images.vip.empty() ? std::nullopt : std::optional(std::move(images));
}

std::optional<v1alpha1::Security> securityDocument(const KubestrapOptions& options) {
  if (!options.audit && !options.encryption) return std::nullopt;
  v1alpha1::Security security;
  if (const auto& audit = options.audit) // once it was read, what is in it counts, wherever it came from
    security.audit = v1alpha1::Audit{.policyFile = audit->policy.is_object() ? "" : audit->policyFile, .maxSize = fmt::format("{}Mi", audit->maxSize), .maxBackups = audit->maxBackups};
  if (const auto& encryption = options.encryption) security.encryptionAtRest = v1alpha1::EncryptionAtRest{encryption->provider, encryption->resources};
  return security;
}

} // namespace

v1alpha1::KubestrapConfiguration kubestrapConfiguration(const Cluster& cluster) {
  const KubestrapOptions& options = cluster.kubestrap;
  return {.layout = nameOf(layouts, options.layout),
          .hosting = nameOf(hostings, options.hosting),
          .endpoint = {.mode = nameOf(endpointModes, options.endpointMode), .vip = vipDocument(options.vip)},
          .images = imagesDocument(options),
          .preflight = options.preflightFix ? std::optional(v1alpha1::Preflight{options.preflightFix}) : std::nullopt,
          .pki = cluster.pki.requests.empty() && cluster.pki.policy.empty() ? std::nullopt
                                                                            : std::optional(v1alpha1::Pki{cluster.pki.requests, cluster.pki.policy}),
          .addons = options.addons,
          .security = securityDocument(options)};
}

} // namespace kubestrap::config
