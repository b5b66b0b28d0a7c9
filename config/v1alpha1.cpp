#include "config/v1alpha1.hpp"

#include "config/rules.hpp"

namespace kubestrap::config {

namespace {

using schema::Field;
using schema::Kind;
using schema::Type;
using schema::Unset;

constexpr Type anything{.kind = Kind::any};

constexpr std::string_view since = "v1alpha1";

constexpr Field later(std::string_view name, std::string_view comesWith, std::string_view doc) {
  return {.name = name, .doc = doc, .since = since, .reserved = comesWith, .type = &anything};
}

constexpr Field etcdFields[] = {
    later("snapshots", "upgrade", "Where snapshots go, how many are kept, and when they are made."),
};
constexpr Type etcd{.kind = Kind::record, .fields = etcdFields};

} // namespace

namespace schema {

namespace v = v1alpha1;

// clang-format off: a line is a field
template <>
inline constexpr auto fieldsOf<v::Vip> = std::array{
    field<&v::Vip::address>({.name = "address",
                             .rule = &rules::ipAddress,
                             .doc = "The address that one control plane node has beside its own, and another one when that fails.",
                             .since = since,
                             .required = true}),
    field<&v::Vip::interface>({.name = "interface",
                               .doc = "The network interface that gets it; by itself the one with the API server's address.",
                               .since = since,
                               .unset = Unset::omittedWhenZero}),
    field<&v::Vip::routerID>({.name = "routerID",
                              .rule = &rules::virtualRouter,
                              .doc = "VRRP's virtual router id, which nothing else on the link may have; by itself the last octet of the address.",
                              .since = since,
                              .unset = Unset::omittedWhenZero}),
    field<&v::Vip::priority>({.name = "priority",
                              .otherwise = "100",
                              .rule = &rules::virtualRouterPriority,
                              .doc = "VRRP's priority, the same for all nodes: none is preferred, and the address moves only when it has to.",
                              .since = since}),
};

template <>
inline constexpr auto fieldsOf<v::Endpoint> = std::array{
    field<&v::Endpoint::mode>({.name = "mode",
                               .otherwise = "single",
                               .rule = &rules::endpointMode,
                               .doc = "How clients reach the control plane: local is a balancer on every node, vip that and an address that moves between the "
                                      "control plane nodes, external a balancer of the operator's at controlPlaneEndpoint; single adds nothing to kubeadm's ways.",
                               .since = since}),
    field<&v::Endpoint::vip>({.name = "vip", .doc = "The virtual address of the control plane, for mode vip.", .since = since}),
};

template <>
inline constexpr auto fieldsOf<v::Images> = std::array{
    field<&v::Images::front>({.name = "front",
                              .rule = &rules::imageReference,
                              .doc = "The image of the balancer on every node, in place of the one that is shipped.",
                              .since = since,
                              .unset = Unset::omittedWhenZero}),
    field<&v::Images::vip>({.name = "vip",
                            .rule = &rules::imageReference,
                            .doc = "The image of what keeps the virtual address, in place of the one that is shipped.",
                            .since = since,
                            .unset = Unset::omittedWhenZero}),
    later("kubestrap", "pivot", "kubestrap's own image, in place of the one that is shipped."),
};

template <>
inline constexpr auto fieldsOf<v::Preflight> = std::array{
    field<&v::Preflight::fix>({.name = "fix",
                               .doc = "Names of findings that preflight --fix may put right; without it all that it can.",
                               .since = since}),
};

template <>
inline constexpr auto fieldsOf<v::Pki> = std::array{
    field<&v::Pki::requests>({.name = "requests",
                              .rule = &rules::absolutePath,
                              .doc = "A folder of certificate requests (cfssl's CSR JSON), NAME.json for the certificate NAME: subject, further "
                                     "names and key of what init and join make.",
                              .since = since}),
    field<&v::Pki::policy>({.name = "policy",
                            .rule = &rules::absolutePath,
                            .doc = "A signing policy (cfssl's) with a profile for each certificate whose validity is to differ.",
                            .since = since}),
    later("kubeletServing", "a later version", "Who signs the kubelets' serving certificates: selfSigned or csr."),
    later("autoRenew", "a later version", "Whether and when certificates renew themselves."),
    later("caKey", "a later version", "Where the keys of the authorities lie: all, first or external."),
};

template <>
inline constexpr auto fieldsOf<v::EncryptionAtRest> = std::array{
    field<&v::EncryptionAtRest::provider>({.name = "provider",
                                           .rule = &rules::encryptionProvider,
                                           .doc = "The cipher: secretbox (XSalsa20 and Poly1305) needs no care; aescbc is weak, and aesgcm's keys have to be rotated often.",
                                           .since = since,
                                           .required = true}),
    field<&v::EncryptionAtRest::resources>({.name = "resources",
                                            .otherwise = "secrets",
                                            .rule = &rules::encryptedResource,
                                            .doc = "What is encrypted: plurals of resources, outside the core group with their group.",
                                            .since = since}),
    later("rotateEvery", "a later version", "How often the key is rotated; until then: kubestrap reconfigure --rotate-encryption-key."),
};

template <>
inline constexpr auto fieldsOf<v::Audit> = std::array{
    field<&v::Audit::policyFile>({.name = "policyFile",
                                  .rule = &rules::absolutePath,
                                  .doc = "A file with a Policy of audit.k8s.io/v1, read where the command runs; it may stand beside this document instead.",
                                  .since = since,
                                  .unset = Unset::omittedWhenZero}),
    field<&v::Audit::maxSize>({.name = "maxSize", .otherwise = "100Mi", .rule = &rules::mebibytes, .doc = "How large the log's file gets before another one begins.", .since = since}),
    field<&v::Audit::maxBackups>({.name = "maxBackups",
                                  .otherwise = "10",
                                  .rule = &rules::count,
                                  .doc = "How many full files are kept; 0 means all.",
                                  .since = since}),
};

template <>
inline constexpr auto fieldsOf<v::Security> = std::array{
    later("profile", "a later version", "default or hardened."),
    field<&v::Security::encryptionAtRest>({.name = "encryptionAtRest", .doc = "How API servers encrypt what they store in etcd; without it they do not.", .since = since}),
    field<&v::Security::audit>({.name = "audit", .doc = "What the API servers' audit log in /var/log/kubernetes/audit holds; without it there is none.", .since = since}),
};

template <>
inline constexpr auto fieldsOf<v::KubestrapConfiguration> = std::array{
    field<&v::KubestrapConfiguration::layout>(
        {.name = "layout",
         .otherwise = "plain",
         .rule = &rules::layout,
         .doc = "How the control plane is laid out on a node: plain is kubeadm's way; hosted has each component on an address of its own, "
                "behind the node's balancer, so that two of them can run side by side, which pivot needs. Where nothing is said, init makes a new cluster hosted, unless "
                "something is asked for that does not go with it.",
         .since = since}),
    field<&v::KubestrapConfiguration::hosting>(
        {.name = "hosting",
         .otherwise = "static",
         .rule = &rules::hosting,
         .doc = "Who keeps the control plane's pods: static is the kubelet from files; self, the cluster, is what pivot writes here.",
         .since = since}),
    field<&v::KubestrapConfiguration::endpoint>(
        {.name = "endpoint", .doc = "How the control plane is reached.", .since = since}),
    field<&v::KubestrapConfiguration::images>({.name = "images", .doc = "Images of kubestrap's own.", .since = since}),
    field<&v::KubestrapConfiguration::preflight>(
        {.name = "preflight", .doc = "What preflight may do.", .since = since}),
    field<&v::KubestrapConfiguration::pki>({.name = "pki", .doc = "Certificates and authorities.", .since = since}),
    later("handover", "pivot", "How long the steps of a hand-over may take."),
    Field{.name = "etcd", .doc = "etcd's snapshots.", .since = since, .type = &etcd},
    field<&v::KubestrapConfiguration::security>({.name = "security", .doc = "Hardening.", .since = since}),
    later("addons", "clusters of many machines", "Add-ons that are installed."),
    later("bundle", "clusters of many machines", "A file with everything for an installation without a network."),
    later("offline", "clusters of many machines", "Whether nothing may be fetched."),
};
// clang-format on

} // namespace schema

namespace v1alpha1 {

const schema::Type kubestrapConfiguration{
    .kind = Kind::record, .fields = schema::fieldsOf<KubestrapConfiguration>, .document = true};

KubestrapConfiguration decode(const Value& document) {
  KubestrapConfiguration configuration;
  schema::get(document, configuration);
  return configuration;
}

Value encode(const KubestrapConfiguration& configuration) {
  Value document = schema::put(configuration);
  document["apiVersion"] = std::string(apiVersion);
  document["kind"] = std::string(kind);
  return sorted(document);
}

void applyDefaults(KubestrapConfiguration& configuration) {
  // Its control planes have a balancer in any case.
  if (configuration.layout == "hosted" && configuration.endpoint.mode.empty()) configuration.endpoint.mode = "local";
  schema::applyDefaults(configuration);
}

} // namespace v1alpha1

} // namespace kubestrap::config
