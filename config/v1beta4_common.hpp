#pragma once
// Fields of v1beta4 that stand in several kinds of document.

#include "config/rules.hpp"
#include "config/token.hpp"
#include "config/v1beta4.hpp"

namespace kubestrap::config::v1beta4::core {

using schema::Field;
using schema::Kind;
using schema::Type;

inline constexpr Type text{.kind = Kind::text}, boolean{.kind = Kind::boolean}, time{.kind = Kind::time},
    anything{.kind = Kind::any};

// core/v1 objects that may stand inside kubeadm's documents and stay documents. Not inline: only then g++ 12 with sanitizers knows while it compiles
// that their addresses are not null.

inline constexpr Field taintFields[] = {
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

inline constexpr Field fieldRefFields[] = {
    {.name = "apiVersion",
     .otherwise = "v1",
     .doc = "The version of the schema that fieldPath is written for.",
     .type = &text},
    {.name = "fieldPath", .doc = "The pod's field, like status.podIP.", .required = true, .type = &text},
};
inline constexpr Field resourceRefFields[] = {
    {.name = "containerName", .doc = "The container, when it is another one.", .type = &text},
    {.name = "resource", .doc = "The resource, like limits.cpu.", .required = true, .type = &text},
    {.name = "divisor", .doc = "The unit of the value.", .type = &anything},
};
inline constexpr Field keyRefFields[] = {
    {.name = "name", .doc = "The object's name.", .type = &text},
    {.name = "key", .doc = "The key in the object.", .required = true, .type = &text},
    {.name = "optional", .doc = "Whether it may be missing.", .type = &boolean},
};
inline constexpr Field fileRefFields[] = {
    {.name = "volumeName", .doc = "The volume that holds the file.", .required = true, .type = &text},
    {.name = "path", .doc = "The file in the volume.", .required = true, .type = &text},
    {.name = "key", .doc = "The key in the file.", .required = true, .type = &text},
    {.name = "optional", .doc = "Whether it may be missing.", .type = &boolean},
};
inline constexpr Type fieldRef{.kind = Kind::record, .fields = fieldRefFields},
    resourceRef{.kind = Kind::record, .fields = resourceRefFields};
inline constexpr Type keyRef{.kind = Kind::record, .fields = keyRefFields},
    fileRef{.kind = Kind::record, .fields = fileRefFields};
inline constexpr Field valueFromFields[] = {
    {.name = "fieldRef", .doc = "A field of the pod.", .type = &fieldRef},
    {.name = "resourceFieldRef", .doc = "A resource of a container.", .type = &resourceRef},
    {.name = "configMapKeyRef", .doc = "A key of a ConfigMap.", .type = &keyRef},
    {.name = "secretKeyRef", .doc = "A key of a Secret.", .type = &keyRef},
    {.name = "fileKeyRef", .doc = "A key of a file in a volume.", .type = &fileRef},
};
inline constexpr Type valueFrom{.kind = Kind::record, .fields = valueFromFields};
inline constexpr Field environmentFields[] = {
    {.name = "name", .doc = "The variable's name.", .required = true, .type = &text},
    {.name = "value", .doc = "The variable's value.", .type = &text},
    {.name = "valueFrom", .doc = "Where the value comes from instead.", .type = &valueFrom},
};
constexpr Type variable{.kind = Kind::record, .fields = environmentFields},
    environment{.kind = Kind::list, .item = &variable};

} // namespace kubestrap::config::v1beta4::core

namespace kubestrap::config::schema {

namespace v = v1beta4;

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
         .type = &v::core::taints}),
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

// clang-format on

} // namespace kubestrap::config::schema
