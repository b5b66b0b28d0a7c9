#include "manifests/cluster_objects.hpp"

#include "support/error.hpp"
#include "support/yaml.hpp"
#include "tests/unit/manifests/fixture.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>

using namespace kubestrap;
using namespace kubestrap::test;
using namespace kubestrap::manifests;

namespace {

/// "Kind name" -> the first 16 digits of the fingerprint.
std::map<std::string, std::string> fingerprints(const std::vector<Value>& objects) {
  std::map<std::string, std::string> result;
  for (const Value& object : objects)
    result[stringAt(object, "kind") + " " + stringAt(object, "metadata.name")] = fingerprint(object).substr(0, 16);
  return result;
}

std::vector<Value> withoutFirst(std::vector<Value> objects) {
  objects.erase(objects.begin());
  return objects;
}

std::string plain(const Value& secret, const char* key) { return fromBase64(stringAt(secret.at("data"), key)).value(); }

config::BootstrapToken token() {
  return {.id = "abcdef",
          .secret = Secret("0123456789abcdef"),
          .expires = parseRfc3339("2026-11-23T18:46:44Z"),
          .usages = {"signing", "authentication"},
          .groups = {"system:bootstrappers:kubeadm:default-node-token"}};
}

} // namespace

TEST_CASE("roles and bindings are those that the API server shows after the real kubeadm") {
  config::Cluster cluster = referenceSetup().cluster;
  using Map = std::map<std::string, std::string>;
  CHECK(fingerprints(bootstrapTokenRules()) ==
        Map{{"ClusterRole kubeadm:get-nodes", "30f56c60e81ca58f"},
            {"ClusterRoleBinding kubeadm:get-nodes", "d60abf095d0cb018"},
            {"ClusterRoleBinding kubeadm:kubelet-bootstrap", "8fb4cbbfbce74a9e"},
            {"ClusterRoleBinding kubeadm:node-autoapprove-bootstrap", "4c3edf814e96e56e"},
            {"ClusterRoleBinding kubeadm:node-autoapprove-certificate-rotation", "01665fe009f390f6"},
            {"ClusterRoleBinding kubeadm:apiserver-kubelet-client", "a3a21ba7faa82299"}});
  CHECK(fingerprints({clusterAdminsBinding()}) ==
        Map{{"ClusterRoleBinding kubeadm:cluster-admins", "8180d7698e1f22aa"}});
  CHECK(fingerprints(clusterInfoRules()) ==
        Map{{"Role kubeadm:bootstrap-signer-clusterinfo", "342c38bbb260f84c"},
            {"RoleBinding kubeadm:bootstrap-signer-clusterinfo", "69797a560dfc59f1"}});
  CHECK(fingerprints(kubeadmCertsRules()) == Map{{"Role kubeadm:kubeadm-certs", "26a13a114b5b2a70"},
                                                 {"RoleBinding kubeadm:kubeadm-certs", "53ff445dc5a47dfa"}});
  CHECK(fingerprints(withoutFirst(uploadedKubeadmConfig(cluster))) ==
        Map{{"Role kubeadm:nodes-kubeadm-config", "4bc9360b1bcfc65a"},
            {"RoleBinding kubeadm:nodes-kubeadm-config", "7db23d692d87ff15"}});
  CHECK(fingerprints(withoutFirst(uploadedKubeletConfig(cluster))) ==
        Map{{"Role kubeadm:kubelet-config", "0a6a278f392b59f5"},
            {"RoleBinding kubeadm:kubelet-config", "65b2497be90329dc"}});
}

TEST_CASE("nodes and bootstrappers may get kubestrap-config, and only that") {
  std::vector<Value> objects = uploadedKubestrapConfig(referenceSetup().cluster);
  REQUIRE(objects.size() == 3);
  CHECK(stringAt(objects[0], "metadata.namespace") == "kube-system");
  CHECK(stringAt(objects[0], "metadata.name") == "kubestrap-config");
  CHECK(objects[0].at("data").contains("KubestrapConfiguration"));
  CHECK(
      sameDocument(objects[1].at("rules"), parseYamlValue("[{apiGroups: [''], resources: [configmaps], resourceNames: "
                                                          "[kubestrap-config], verbs: [get]}]",
                                                          "test")));
  CHECK(stringAt(objects[2], "roleRef.name") == stringAt(objects[1], "metadata.name"));
  std::vector<std::string> subjects;
  for (const Value& subject : objects[2].at("subjects"))
    subjects.push_back(stringAt(subject, "kind") + " " + stringAt(subject, "name"));
  CHECK(subjects ==
        std::vector<std::string>{"Group system:bootstrappers:kubeadm:default-node-token", "Group system:nodes"});
}

TEST_CASE("uploaded configurations are YAML with sorted keys under kubeadm's key") {
  config::Cluster cluster = referenceSetup().cluster;
  Value kubeadm = uploadedKubeadmConfig(cluster).front(), kubelet = uploadedKubeletConfig(cluster).front();
  CHECK(stringAt(kubeadm, "metadata.name") == "kubeadm-config");
  Value stored = parseYamlValue(kubeadm.at("data").at("ClusterConfiguration").get<std::string>(), "test");
  CHECK(stringAt(stored, "kind") == "ClusterConfiguration");
  CHECK(stored.dump() == sorted(stored).dump());
  CHECK(stringAt(kubelet, "metadata.name") == "kubelet-config");
  stored = parseYamlValue(kubelet.at("data").at("kubelet").get<std::string>(), "test");
  CHECK(stringAt(stored, "kind") == "KubeletConfiguration");
}

TEST_CASE("a generated component configuration carries the hash of its text, one of the operator's does not") {
  config::Cluster cluster = referenceSetup().cluster;
  CHECK_FALSE(uploadedKubeletConfig(cluster).front().at("metadata").contains("annotations"));
  cluster.kubelet.userSupplied = false;
  Value map = uploadedKubeletConfig(cluster).front();
  CHECK(map.at("metadata").at("annotations").at("kubeadm.kubernetes.io/component-config.hash") ==
        "sha256:" + sha256Hex(map.at("data").at("kubelet").get<std::string>()));
}

TEST_CASE("the hash of a ConfigMap runs over its values in the order of their keys") {
  Value map = parseYamlValue("{data: {b: two, a: one}}", "test");
  CHECK(configMapHash(map) == "sha256:" + sha256Hex("onetwo"));
  CHECK(configMapHash(parseYamlValue("{metadata: {}}", "test")) == "sha256:" + sha256Hex(""));
}

TEST_CASE("a bootstrap token becomes a Secret of the type that the API server logs in with") {
  Value secret = bootstrapTokenSecret(token());
  CHECK(stringAt(secret, "metadata.name") == "bootstrap-token-abcdef");
  CHECK(stringAt(secret, "metadata.namespace") == "kube-system");
  CHECK(stringAt(secret, "type") == "bootstrap.kubernetes.io/token");
  CHECK(plain(secret, "token-id") == "abcdef");
  CHECK(plain(secret, "token-secret") == "0123456789abcdef");
  CHECK(plain(secret, "expiration") == "2026-11-23T18:46:44Z");
  CHECK(plain(secret, "usage-bootstrap-signing") == "true");
  CHECK(plain(secret, "usage-bootstrap-authentication") == "true");
  CHECK(plain(secret, "auth-extra-groups") == "system:bootstrappers:kubeadm:default-node-token");
  CHECK(secret.at("data").size() == 6);

  config::BootstrapToken described = token();
  described.description = "for rack 7";
  CHECK(plain(bootstrapTokenSecret(described), "description") == "for rack 7");
}

TEST_CASE("a token without a lifetime never expires, one with a lifetime needs its date") {
  config::BootstrapToken eternal = token();
  eternal.expires.reset();
  CHECK_FALSE(bootstrapTokenSecret(eternal).at("data").contains("expiration"));
  eternal.ttl = Duration::zero();
  CHECK_FALSE(bootstrapTokenSecret(eternal).at("data").contains("expiration"));
  eternal.ttl = std::chrono::hours(24);
  CHECK_THROWS_AS(bootstrapTokenSecret(eternal), Error);
}

TEST_CASE("cluster-info waits for its kubeconfig at the place that is named") {
  Value map = clusterInfo();
  CHECK(stringAt(map, "metadata.namespace") == "kube-public");
  CHECK(map.at(Pointer(std::string(clusterInfoKubeconfigAt))) == "");
}

TEST_CASE("kubeadm-certs has a place for each shared file and for its owner's uid") {
  config::Cluster cluster = referenceSetup().cluster;
  config::BootstrapToken lifetime = certsLifetimeToken(Secret("00ff"), parseRfc3339("2026-11-22T20:46:44Z"));
  Value secret = kubeadmCertsSecret(cluster, lifetime);
  std::vector<std::string> keys;
  for (const SharedFile& file : sharedFiles(cluster)) {
    keys.push_back(file.key + " " + file.path.string());
    CHECK(secret.at(sharedFileAt(file.key)) == "");
  }
  CHECK(keys == std::vector<std::string>{"ca.crt /etc/kubernetes/pki/ca.crt", "ca.key /etc/kubernetes/pki/ca.key",
                                         "front-proxy-ca.crt /etc/kubernetes/pki/front-proxy-ca.crt",
                                         "front-proxy-ca.key /etc/kubernetes/pki/front-proxy-ca.key",
                                         "sa.pub /etc/kubernetes/pki/sa.pub", "sa.key /etc/kubernetes/pki/sa.key",
                                         "etcd-ca.crt /etc/kubernetes/pki/etcd/ca.crt",
                                         "etcd-ca.key /etc/kubernetes/pki/etcd/ca.key"});
  CHECK(secret.at("data").size() == 8);
  CHECK(secret.at(Pointer(std::string(ownerUidAt))) == "");
  CHECK(secret.at("metadata").at("ownerReferences").at(0).at("name") == bootstrapTokenSecretName(lifetime.id));
}

TEST_CASE("with an external etcd its client's files are shared in place of etcd's authority") {
  config::Cluster cluster = referenceSetup().cluster;
  cluster.etcd.external = config::ExternalEtcd{.caFile = "/etc/etcd/ca.crt"};
  std::map<std::string, std::string> files;
  for (const SharedFile& file : sharedFiles(cluster)) files[file.key] = file.path.string();
  CHECK(files.count("etcd-ca.key") == 0);
  CHECK(files.at("external-etcd-ca.crt") == "/etc/etcd/ca.crt");
  CHECK(files.at("external-etcd.crt") == "");
  CHECK(files.at("external-etcd.key") == "");
}

TEST_CASE("a cluster that nobody has described shares the files of the one that stands there, in its folder, with its keys and its etcd") {
  config::Cluster own;
  own.pki.folder = "/srv/pki";
  own.kubestrap.encryption.emplace();
  const auto same = [&] {
    config::Cluster cluster;
    shareAs(cluster, own);
    return std::ranges::equal(sharedFiles(cluster), sharedFiles(own), [](const SharedFile& one, const SharedFile& other) { return one.key == other.key && one.path == other.path; });
  };
  CHECK(same());
  own.etcd.external = config::ExternalEtcd{.endpoints = {}, .httpEndpoints = {}, .caFile = "/srv/ca.crt", .certFile = "/srv/client.crt", .keyFile = "/srv/client.key"};
  CHECK(same());
}

TEST_CASE("the token that bounds the life of kubeadm-certs is a valid one, useless for logging in, and the same for "
          "the same key") {
  TimePoint expires = parseRfc3339("2026-11-22T20:46:44Z");
  config::BootstrapToken lifetime = certsLifetimeToken(Secret("00ff"), expires);
  auto isTokenText = [](const std::string& text) {
    return text.find_first_not_of("0123456789abcdefghijklmnopqrstuvwxyz") == std::string::npos;
  };
  CHECK((lifetime.id.size() == 6 && isTokenText(lifetime.id)));
  CHECK((lifetime.secret.reveal().size() == 16 && isTokenText(lifetime.secret.reveal())));
  Value secret = bootstrapTokenSecret(lifetime);
  CHECK(plain(secret, "expiration") == "2026-11-22T20:46:44Z");
  CHECK(secret.at("data").size() == 4);
  CHECK(certsLifetimeToken(Secret("00ff"), expires).id == lifetime.id);
  CHECK(certsLifetimeToken(Secret("00fe"), expires).id != lifetime.id);
}

TEST_CASE("a control plane node is marked with two labels and its taints") {
  config::Node node = referenceSetup().node;
  Value mark = controlPlaneMark(node);
  CHECK(sameDocument(mark, parseYamlValue(R"({apiVersion: v1, kind: Node,
    metadata: {name: n1, labels: {node-role.kubernetes.io/control-plane: "", node.kubernetes.io/exclude-from-external-load-balancers: ""}},
    spec: {taints: [{key: node-role.kubernetes.io/control-plane, effect: NoSchedule}]}})",
                                          "test")));
  node.taints.clear();
  CHECK_FALSE(controlPlaneMark(node).contains("spec"));
}
