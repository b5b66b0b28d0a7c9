#pragma once

#include "config/model.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace kubestrap::manifests {

// The objects that make a cluster joinable and keep its configuration, named and filled as kubeadm 1.37 does, so that
// its join, upgrade and token commands work with them. Lists are in the order to apply.

/// "sha256:..." over the values of a ConfigMap's data in the order of their keys; kubeadm's annotation
/// kubeadm.kubernetes.io/component-config.hash says with it that a component configuration was generated, not written
/// by an operator, and may be generated anew (kubeadm: componentconfigs/checksums.go).
std::string configMapHash(const Value& configMap);
/// `configMap` with that annotation.
Value withConfigMapHash(Value configMap);

// ---- first client use

/// Makes admin.conf's group administrators of the cluster.
Value clusterAdminsBinding();

// ---- upload-config: a ConfigMap each, with the Role and RoleBinding by which bootstrappers and nodes may get it

std::vector<Value> uploadedKubeadmConfig(const config::Cluster& cluster);
std::vector<Value> uploadedKubeletConfig(const config::Cluster& cluster);
/// In kube-system/kubestrap-config: the audit log's policy, where there is one.
inline constexpr std::string_view auditPolicyKey = "AuditPolicy";
/// On it, while keys of encryption at rest move: whoever joins reads it, and cannot know by the configuration what lies encrypted.
inline constexpr std::string_view keysMoveAnnotation = "kubestrap.io/encryption-moves";
/// kube-system/kubestrap-config: what kubeadm's documents have no field for (decision D21). Never a secret in it.
std::vector<Value> uploadedKubestrapConfig(const config::Cluster& cluster);

// ---- upload-certs

/// A file that a joining control plane node needs, and its key in the Secret kubeadm-certs ("etcd-ca.crt").
struct SharedFile {
  std::string key;
  config::Path path; ///< empty: there is none, and its value stays empty
};
std::vector<SharedFile> sharedFiles(const config::Cluster& cluster);
/// From here on `cluster` shares the same files as `other`.
void shareAs(config::Cluster& cluster, const config::Cluster& other);

/// The bootstrap token that owns the Secret kubeadm-certs: when the token cleaner removes it, the garbage collector
/// removes the Secret. It has no usages, so nobody can log in with it. Its id follows from the certificate key: the
/// same key, uploaded again, meets the same token.
config::BootstrapToken certsLifetimeToken(const Secret& certificateKey, TimePoint expires);
/// kubeadm lets the uploaded files live that long.
inline constexpr Duration certsLifetime = std::chrono::hours(2);

/// The Secret kubeadm-certs with an empty value for each shared file. What is put in when the world is seen: the sealed
/// files at sharedFileAt(key), and the uid of the lifetime token's Secret at ownerUidAt.
Value kubeadmCertsSecret(const config::Cluster& cluster, const config::BootstrapToken& lifetime);
Pointer sharedFileAt(std::string_view key);
inline constexpr std::string_view ownerUidAt = "/metadata/ownerReferences/0/uid";
/// Role and RoleBinding: bootstrappers may get kubeadm-certs.
std::vector<Value> kubeadmCertsRules();

// ---- mark-control-plane

/// The labels and taints that a control plane node gets, as the part of a Node to be merged into it.
Value controlPlaneMark(const config::Node& node);

// ---- bootstrap-token

/// "bootstrap-token-abcdef"
std::string bootstrapTokenSecretName(std::string_view tokenId);
/// The Secret that makes the token known. Throws Error for a token with a lifetime whose `expires` was not worked out:
/// there is no clock here, and without a date it would never expire.
Value bootstrapTokenSecret(const config::BootstrapToken& token);
/// What bootstrappers, nodes and the API server may do so that a node can join and renew its certificate.
std::vector<Value> bootstrapTokenRules();
/// Among them: the API server may speak to kubelets. Clusters of an older kubeadm lack it.
Value apiServerKubeletClientBinding();
/// kube-public/cluster-info with an empty kubeconfig, which is put in at clusterInfoKubeconfigAt.
Value clusterInfo();
inline constexpr std::string_view clusterInfoKubeconfigAt = "/data/kubeconfig";
Pointer clusterInfoSignatureAt(std::string_view tokenId); ///< where its signature for a token stands (k8s.io/cluster-bootstrap: token/api)
bool isForSigning(const config::BootstrapToken& token);
/// Role and RoleBinding: anybody may get cluster-info, which token discovery needs.
std::vector<Value> clusterInfoRules();

} // namespace kubestrap::manifests
