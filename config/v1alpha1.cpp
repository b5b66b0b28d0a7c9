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
inline constexpr auto fieldsOf<AddressPool> = std::array{
    field<&AddressPool::name>({.name = "name", .rule = &rules::dnsSubdomain, .doc = "The pool's name.", .since = since, .required = true}),
    field<&AddressPool::addresses>({.name = "addresses",
                                    .rule = &rules::addressRange,
                                    .doc = "Unused addresses of the nodes' own network, which services get.",
                                    .since = since,
                                    .required = true}),
    field<&AddressPool::autoAssign>({.name = "autoAssign", .doc = "Whether a service that names no pool may get one of these; by itself it may.", .since = since}),
};

template <>
inline constexpr auto fieldsOf<NodePorts> = std::array{
    field<&NodePorts::http>({.name = "http", .rule = &rules::nodePort, .doc = "The port of every node that leads to http.", .since = since, .unset = Unset::omittedWhenZero}),
    field<&NodePorts::https>({.name = "https", .rule = &rules::nodePort, .doc = "The port of every node that leads to https.", .since = since, .unset = Unset::omittedWhenZero}),
};

template <>
inline constexpr auto fieldsOf<AddonValues> = std::array{
    field<&AddonValues::imageRegistry>({.name = "imageRegistry",
                                        .rule = &rules::imageRepository,
                                        .doc = "Of all: what takes the place of the registries of a manifest's images: 10.0.0.5:5000 makes 10.0.0.5:5000/metallb/speaker:v1 "
                                               "of quay.io/metallb/speaker:v1.",
                                        .since = since,
                                        .unset = Unset::omittedWhenZero}),
    field<&AddonValues::images>({.name = "images",
                                 .doc = "Of all: single images, by their name in the manifest with or without its tag, and what takes their place.",
                                 .since = since,
                                 .unset = Unset::omittedWhenZero}),
    field<&AddonValues::interfaces>({.name = "interfaces",
                                     .doc = "Of flannel and calico: the network interface of the nodes that carries pods' packets; of metallb: those on which addresses are "
                                            "answered for. By themselves they choose.",
                                     .since = since,
                                     .unset = Unset::omittedWhenZero}),
    field<&AddonValues::backend>({.name = "backend",
                                  .rule = &rules::flannelBackend,
                                  .doc = "Of flannel: how packets get from node to node; by itself as its manifest says.",
                                  .since = since,
                                  .unset = Unset::omittedWhenZero}),
    field<&AddonValues::nftables>({.name = "nftables", .doc = "Of flannel: whether it makes its rules by nftables in place of iptables; by itself as its manifest says.", .since = since}),
    field<&AddonValues::encapsulation>({.name = "encapsulation",
                                        .rule = &rules::calicoEncapsulation,
                                        .doc = "Of calico: how packets get from node to node; by itself as its manifest says.",
                                        .since = since,
                                        .unset = Unset::omittedWhenZero}),
    field<&AddonValues::mode>({.name = "mode",
                               .rule = &rules::metallbMode,
                               .doc = "Of metallb: how its addresses become known; l2, which is the default, answers for them on the nodes' own network.",
                               .since = since,
                               .unset = Unset::omittedWhenZero}),
    field<&AddonValues::pools>({.name = "pools", .doc = "Of metallb: addresses for services of type LoadBalancer.", .since = since, .unset = Unset::omittedWhenZero}),
    field<&AddonValues::controlPlanes>({.name = "controlPlanes",
                                        .doc = "Of metallb: whether control plane nodes answer for its addresses, too, as they have to where there are no others.",
                                        .since = since}),
    field<&AddonValues::exposure>({.name = "exposure",
                                   .rule = &rules::ingressExposure,
                                   .doc = "Of traefik and ingress-nginx: how requests from outside reach it: loadBalancer gets an address of MetalLB or the like, nodePort a port of "
                                          "every node, hostNetwork the ports of the nodes on which it runs, externalIPs addresses that lead to a node already; by itself as its "
                                          "manifest says.",
                                   .since = since,
                                   .unset = Unset::omittedWhenZero}),
    field<&AddonValues::externalIPs>({.name = "externalIPs",
                                      .rule = &rules::ipAddress,
                                      .doc = "Of traefik and ingress-nginx: the addresses of exposure externalIPs; or, with loadBalancer, those that are asked of MetalLB.",
                                      .since = since,
                                      .unset = Unset::omittedWhenZero}),
    field<&AddonValues::nodePorts>({.name = "nodePorts", .doc = "Of traefik and ingress-nginx: the ports of exposure nodePort; by themselves the cluster chooses.", .since = since}),
    field<&AddonValues::kubeletInsecureTLS>({.name = "kubeletInsecureTLS",
                                             .doc = "Of metrics-server: whether it takes any certificate of a kubelet, as it has to where kubelets sign their own.",
                                             .since = since}),
    field<&AddonValues::path>({.name = "path",
                               .rule = &rules::absolutePath,
                               .doc = "Of local-path: the folder of each node in which volumes are made; by itself as its manifest says.",
                               .since = since,
                               .unset = Unset::omittedWhenZero}),
    field<&AddonValues::isDefault>({.name = "default", .doc = "Of local-path: whether claims that name no storage class get it.", .since = since}),
};

template <>
inline constexpr auto fieldsOf<Addon> = std::array{
    field<&Addon::name>({.name = "name", .rule = &rules::addonName, .doc = "Which one.", .since = since, .required = true}),
    field<&Addon::source>({.name = "source",
                           .rule = &rules::absolutePath,
                           .doc = "Its manifest: a file, or a folder of them, on the machine on which it is applied; by itself /var/lib/kubestrap/manifests/NAME.yaml, where a bundle has it.",
                           .since = since,
                           .unset = Unset::omittedWhenZero}),
    field<&Addon::values>({.name = "values", .doc = "What it is made with, where that is to differ from its manifest.", .since = since}),
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
         .doc = "Who keeps the control plane's pods: static is the kubelet from files; self, the cluster, is what pivot writes here, and what a cluster.yaml may ask for.",
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
    field<&v::KubestrapConfiguration::addons>({.name = "addons",
                                               .doc = "Add-ons that are installed: pod network, load balancer, ingress, metrics, storage; none by itself.",
                                               .since = since,
                                               .unset = Unset::omittedWhenZero}),
    field<&v::KubestrapConfiguration::bundle>({.name = "bundle",
                                               .rule = &rules::absolutePath,
                                               .doc = "A bundle that init or join puts on this machine first, as with --bundle, which counts before it. Of many machines a Cluster says it.",
                                               .since = since,
                                               .unset = Unset::omittedWhenZero}),
    field<&v::KubestrapConfiguration::offline>({.name = "offline",
                                                .doc = "Whether init or join may fetch nothing from outside of the cluster, as with --offline. Of many machines a Cluster says it.",
                                                .since = since,
                                                .unset = Unset::omittedWhenZero}),
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

Value encode(const AddonValues& values) { return schema::put(values); }

void applyDefaults(KubestrapConfiguration& configuration) {
  // Its control planes have a balancer in any case.
  if (configuration.layout == "hosted" && configuration.endpoint.mode.empty()) configuration.endpoint.mode = "local";
  schema::applyDefaults(configuration);
}

} // namespace v1alpha1

} // namespace kubestrap::config
