#include "kube/kubeconfig.hpp"
#include "support/error.hpp"

#include <doctest/doctest.h>

using namespace kubestrap;
using namespace kubestrap::kube;

namespace {

/// As kubeadm 1.37 writes admin.conf, with short data.
const std::string adminConf = R"(apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: Q0E=
    server: https://10.88.0.11:6443
  name: kubernetes
contexts:
- context:
    cluster: kubernetes
    user: kubernetes-admin
  name: kubernetes-admin@kubernetes
current-context: kubernetes-admin@kubernetes
kind: Config
users:
- name: kubernetes-admin
  user:
    client-certificate-data: Q0VSVA==
    client-key-data: S0VZ
)";

const std::string kubeletConf = R"(apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: Q0E=
    server: https://127.0.0.1:6443
    tls-server-name: kubernetes
  name: kubernetes
contexts:
- context:
    cluster: kubernetes
    user: system:node:n1
  name: system:node:n1@kubernetes
current-context: system:node:n1@kubernetes
kind: Config
users:
- name: system:node:n1
  user:
    client-certificate: /var/lib/kubelet/pki/kubelet-client-current.pem
    client-key: /var/lib/kubelet/pki/kubelet-client-current.pem
)";

std::string complaint(const std::string& text) {
  try {
    parseKubeconfig(text, "admin.conf");
  } catch (const Error& error) {
    return error.message();
  }
  return "none";
}

std::string with(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

} // namespace

TEST_CASE("a kubeconfig with embedded credentials is written as kubeadm does, byte for byte") {
  CHECK(emitKubeconfig({.server = "https://10.88.0.11:6443",
                        .clusterName = "kubernetes",
                        .user = "kubernetes-admin",
                        .authorities = "CA",
                        .clientCertificate = "CERT",
                        .clientKey = Secret("KEY")}) == adminConf);
}

TEST_CASE("a kubeconfig with credentials in files is written as kubeadm does") {
  const std::string file = "/var/lib/kubelet/pki/kubelet-client-current.pem";
  CHECK(emitKubeconfig({.server = "https://127.0.0.1:6443",
                        .tlsServerName = "kubernetes",
                        .clusterName = "kubernetes",
                        .user = "system:node:n1",
                        .authorities = "CA",
                        .clientCertificateFile = file,
                        .clientKeyFile = file}) == kubeletConf);
}

TEST_CASE("the text of cluster-info is what kubeadm signs") {
  CHECK(emitDiscoveryKubeconfig("https://10.88.0.11:6443", "CA") == R"(apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: Q0E=
    server: https://10.88.0.11:6443
  name: ""
contexts: null
current-context: ""
kind: Config
users: null
)");
}

TEST_CASE("what is written is read again") {
  for (const std::string& text : {adminConf, kubeletConf}) CHECK(emitKubeconfig(parseKubeconfig(text, "x")) == text);
  const Kubeconfig found = parseKubeconfig(
      emitKubeconfig(
          {.server = "https://a:6443", .clusterName = "k", .user = "u", .authorities = "CA", .token = Secret("t")}),
      "x");
  CHECK(found.token.reveal() == "t");
  CHECK(found.user == "u");
}

TEST_CASE("without a context the only cluster counts, as in cluster-info") {
  const Kubeconfig found = parseKubeconfig(emitDiscoveryKubeconfig("https://a:6443", "CA"), "cluster-info");
  CHECK(found.server == "https://a:6443");
  CHECK(found.authorities == "CA");
  CHECK(found.user.empty());
}

TEST_CASE("the current context chooses cluster and user among many") {
  const Kubeconfig found = parseKubeconfig(R"({"kind":"Config","current-context":"two","contexts":[
    {"name":"one","context":{"cluster":"a","user":"x"}},{"name":"two","context":{"cluster":"b","user":"y"}}],
    "clusters":[{"name":"a","cluster":{"server":"https://a"}},{"name":"b","cluster":{"server":"https://b/"}}],
    "users":[{"name":"x","user":{"token":"tx"}},{"name":"y","user":{"exec":{"command":"aws"}}}]})",
                                           "config");
  CHECK(found.server == "https://b");
  CHECK(found.user == "y");
  CHECK(found.token.empty());
  CHECK(found.otherCredential == "exec");
}

TEST_CASE("a broken kubeconfig is complained of with its name and field") {
  CHECK(complaint(with(adminConf, "Q0E=", "Q0E-!")) ==
        "admin.conf: clusters[kubernetes].cluster.certificate-authority-data: it is not valid base64");
  CHECK(complaint(with(adminConf, "    server: https://10.88.0.11:6443\n", "")) ==
        "admin.conf: clusters[kubernetes].cluster.server: it is missing");
  CHECK(complaint(with(adminConf, "    user: kubernetes-admin\n", "    user: other\n")) ==
        "admin.conf: users: there is none called \"other\"");
  CHECK(complaint(with(adminConf, "current-context: kubernetes-admin@kubernetes", "current-context: x")) ==
        "admin.conf: contexts: there is none called \"x\"");
  CHECK(complaint(with(adminConf, "kind: Config", "kind: Secret")) == "admin.conf: kind: it is not \"Config\"");
  CHECK(complaint("{\"kind\": \"Config\"}") ==
        "admin.conf: current-context: it is empty, and there are 0 clusters instead of one");
  CHECK(complaint("clusters: 5\n") == "admin.conf: clusters: it is no list");
  CHECK(complaint("[1, 2]") == "admin.conf: kind: it is not \"Config\"");
  CHECK(complaint("a: [") != "none");
}
