#pragma once
// Fields of v1beta4 that make up what is said to one machine: InitConfiguration, JoinConfiguration, ResetConfiguration.

#include "config/v1beta4_common.hpp"

namespace kubestrap::config::schema {

namespace v = v1beta4;

// clang-format off: a line is a field
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

// clang-format on

} // namespace kubestrap::config::schema
