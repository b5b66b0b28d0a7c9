#include "manifests/cluster_objects.hpp"

#include "config/audit.hpp"
#include "config/store.hpp"
#include "manifests/security.hpp"
#include "config/token.hpp"
#include "support/encoding.hpp"
#include "support/error.hpp"
#include "support/text.hpp"
#include "support/yaml.hpp"

#include <algorithm>
#include <map>

namespace kubestrap::manifests {

namespace {

using config::BootstrapToken;
using config::Cluster;

constexpr std::string_view hashAnnotation = "kubeadm.kubernetes.io/component-config.hash";
constexpr std::string_view rbacGroup = "rbac.authorization.k8s.io";
constexpr std::string_view rbacVersion = "rbac.authorization.k8s.io/v1";
constexpr std::string_view system = "kube-system", publicSpace = "kube-public";
constexpr std::string_view bootstrappers = config::defaultTokenGroup, nodes = "system:nodes";

Value metadata(std::string_view name, std::string_view nameSpace = {}) {
  Value value = Value::object({{"name", name}});
  if (!nameSpace.empty()) value["namespace"] = nameSpace;
  return value;
}

/// A Role in `nameSpace`, or a ClusterRole when that is empty, to get one object, or every one of that resource.
Value mayGet(std::string_view role, std::string_view nameSpace, std::string_view resource,
             std::string_view object = {}) {
  Value rule = Value::object({{"apiGroups", Value::array({""})}, {"resources", Value::array({resource})}});
  if (!object.empty()) rule["resourceNames"] = Value::array({object});
  rule["verbs"] = Value::array({"get"});
  return Value::object({{"apiVersion", rbacVersion},
                        {"kind", nameSpace.empty() ? "ClusterRole" : "Role"},
                        {"metadata", metadata(role, nameSpace)},
                        {"rules", Value::array({std::move(rule)})}});
}

enum class SubjectKind { group, user };

/// One binding: who has which role.
struct BindingRow {
  std::string_view name;
  std::string_view role; ///< a ClusterRole, or, in a namespace, a Role
  std::vector<std::string_view> subjects;
  SubjectKind kind = SubjectKind::group;
  std::string_view nameSpace = {}; ///< empty: a ClusterRoleBinding
};

Value binding(const BindingRow& row) {
  const bool everywhere = row.nameSpace.empty();
  Value subjects = Value::array();
  for (std::string_view subject : row.subjects)
    subjects.push_back(Value::object(
        {{"apiGroup", rbacGroup}, {"kind", row.kind == SubjectKind::user ? "User" : "Group"}, {"name", subject}}));
  return Value::object(
      {{"apiVersion", rbacVersion},
       {"kind", everywhere ? "ClusterRoleBinding" : "RoleBinding"},
       {"metadata", metadata(row.name, row.nameSpace)},
       {"roleRef",
        Value::object({{"apiGroup", rbacGroup}, {"kind", everywhere ? "ClusterRole" : "Role"}, {"name", row.role}})},
       {"subjects", std::move(subjects)}});
}

Value configMap(std::string_view name, std::string_view nameSpace, std::string_view key, std::string text) {
  return Value::object({{"apiVersion", "v1"},
                        {"kind", "ConfigMap"},
                        {"metadata", metadata(name, nameSpace)},
                        {"data", Value::object({{std::string(key), std::move(text)}})}});
}

/// A ConfigMap of kube-system with one document, and the rules by which joiners and nodes may read it.
std::vector<Value> readableByNodes(Value map, std::string_view role, std::vector<std::string_view> readers) {
  std::string name = stringAt(map, "metadata.name");
  return {std::move(map), mayGet(role, system, "configmaps", name),
          binding({.name = role, .role = role, .subjects = std::move(readers), .nameSpace = system})};
}

} // namespace

std::string configMapHash(const Value& map) {
  std::string all;
  if (const Value* data = find(map, "data")) {
    std::map<std::string, std::string> byKey;
    for (const auto& [key, text] : data->items()) byKey[key] = text.get<std::string>();
    for (const auto& [key, text] : byKey) all += text;
  }
  return "sha256:" + sha256Hex(all);
}

Value withConfigMapHash(Value map) {
  map["metadata"]["annotations"][std::string(hashAnnotation)] = configMapHash(map);
  return map;
}

Value clusterAdminsBinding() {
  return binding({.name = "kubeadm:cluster-admins", .role = "cluster-admin", .subjects = {"kubeadm:cluster-admins"}});
}

std::vector<Value> uploadedKubeadmConfig(const Cluster& cluster) {
  return readableByNodes(configMap("kubeadm-config", system, "ClusterConfiguration",
                                   emitYaml(sorted(config::clusterConfigurationDocument(cluster)))),
                         "kubeadm:nodes-kubeadm-config", {bootstrappers, nodes});
}

std::vector<Value> uploadedKubeletConfig(const Cluster& cluster) {
  Value map = configMap("kubelet-config", system, "kubelet", emitYaml(sorted(config::kubeletConfigDocument(cluster))));
  if (!cluster.kubelet.userSupplied) map = withConfigMapHash(std::move(map));
  return readableByNodes(std::move(map), "kubeadm:kubelet-config", {nodes, bootstrappers});
}

std::vector<Value> uploadedKubestrapConfig(const Cluster& cluster) {
  auto map = configMap("kubestrap-config", system, "KubestrapConfiguration", emitYaml(sorted(config::kubestrapConfigurationDocument(cluster))));
  if (const auto& audit = cluster.kubestrap.audit) map["data"][std::string(auditPolicyKey)] = config::auditPolicyText(*audit);
  return readableByNodes(std::move(map), "kubestrap:nodes-kubestrap-config", {bootstrappers, nodes});
}

std::vector<SharedFile> sharedFiles(const Cluster& cluster) {
  const config::Path& pki = cluster.pki.folder;
  std::vector<SharedFile> files;
  for (const char* name : {"ca.crt", "ca.key", "front-proxy-ca.crt", "front-proxy-ca.key", "sa.pub", "sa.key"})
    files.push_back({name, pki / name});
  if (cluster.kubestrap.encryption) files.push_back({"encryption.yaml", encryptionFile(cluster)});
  if (const auto& external = cluster.etcd.external) {
    files.push_back({"external-etcd-ca.crt", external->caFile});
    files.push_back({"external-etcd.crt", external->certFile});
    files.push_back({"external-etcd.key", external->keyFile});
  } else {
    files.push_back({"etcd-ca.crt", pki / "etcd/ca.crt"});
    files.push_back({"etcd-ca.key", pki / "etcd/ca.key"});
  }
  return files;
}

void shareAs(Cluster& cluster, const Cluster& other) {
  cluster.pki.folder = other.pki.folder;
  cluster.kubestrap.encryption = other.kubestrap.encryption;
  cluster.etcd.external = other.etcd.external;
}

BootstrapToken certsLifetimeToken(const Secret& certificateKey, TimePoint expires) {
  constexpr std::string_view alphabet = "0123456789abcdefghijklmnopqrstuvwxyz";
  std::string token;
  for (char octet : sha256("lifetime of kubeadm-certs: " + certificateKey.reveal()))
    token += alphabet[static_cast<unsigned char>(octet) % alphabet.size()];
  return {.id = token.substr(0, 6),
          .secret = Secret(token.substr(6, 16)),
          .description =
              "Proxy for managing TTL for the kubeadm-certs secret", // kubeadm's words: `token list` shows them
          .expires = expires};
}

Value kubeadmCertsSecret(const Cluster& cluster, const BootstrapToken& lifetime) {
  Value data = Value::object();
  for (const SharedFile& file : sharedFiles(cluster)) data[file.key] = "";
  Value meta = metadata("kubeadm-certs", system);
  meta["ownerReferences"] = Value::array({Value::object({{"apiVersion", "v1"},
                                                         {"kind", "Secret"},
                                                         {"name", bootstrapTokenSecretName(lifetime.id)},
                                                         {"uid", ""},
                                                         {"controller", true},
                                                         {"blockOwnerDeletion", true}})});
  return Value::object({{"apiVersion", "v1"},
                        {"kind", "Secret"},
                        {"metadata", std::move(meta)},
                        {"type", "Opaque"},
                        {"data", std::move(data)}});
}

Pointer sharedFileAt(std::string_view key) { return Pointer("/data") / std::string(key); }

std::vector<Value> kubeadmCertsRules() {
  constexpr std::string_view role = "kubeadm:kubeadm-certs";
  return {mayGet(role, system, "secrets", "kubeadm-certs"),
          binding({.name = role, .role = role, .subjects = {bootstrappers}, .nameSpace = system})};
}

Value controlPlaneMark(const config::Node& node) {
  Value meta = metadata(node.name);
  meta["labels"] = Value::object(
      {{"node-role.kubernetes.io/control-plane", ""}, {"node.kubernetes.io/exclude-from-external-load-balancers", ""}});
  Value mark = Value::object({{"apiVersion", "v1"}, {"kind", "Node"}, {"metadata", std::move(meta)}});
  if (!node.taints.empty()) mark["spec"] = Value::object({{"taints", Value(node.taints)}});
  return mark;
}

std::string bootstrapTokenSecretName(std::string_view tokenId) { return "bootstrap-token-" + std::string(tokenId); }

Value bootstrapTokenSecret(const BootstrapToken& token) {
  if (!token.expires && token.ttl && *token.ttl > Duration::zero())
    throw Error("the bootstrap token " + token.id + " has a lifetime but no date on which it expires",
                "this is a defect; please report it");
  Value data = Value::object();
  auto put = [&](const std::string& key, std::string_view plain) { data[key] = base64(plain); };
  put("token-id", token.id);
  put("token-secret", token.secret.reveal());
  if (!token.description.empty()) put("description", token.description);
  if (token.expires) put("expiration", formatRfc3339(*token.expires));
  for (const std::string& usage : token.usages) put("usage-bootstrap-" + usage, "true");
  if (!token.groups.empty()) put("auth-extra-groups", join(token.groups, ","));
  return Value::object({{"apiVersion", "v1"},
                        {"kind", "Secret"},
                        {"metadata", metadata(bootstrapTokenSecretName(token.id), system)},
                        {"type", "bootstrap.kubernetes.io/token"},
                        {"data", sorted(data)}});
}

std::vector<Value> bootstrapTokenRules() {
  constexpr std::string_view getNodes = "kubeadm:get-nodes";
  constexpr std::string_view requests = "system:certificates.k8s.io:certificatesigningrequests:";
  const std::string nodeClient = std::string(requests) + "nodeclient",
                    selfNodeClient = std::string(requests) + "selfnodeclient";
  std::vector<Value> rules = {mayGet(getNodes, {}, "nodes")};
  for (const BindingRow& row : std::initializer_list<BindingRow>{
           {.name = getNodes, .role = getNodes, .subjects = {bootstrappers}},
           {.name = "kubeadm:kubelet-bootstrap", .role = "system:node-bootstrapper", .subjects = {bootstrappers}},
           {.name = "kubeadm:node-autoapprove-bootstrap", .role = nodeClient, .subjects = {bootstrappers}},
           {.name = "kubeadm:node-autoapprove-certificate-rotation", .role = selfNodeClient, .subjects = {nodes}},
       })
    rules.push_back(binding(row));
  rules.push_back(apiServerKubeletClientBinding());
  return rules;
}

Value apiServerKubeletClientBinding() {
  return binding({.name = "kubeadm:apiserver-kubelet-client",
                  .role = "system:kubelet-api-admin",
                  .subjects = {"kube-apiserver-kubelet-client"},
                  .kind = SubjectKind::user});
}

Value clusterInfo() { return configMap("cluster-info", publicSpace, "kubeconfig", ""); }

Pointer clusterInfoSignatureAt(std::string_view tokenId) { return Pointer("/data/jws-kubeconfig-" + std::string(tokenId)); }

bool isForSigning(const config::BootstrapToken& token) { return std::ranges::find(token.usages, "signing") != token.usages.end(); }

std::vector<Value> clusterInfoRules() {
  constexpr std::string_view role = "kubeadm:bootstrap-signer-clusterinfo";
  return {mayGet(role, publicSpace, "configmaps", "cluster-info"), binding({.name = role,
                                                                            .role = role,
                                                                            .subjects = {"system:anonymous"},
                                                                            .kind = SubjectKind::user,
                                                                            .nameSpace = publicSpace})};
}

} // namespace kubestrap::manifests
