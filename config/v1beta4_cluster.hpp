#pragma once
// Fields of v1beta4 that make up a ClusterConfiguration.

#include "config/v1beta4_common.hpp"

namespace kubestrap::config::schema {

namespace v = v1beta4;

// clang-format off: a line is a field
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
                                     .type = &v::core::environment}),
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
                                                 .type = &v::core::environment}),
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
                                     .type = &v::core::environment}),
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

// clang-format on

} // namespace kubestrap::config::schema
