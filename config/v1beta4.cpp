#include "config/v1beta4.hpp"

#include "config/rules.hpp"
#include "config/token.hpp"

namespace kubestrap::config {

namespace {

using schema::Disclosure;
using schema::Field;
using schema::Kind;
using schema::Type;
using schema::Unset;

constexpr Type text{.kind = Kind::text}, boolean{.kind = Kind::boolean}, time{.kind = Kind::time},
    anything{.kind = Kind::any};

// core/v1 objects that may stand inside kubeadm's documents and stay documents.

constexpr Field taintFields[] = {
    {.name = "key", .doc = "The taint's key.", .required = true, .type = &text},
    {.name = "value", .doc = "The taint's value.", .type = &text},
    {.name = "effect",
     .rule = &rules::taintEffect,
     .doc = "What it does to pods without a matching toleration.",
     .required = true,
     .type = &text},
    {.name = "timeAdded", .doc = "When a NoExecute taint was added.", .type = &time},
};
constexpr Type taint{.kind = Kind::record, .fields = taintFields}, taints{.kind = Kind::list, .item = &taint};

constexpr Field fieldRefFields[] = {
    {.name = "apiVersion",
     .otherwise = "v1",
     .doc = "The version of the schema that fieldPath is written for.",
     .type = &text},
    {.name = "fieldPath", .doc = "The pod's field, like status.podIP.", .required = true, .type = &text},
};
constexpr Field resourceRefFields[] = {
    {.name = "containerName", .doc = "The container, when it is another one.", .type = &text},
    {.name = "resource", .doc = "The resource, like limits.cpu.", .required = true, .type = &text},
    {.name = "divisor", .doc = "The unit of the value.", .type = &anything},
};
constexpr Field keyRefFields[] = {
    {.name = "name", .doc = "The object's name.", .type = &text},
    {.name = "key", .doc = "The key in the object.", .required = true, .type = &text},
    {.name = "optional", .doc = "Whether it may be missing.", .type = &boolean},
};
constexpr Field fileRefFields[] = {
    {.name = "volumeName", .doc = "The volume that holds the file.", .required = true, .type = &text},
    {.name = "path", .doc = "The file in the volume.", .required = true, .type = &text},
    {.name = "key", .doc = "The key in the file.", .required = true, .type = &text},
    {.name = "optional", .doc = "Whether it may be missing.", .type = &boolean},
};
constexpr Type fieldRef{.kind = Kind::record, .fields = fieldRefFields},
    resourceRef{.kind = Kind::record, .fields = resourceRefFields};
constexpr Type keyRef{.kind = Kind::record, .fields = keyRefFields},
    fileRef{.kind = Kind::record, .fields = fileRefFields};
constexpr Field valueFromFields[] = {
    {.name = "fieldRef", .doc = "A field of the pod.", .type = &fieldRef},
    {.name = "resourceFieldRef", .doc = "A resource of a container.", .type = &resourceRef},
    {.name = "configMapKeyRef", .doc = "A key of a ConfigMap.", .type = &keyRef},
    {.name = "secretKeyRef", .doc = "A key of a Secret.", .type = &keyRef},
    {.name = "fileKeyRef", .doc = "A key of a file in a volume.", .type = &fileRef},
};
constexpr Type valueFrom{.kind = Kind::record, .fields = valueFromFields};
constexpr Field environmentFields[] = {
    {.name = "name", .doc = "The variable's name.", .required = true, .type = &text},
    {.name = "value", .doc = "The variable's value.", .type = &text},
    {.name = "valueFrom", .doc = "Where the value comes from instead.", .type = &valueFrom},
};
constexpr Type variable{.kind = Kind::record, .fields = environmentFields},
    environment{.kind = Kind::list, .item = &variable};

} // namespace

namespace schema {

// clang-format off: a line is a field
template <>
inline constexpr auto fieldsOf<Arg> = std::array{
    field<&Arg::name>({.name = "name",
                       .rule = &rules::argumentName,
                       .doc = "The flag's name without leading dashes.",
                       .since = "v1beta4",
                       .unset = Unset::zero,
                       .required = true}),
    field<&Arg::value>({.name = "value", .doc = "The flag's value.", .since = "v1beta4", .unset = Unset::zero}),
};

template <>
inline constexpr auto fieldsOf<HostPathMount> = std::array{
    field<&HostPathMount::name>(
        {.name = "name", .doc = "The volume's name in the pod.", .unset = Unset::zero, .required = true}),
    field<&HostPathMount::hostPath>(
        {.name = "hostPath", .doc = "The path on the machine.", .unset = Unset::zero, .required = true}),
    field<&HostPathMount::mountPath>(
        {.name = "mountPath", .doc = "The path in the container.", .unset = Unset::zero, .required = true}),
    field<&HostPathMount::readOnly>(
        {.name = "readOnly", .otherwise = "false", .doc = "Whether the container may not write to it."}),
    field<&HostPathMount::pathType>(
        {.name = "pathType", .rule = &rules::hostPathType, .doc = "What has to stand at the path on the machine."}),
};

namespace v = v1beta4;

template <>
inline constexpr auto fieldsOf<v::BootstrapToken> = std::array{
    field<&v::BootstrapToken::token>({.name = "token",
                                      .rule = &rules::token,
                                      .doc = "The token as id.secret; made at random when left out.",
                                      .unset = Unset::zero,
                                      .disclosure = Disclosure::secret}),
    field<&v::BootstrapToken::description>(
        {.name = "description", .doc = "What the token is for, for other administrators."}),
    field<&v::BootstrapToken::ttl>(
        {.name = "ttl", .otherwise = "24h0m0s", .doc = "How long the token is valid; 0s is for ever."}),
    field<&v::BootstrapToken::expires>({.name = "expires", .doc = "When the token ends, instead of ttl."}),
    field<&v::BootstrapToken::usages>({.name = "usages",
                                       .otherwise = "signing,authentication",
                                       .rule = &rules::tokenUsage,
                                       .doc = "What the token may be used for."}),
    field<&v::BootstrapToken::groups>({.name = "groups",
                                       .otherwise = defaultTokenGroup,
                                       .rule = &rules::tokenGroup,
                                       .doc = "Further groups of whoever authenticates with the token."}),
};

template <>
inline constexpr auto fieldsOf<v::NodeRegistrationOptions> = std::array{
    field<&v::NodeRegistrationOptions::name>(
        {.name = "name", .rule = &rules::nodeName, .doc = "The Node's name; the machine's host name when left out."}),
    field<&v::NodeRegistrationOptions::criSocket>(
        {.name = "criSocket",
         .rule = &rules::criSocket,
         .doc = "The container runtime's socket; found by itself when there is only one."}),
    field<&v::NodeRegistrationOptions::taints>(
        {.name = "taints",
         .doc = "The Node's taints; left out, a control plane node gets its usual one; an empty list is none.",
         .unset = Unset::null,
         .type = &taints}),
    field<&v::NodeRegistrationOptions::kubeletExtraArgs>(
        {.name = "kubeletExtraArgs", .doc = "Flags of this machine's kubelet, stronger than its configuration file."}),
    field<&v::NodeRegistrationOptions::ignorePreflightErrors>(
        {.name = "ignorePreflightErrors",
         .doc = "Names of preflight checks whose errors are only warnings; all is every one."}),
    field<&v::NodeRegistrationOptions::imagePullPolicy>({.name = "imagePullPolicy",
                                                         .otherwise = "IfNotPresent",
                                                         .rule = &rules::pullPolicy,
                                                         .doc = "When images are pulled."}),
    field<&v::NodeRegistrationOptions::imagePullSerial>({.name = "imagePullSerial",
                                                         .otherwise = "true",
                                                         .doc = "Whether images are pulled one after the other.",
                                                         .since = "v1beta4"}),
};

template <>
inline constexpr auto fieldsOf<v::ApiEndpoint> = std::array{
    field<&v::ApiEndpoint::advertiseAddress>(
        {.name = "advertiseAddress",
         .rule = &rules::ipAddress,
         .doc = "The address that this API server gives to others; that of the default route when left out."}),
    field<&v::ApiEndpoint::bindPort>({.name = "bindPort",
                                      .otherwise = "6443",
                                      .rule = &rules::port,
                                      .doc = "The port on which this API server listens."}),
};

template <>
inline constexpr auto fieldsOf<v::Patches> = std::array{
    field<&v::Patches::directory>(
        {.name = "directory", .doc = "A folder of patches named target[suffix][+type].extension."}),
};

template <>
inline constexpr auto fieldsOf<v::Timeouts> = std::array{
    field<&v::Timeouts::controlPlaneComponentHealthCheck>(
        {.name = "controlPlaneComponentHealthCheck",
         .otherwise = "4m0s",
         .doc = "How long a component of the control plane may take to be healthy.",
         .since = "v1beta4"}),
    field<&v::Timeouts::kubeletHealthCheck>({.name = "kubeletHealthCheck",
                                             .otherwise = "4m0s",
                                             .doc = "How long the kubelet may take to be healthy.",
                                             .since = "v1beta4"}),
    field<&v::Timeouts::kubernetesAPICall>({.name = "kubernetesAPICall",
                                            .otherwise = "1m0s",
                                            .doc = "How long a request to the API server is tried.",
                                            .since = "v1beta4"}),
    field<&v::Timeouts::etcdAPICall>({.name = "etcdAPICall",
                                      .otherwise = "2m0s",
                                      .doc = "How long a request to etcd is tried.",
                                      .since = "v1beta4"}),
    field<&v::Timeouts::tlsBootstrap>({.name = "tlsBootstrap",
                                       .otherwise = "5m0s",
                                       .doc = "How long a joining kubelet may take to get its certificate.",
                                       .since = "v1beta4"}),
    field<&v::Timeouts::discovery>({.name = "discovery",
                                    .otherwise = "5m0s",
                                    .doc = "How long a joining node looks for the cluster.",
                                    .since = "v1beta4"}),
    field<&v::Timeouts::upgradeManifests>({.name = "upgradeManifests",
                                           .otherwise = "5m0s",
                                           .doc = "How long a static pod may take to come back with a new manifest.",
                                           .since = "v1beta4"}),
};

template <>
inline constexpr auto fieldsOf<v::InitConfiguration> = std::array{
    field<&v::InitConfiguration::bootstrapTokens>(
        {.name = "bootstrapTokens", .doc = "Tokens for joining nodes; one made at random when left out."}),
    field<&v::InitConfiguration::dryRun>({.name = "dryRun",
                                          .otherwise = "false",
                                          .doc = "Show what would be done and change nothing.",
                                          .since = "v1beta4"}),
    field<&v::InitConfiguration::nodeRegistration>(
        {.name = "nodeRegistration", .doc = "How this machine becomes a Node."}),
    field<&v::InitConfiguration::localAPIEndpoint>(
        {.name = "localAPIEndpoint", .doc = "Where this machine's API server is."}),
    field<&v::InitConfiguration::certificateKey>({.name = "certificateKey",
                                                  .rule = &rules::certificateKey,
                                                  .doc = "The key that seals uploaded certificates.",
                                                  .disclosure = Disclosure::secret}),
    field<&v::InitConfiguration::skipPhases>({.name = "skipPhases", .doc = "Phases left out, as phase or phase/sub."}),
    field<&v::InitConfiguration::patches>({.name = "patches", .doc = "Changes to what is written for the components."}),
    field<&v::InitConfiguration::timeouts>(
        {.name = "timeouts", .doc = "How long things may take.", .since = "v1beta4"}),
};

template <>
inline constexpr auto fieldsOf<v::LocalEtcd> = std::array{
    field<&v::LocalEtcd::imageRepository>({.name = "imageRepository",
                                           .rule = &rules::imageRepository,
                                           .doc = "Where etcd's image comes from, when not from imageRepository."}),
    field<&v::LocalEtcd::imageTag>(
        {.name = "imageTag", .doc = "etcd's image tag; upgrades do not change one that is given."}),
    field<&v::LocalEtcd::dataDir>({.name = "dataDir",
                                   .otherwise = "/var/lib/etcd",
                                   .rule = &rules::absolutePath,
                                   .doc = "Where etcd keeps its data.",
                                   .unset = Unset::zero}),
    field<&v::LocalEtcd::extraArgs>(
        {.name = "extraArgs", .doc = "Further flags, or other values of flags, in this order."}),
    field<&v::LocalEtcd::extraEnvs>({.name = "extraEnvs",
                                     .doc = "Environment variables of the container.",
                                     .since = "v1beta4",
                                     .type = &environment}),
    field<&v::LocalEtcd::serverCertSANs>({.name = "serverCertSANs",
                                          .rule = &rules::alternativeName,
                                          .doc = "Further names in etcd's server certificate."}),
    field<&v::LocalEtcd::peerCertSANs>(
        {.name = "peerCertSANs", .rule = &rules::alternativeName, .doc = "Further names in etcd's peer certificate."}),
};

template <>
inline constexpr auto fieldsOf<v::ExternalEtcd> = std::array{
    field<&v::ExternalEtcd::endpoints>({.name = "endpoints",
                                        .rule = &rules::url,
                                        .doc = "URLs of the members; https unless no file is given.",
                                        .unset = Unset::zero}),
    field<&v::ExternalEtcd::httpEndpoints>({.name = "httpEndpoints",
                                            .rule = &rules::url,
                                            .doc = "URLs for health and version; the endpoints when left out.",
                                            .since = "v1beta4"}),
    field<&v::ExternalEtcd::caFile>({.name = "caFile",
                                     .rule = &rules::absolutePath,
                                     .doc = "The authority that signed the members' certificates.",
                                     .unset = Unset::zero}),
    field<&v::ExternalEtcd::certFile>(
        {.name = "certFile", .rule = &rules::absolutePath, .doc = "The client certificate.", .unset = Unset::zero}),
    field<&v::ExternalEtcd::keyFile>({.name = "keyFile",
                                      .rule = &rules::absolutePath,
                                      .doc = "The client certificate's key.",
                                      .unset = Unset::zero}),
};

template <>
inline constexpr auto fieldsOf<v::Etcd> = std::array{
    field<&v::Etcd::local>({.name = "local", .doc = "etcd runs on the control plane nodes."}),
    field<&v::Etcd::external>({.name = "external", .doc = "etcd runs elsewhere."}),
};

template <>
inline constexpr auto fieldsOf<v::Networking> = std::array{
    field<&v::Networking::serviceSubnet>(
        {.name = "serviceSubnet",
         .otherwise = "10.96.0.0/12",
         .doc = "The range of service addresses; two of different families, with a comma, for dual stack."}),
    field<&v::Networking::podSubnet>(
        {.name = "podSubnet",
         .doc = "The range of pod addresses, from which every node gets a part; two for dual stack."}),
    field<&v::Networking::dnsDomain>({.name = "dnsDomain",
                                      .otherwise = "cluster.local",
                                      .rule = &rules::dnsSubdomain,
                                      .doc = "The DNS domain of services."}),
};

template <>
inline constexpr auto fieldsOf<v::ControlPlaneComponent> = std::array{
    field<&v::ControlPlaneComponent::extraArgs>(
        {.name = "extraArgs", .doc = "Further flags, or other values of flags, in this order."}),
    field<&v::ControlPlaneComponent::extraVolumes>(
        {.name = "extraVolumes", .doc = "Paths of the machine that the container gets."}),
    field<&v::ControlPlaneComponent::extraEnvs>({.name = "extraEnvs",
                                                 .doc = "Environment variables of the container.",
                                                 .since = "v1beta4",
                                                 .type = &environment}),
};

template <>
inline constexpr auto fieldsOf<v::ApiServer> = std::array{
    field<&v::ApiServer::extraArgs>(
        {.name = "extraArgs", .doc = "Further flags, or other values of flags, in this order."}),
    field<&v::ApiServer::extraVolumes>(
        {.name = "extraVolumes", .doc = "Paths of the machine that the container gets."}),
    field<&v::ApiServer::extraEnvs>({.name = "extraEnvs",
                                     .doc = "Environment variables of the container.",
                                     .since = "v1beta4",
                                     .type = &environment}),
    field<&v::ApiServer::certSANs>(
        {.name = "certSANs", .rule = &rules::alternativeName, .doc = "Further names in the API server's certificate."}),
};

template <>
inline constexpr auto fieldsOf<v::Dns> = std::array{
    field<&v::Dns::imageRepository>({.name = "imageRepository",
                                     .rule = &rules::imageRepository,
                                     .doc = "Where CoreDNS' image comes from, when not from imageRepository."}),
    field<&v::Dns::imageTag>(
        {.name = "imageTag", .doc = "CoreDNS' image tag; upgrades do not change one that is given."}),
    field<&v::Dns::disabled>(
        {.name = "disabled", .otherwise = "false", .doc = "Whether the cluster has no CoreDNS.", .since = "v1beta4"}),
};

template <>
inline constexpr auto fieldsOf<v::Proxy> = std::array{
    field<&v::Proxy::disabled>({.name = "disabled",
                                .otherwise = "false",
                                .doc = "Whether the cluster has no kube-proxy.",
                                .since = "v1beta4"}),
};

template <>
inline constexpr auto fieldsOf<v::ClusterConfiguration> = std::array{
    field<&v::ClusterConfiguration::etcd>({.name = "etcd", .doc = "The cluster's etcd: local or external."}),
    field<&v::ClusterConfiguration::networking>({.name = "networking", .doc = "The cluster's networks."}),
    field<&v::ClusterConfiguration::kubernetesVersion>(
        {.name = "kubernetesVersion", .otherwise = "stable-1", .doc = "The version of the control plane."}),
    field<&v::ClusterConfiguration::controlPlaneEndpoint>(
        {.name = "controlPlaneEndpoint",
         .rule = &rules::hostAndPort,
         .doc = "The name or address under which the whole control plane is reached, with an optional port."}),
    field<&v::ClusterConfiguration::apiServer>({.name = "apiServer", .doc = "Settings of the API server."}),
    field<&v::ClusterConfiguration::controllerManager>(
        {.name = "controllerManager", .doc = "Settings of the controller manager."}),
    field<&v::ClusterConfiguration::scheduler>({.name = "scheduler", .doc = "Settings of the scheduler."}),
    field<&v::ClusterConfiguration::dns>({.name = "dns", .doc = "The DNS add-on."}),
    field<&v::ClusterConfiguration::proxy>({.name = "proxy", .doc = "The kube-proxy add-on.", .since = "v1beta4"}),
    field<&v::ClusterConfiguration::certificatesDir>({.name = "certificatesDir",
                                                      .otherwise = "/etc/kubernetes/pki",
                                                      .rule = &rules::absolutePath,
                                                      .doc = "Where certificates and keys lie."}),
    field<&v::ClusterConfiguration::imageRepository>({.name = "imageRepository",
                                                      .otherwise = "registry.k8s.io",
                                                      .rule = &rules::imageRepository,
                                                      .doc = "Where images come from."}),
    field<&v::ClusterConfiguration::featureGates>(
        {.name = "featureGates", .doc = "Experimental features of the bootstrapper itself."}),
    field<&v::ClusterConfiguration::clusterName>(
        {.name = "clusterName", .otherwise = "kubernetes", .doc = "The cluster's name in kubeconfig files."}),
    field<&v::ClusterConfiguration::encryptionAlgorithm>({.name = "encryptionAlgorithm",
                                                          .otherwise = "ECDSA-P256",
                                                          .rule = &rules::encryptionAlgorithm,
                                                          .doc = "The kind of keys that are made.",
                                                          .since = "v1beta4"}),
    field<&v::ClusterConfiguration::certificateValidityPeriod>({.name = "certificateValidityPeriod",
                                                                .otherwise = "8760h0m0s",
                                                                .doc = "How long certificates are valid.",
                                                                .since = "v1beta4"}),
    field<&v::ClusterConfiguration::caCertificateValidityPeriod>({.name = "caCertificateValidityPeriod",
                                                                  .otherwise = "87600h0m0s",
                                                                  .doc = "How long authorities are valid.",
                                                                  .since = "v1beta4"}),
};

template <>
inline constexpr auto fieldsOf<v::BootstrapTokenDiscovery> = std::array{
    field<&v::BootstrapTokenDiscovery::token>({.name = "token",
                                               .rule = &rules::token,
                                               .doc = "The token that proves the cluster to the node.",
                                               .unset = Unset::zero,
                                               .disclosure = Disclosure::secret,
                                               .required = true}),
    field<&v::BootstrapTokenDiscovery::apiServerEndpoint>(
        {.name = "apiServerEndpoint", .rule = &rules::hostAndPort, .doc = "An API server, as host:port."}),
    field<&v::BootstrapTokenDiscovery::caCertHashes>(
        {.name = "caCertHashes",
         .rule = &rules::pinnedHash,
         .doc = "Hashes of the public keys of the cluster's authorities."}),
    field<&v::BootstrapTokenDiscovery::unsafeSkipCAVerification>(
        {.name = "unsafeSkipCAVerification",
         .otherwise = "false",
         .doc = "Join without knowing such a hash, trusting whoever knows the token."}),
};

template <>
inline constexpr auto fieldsOf<v::FileDiscovery> = std::array{
    field<&v::FileDiscovery::kubeConfigPath>({.name = "kubeConfigPath",
                                              .rule = &rules::fileOrHttps,
                                              .doc = "A kubeconfig as a file or an https URL.",
                                              .unset = Unset::zero,
                                              .required = true}),
};

template <>
inline constexpr auto fieldsOf<v::Discovery> = std::array{
    field<&v::Discovery::bootstrapToken>({.name = "bootstrapToken", .doc = "Find the cluster with a token."}),
    field<&v::Discovery::file>({.name = "file", .doc = "Find the cluster with a kubeconfig."}),
    field<&v::Discovery::tlsBootstrapToken>(
        {.name = "tlsBootstrapToken",
         .rule = &rules::token,
         .doc = "The token with which the kubelet asks for its certificate; the other one when left out.",
         .disclosure = Disclosure::secret}),
};

template <>
inline constexpr auto fieldsOf<v::JoinControlPlane> = std::array{
    field<&v::JoinControlPlane::localAPIEndpoint>(
        {.name = "localAPIEndpoint", .doc = "Where this machine's API server is."}),
    field<&v::JoinControlPlane::certificateKey>({.name = "certificateKey",
                                                 .rule = &rules::certificateKey,
                                                 .doc = "The key that opens uploaded certificates.",
                                                 .disclosure = Disclosure::secret}),
};

template <>
inline constexpr auto fieldsOf<v::JoinConfiguration> = std::array{
    field<&v::JoinConfiguration::dryRun>({.name = "dryRun",
                                          .otherwise = "false",
                                          .doc = "Show what would be done and change nothing.",
                                          .since = "v1beta4"}),
    field<&v::JoinConfiguration::nodeRegistration>(
        {.name = "nodeRegistration", .doc = "How this machine becomes a Node."}),
    field<&v::JoinConfiguration::caCertPath>({.name = "caCertPath",
                                              .otherwise = "/etc/kubernetes/pki/ca.crt",
                                              .rule = &rules::certificatePath,
                                              .doc = "Where the cluster's authority is written to."}),
    field<&v::JoinConfiguration::discovery>(
        {.name = "discovery", .doc = "How the cluster is found and trusted.", .required = true}),
    field<&v::JoinConfiguration::controlPlane>(
        {.name = "controlPlane", .doc = "Present: the machine becomes a control plane node."}),
    field<&v::JoinConfiguration::skipPhases>({.name = "skipPhases", .doc = "Phases left out, as phase or phase/sub."}),
    field<&v::JoinConfiguration::patches>({.name = "patches", .doc = "Changes to what is written for the components."}),
    field<&v::JoinConfiguration::timeouts>(
        {.name = "timeouts", .doc = "How long things may take.", .since = "v1beta4"}),
};

template <>
inline constexpr auto fieldsOf<v::ResetConfiguration> = std::array{
    field<&v::ResetConfiguration::cleanupTmpDir>({.name = "cleanupTmpDir",
                                                  .otherwise = "false",
                                                  .doc = "Whether /etc/kubernetes/tmp goes too.",
                                                  .since = "v1beta4"}),
    field<&v::ResetConfiguration::certificatesDir>({.name = "certificatesDir",
                                                    .otherwise = "/etc/kubernetes/pki",
                                                    .rule = &rules::absolutePath,
                                                    .doc = "Where certificates and keys lie.",
                                                    .since = "v1beta4"}),
    field<&v::ResetConfiguration::criSocket>(
        {.name = "criSocket",
         .rule = &rules::criSocket,
         .doc = "The container runtime's socket; found by itself when there is only one.",
         .since = "v1beta4"}),
    field<&v::ResetConfiguration::dryRun>({.name = "dryRun",
                                           .otherwise = "false",
                                           .doc = "Show what would be done and change nothing.",
                                           .since = "v1beta4"}),
    field<&v::ResetConfiguration::force>(
        {.name = "force", .otherwise = "false", .doc = "Do not ask.", .since = "v1beta4"}),
    field<&v::ResetConfiguration::ignorePreflightErrors>(
        {.name = "ignorePreflightErrors",
         .doc = "Names of preflight checks whose errors are only warnings; all is every one.",
         .since = "v1beta4"}),
    field<&v::ResetConfiguration::skipPhases>(
        {.name = "skipPhases", .doc = "Phases left out, as phase or phase/sub.", .since = "v1beta4"}),
    field<&v::ResetConfiguration::unmountFlags>(
        {.name = "unmountFlags",
         .rule = &rules::unmountFlag,
         .doc = "Flags of umount2(2) for what is mounted below the kubelet's folder.",
         .since = "v1beta4"}),
    field<&v::ResetConfiguration::timeouts>(
        {.name = "timeouts", .doc = "How long things may take.", .since = "v1beta4"}),
};

template <>
inline constexpr auto fieldsOf<v::UpgradeApplyConfiguration> = std::array{
    field<&v::UpgradeApplyConfiguration::kubernetesVersion>(
        {.name = "kubernetesVersion", .doc = "The version to upgrade to.", .since = "v1beta4"}),
    field<&v::UpgradeApplyConfiguration::allowExperimentalUpgrades>(
        {.name = "allowExperimentalUpgrades",
         .doc = "Whether alpha, beta and release candidate versions are allowed.",
         .since = "v1beta4"}),
    field<&v::UpgradeApplyConfiguration::allowRCUpgrades>(
        {.name = "allowRCUpgrades", .doc = "Whether release candidates are allowed.", .since = "v1beta4"}),
    field<&v::UpgradeApplyConfiguration::certificateRenewal>({.name = "certificateRenewal",
                                                              .otherwise = "true",
                                                              .doc = "Whether certificates are renewed.",
                                                              .since = "v1beta4"}),
    field<&v::UpgradeApplyConfiguration::dryRun>(
        {.name = "dryRun", .doc = "Show what would be done and change nothing.", .since = "v1beta4"}),
    field<&v::UpgradeApplyConfiguration::etcdUpgrade>(
        {.name = "etcdUpgrade", .otherwise = "true", .doc = "Whether etcd is upgraded.", .since = "v1beta4"}),
    field<&v::UpgradeApplyConfiguration::forceUpgrade>(
        {.name = "forceUpgrade", .doc = "Do not ask.", .since = "v1beta4"}),
    field<&v::UpgradeApplyConfiguration::ignorePreflightErrors>(
        {.name = "ignorePreflightErrors",
         .doc = "Names of preflight checks whose errors are only warnings; all is every one.",
         .since = "v1beta4"}),
    field<&v::UpgradeApplyConfiguration::patches>(
        {.name = "patches", .doc = "Changes to what is written for the components.", .since = "v1beta4"}),
    field<&v::UpgradeApplyConfiguration::printConfig>(
        {.name = "printConfig", .doc = "Whether the configuration is printed.", .since = "v1beta4"}),
    field<&v::UpgradeApplyConfiguration::skipPhases>(
        {.name = "skipPhases", .doc = "Phases left out, as phase or phase/sub.", .since = "v1beta4"}),
    field<&v::UpgradeApplyConfiguration::imagePullPolicy>({.name = "imagePullPolicy",
                                                           .otherwise = "IfNotPresent",
                                                           .rule = &rules::pullPolicy,
                                                           .doc = "When images are pulled.",
                                                           .since = "v1beta4"}),
    field<&v::UpgradeApplyConfiguration::imagePullSerial>({.name = "imagePullSerial",
                                                           .otherwise = "true",
                                                           .doc = "Whether images are pulled one after the other.",
                                                           .since = "v1beta4"}),
};

template <>
inline constexpr auto fieldsOf<v::UpgradeDiffConfiguration> = std::array{
    field<&v::UpgradeDiffConfiguration::kubernetesVersion>(
        {.name = "kubernetesVersion", .doc = "The version to compare with.", .since = "v1beta4"}),
    field<&v::UpgradeDiffConfiguration::contextLines>(
        {.name = "contextLines", .doc = "How many lines around a difference are shown.", .since = "v1beta4"}),
};

template <>
inline constexpr auto fieldsOf<v::UpgradeNodeConfiguration> = std::array{
    field<&v::UpgradeNodeConfiguration::certificateRenewal>({.name = "certificateRenewal",
                                                             .otherwise = "true",
                                                             .doc = "Whether certificates are renewed.",
                                                             .since = "v1beta4"}),
    field<&v::UpgradeNodeConfiguration::dryRun>(
        {.name = "dryRun", .doc = "Show what would be done and change nothing.", .since = "v1beta4"}),
    field<&v::UpgradeNodeConfiguration::etcdUpgrade>(
        {.name = "etcdUpgrade", .otherwise = "true", .doc = "Whether etcd is upgraded.", .since = "v1beta4"}),
    field<&v::UpgradeNodeConfiguration::ignorePreflightErrors>(
        {.name = "ignorePreflightErrors",
         .doc = "Names of preflight checks whose errors are only warnings; all is every one.",
         .since = "v1beta4"}),
    field<&v::UpgradeNodeConfiguration::skipPhases>(
        {.name = "skipPhases", .doc = "Phases left out, as phase or phase/sub.", .since = "v1beta4"}),
    field<&v::UpgradeNodeConfiguration::patches>(
        {.name = "patches", .doc = "Changes to what is written for the components.", .since = "v1beta4"}),
    field<&v::UpgradeNodeConfiguration::imagePullPolicy>({.name = "imagePullPolicy",
                                                          .otherwise = "IfNotPresent",
                                                          .rule = &rules::pullPolicy,
                                                          .doc = "When images are pulled.",
                                                          .since = "v1beta4"}),
    field<&v::UpgradeNodeConfiguration::imagePullSerial>({.name = "imagePullSerial",
                                                          .otherwise = "true",
                                                          .doc = "Whether images are pulled one after the other.",
                                                          .since = "v1beta4"}),
};

template <>
inline constexpr auto fieldsOf<v::UpgradePlanConfiguration> = std::array{
    field<&v::UpgradePlanConfiguration::kubernetesVersion>(
        {.name = "kubernetesVersion", .doc = "The version to plan for.", .since = "v1beta4"}),
    field<&v::UpgradePlanConfiguration::allowExperimentalUpgrades>(
        {.name = "allowExperimentalUpgrades",
         .doc = "Whether alpha, beta and release candidate versions are shown.",
         .since = "v1beta4"}),
    field<&v::UpgradePlanConfiguration::allowRCUpgrades>(
        {.name = "allowRCUpgrades", .doc = "Whether release candidates are shown.", .since = "v1beta4"}),
    field<&v::UpgradePlanConfiguration::dryRun>(
        {.name = "dryRun", .doc = "Show what would be done and change nothing.", .since = "v1beta4"}),
    field<&v::UpgradePlanConfiguration::etcdUpgrade>(
        {.name = "etcdUpgrade", .otherwise = "true", .doc = "Whether etcd is upgraded.", .since = "v1beta4"}),
    field<&v::UpgradePlanConfiguration::ignorePreflightErrors>(
        {.name = "ignorePreflightErrors",
         .doc = "Names of preflight checks whose errors are only warnings; all is every one.",
         .since = "v1beta4"}),
    field<&v::UpgradePlanConfiguration::printConfig>(
        {.name = "printConfig", .doc = "Whether the configuration is printed.", .since = "v1beta4"}),
};

template <>
inline constexpr auto fieldsOf<v::UpgradeConfiguration> = std::array{
    field<&v::UpgradeConfiguration::apply>({.name = "apply", .doc = "Options of upgrade apply.", .since = "v1beta4"}),
    field<&v::UpgradeConfiguration::diff>({.name = "diff", .doc = "Options of upgrade diff.", .since = "v1beta4"}),
    field<&v::UpgradeConfiguration::node>({.name = "node", .doc = "Options of upgrade node.", .since = "v1beta4"}),
    field<&v::UpgradeConfiguration::plan>({.name = "plan", .doc = "Options of upgrade plan.", .since = "v1beta4"}),
    field<&v::UpgradeConfiguration::timeouts>(
        {.name = "timeouts", .doc = "How long things may take.", .since = "v1beta4"}),
};

// clang-format on

} // namespace schema

namespace v1beta4 {

namespace {

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
