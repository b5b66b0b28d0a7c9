#pragma once
// Fields of v1beta4 that make up an UpgradeConfiguration.

#include "config/v1beta4_common.hpp"

namespace kubestrap::config::schema {

namespace v = v1beta4;

// clang-format off: a line is a field
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

} // namespace kubestrap::config::schema
