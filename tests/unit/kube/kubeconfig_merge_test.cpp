// A kubeconfig that is put among others loses nothing of theirs.
#include "kube/kubeconfig_merge.hpp"
#include "kube/kubeconfig.hpp"
#include "support/error.hpp"
#include "support/yaml.hpp"

#include <doctest/doctest.h>

namespace kubestrap::kube {

namespace {

Value made(const std::string& token = "t", const std::string& cluster = "prod") {
  return parseYamlValue(emitKubeconfig({.server = "https://api.example.org:6443", .tlsServerName = {}, .clusterName = cluster, .user = "jane", .authorities = "A", .clientCertificate = {},
                                        .clientKey = {}, .clientCertificateFile = {}, .clientKeyFile = {}, .authorityFile = {}, .token = Secret(token)}),
                        "made");
}

const std::string entries = R"(- cluster:
    certificate-authority-data: QQ==
    server: https://api.example.org:6443
  name: prod
)";

std::string merged(const std::string& text, const Value& with = made(), Current current = Current::whenNone) {
  const auto result = mergeKubeconfig(text, "config", with, current);
  CHECK_FALSE(result.reshaped);
  return result.text;
}

} // namespace

TEST_CASE("into nothing it is the file") { CHECK(merged("\n") == emitYaml(made())); }

TEST_CASE("others' entries, their order, comments and current context stay") {
  const std::string before = R"(# my clusters
apiVersion: v1
kind: Config
preferences: {}
current-context: home # where I am
clusters:
# the small one
- name: home
  cluster: {server: "https://10.0.0.1:6443"}   # by hand
contexts:
- name: home
  context:
    cluster: home
    user: me
# people
users:
- name: me
  user:
    exec: {apiVersion: client.authentication.k8s.io/v1, command: login, interactiveMode: Never}
# end
)";
  const auto after = merged(before);
  for (const auto* line : {"# my clusters\n", "# the small one\n- name: home\n", "# by hand\n", "current-context: home # where I am\n", "# people\nusers:\n", "# end\n"})
    CHECK_MESSAGE(after.find(line) != std::string::npos, line);
  CHECK(after.find(entries + "contexts:\n") != std::string::npos);
  CHECK(parseKubeconfig(after, "after").server == "https://10.0.0.1:6443");
  const auto value = parseYamlValue(after, "after");
  CHECK(value.at("users").size() == 2);
  CHECK(merged(after) == after); // a second time changes nothing
  CHECK(parseKubeconfig(merged(after, made(), Current::yes), "after").token == Secret("t"));
  CHECK(merged(after, made(), Current::yes).find("current-context: jane@prod\n") != std::string::npos);
}

TEST_CASE("entries of the same names are replaced where they stand") {
  const std::string before = "clusters:\n  - name: prod\n    cluster:\n      certificate-authority-data: QQ==\n      server: https://old:6443\n  # next\n  - name: z\n    cluster: {server: \"https://z\"}\n"
                             "contexts: []\nusers:\n- name: jane\n  user: {token: old}\n";
  const auto after = merged(before, made("new"));
  CHECK(after.find("clusters:\n  - cluster:\n      certificate-authority-data: QQ==\n      server: https://api.example.org:6443\n    name: prod\n  # next\n  - name: z\n") == 0);
  CHECK(parseKubeconfig(after, "after").token == Secret("new"));
  CHECK(after.find("old") == std::string::npos);
}

TEST_CASE("what cannot be edited by lines is written anew, and still loses no entry") {
  for (const std::string before : {"{apiVersion: v1, kind: Config, clusters: [{name: z, cluster: {server: \"https://z\"}}]}", "clusters: [{name: z, cluster: {server: \"https://z\"}}]\n",
                                   "clusters: &all\n- name: z\n  cluster: {server: \"https://z\"}\nextra: *all\n"}) {
    const auto result = mergeKubeconfig(before, "config", made(), Current::whenNone);
    const auto value = parseYamlValue(result.text, "after");
    CHECK(value.at("clusters").size() == 2);
    CHECK(stringAt(value.at("clusters")[0], "name") == "z");
    CHECK(parseKubeconfig(result.text, "after").token == Secret("t"));
  }
}

TEST_CASE("another cluster of the same name is not replaced: its contexts would lead elsewhere") {
  const std::string before = "kind: Config\nclusters:\n- name: prod\n  cluster: {server: \"https://other:6443\", certificate-authority-data: Qg==}\n";
  CHECK_THROWS_WITH_AS(merged(before), "config has a cluster prod already, which is another one (https://other:6443)", Error);
  CHECK(parseYamlValue(merged(before, made("t", "prod-2")), "after").at("clusters").size() == 2);
  CHECK_THROWS_AS(merged("kind: Pod\n"), Error);
  CHECK_THROWS_AS(merged("a: [\n"), Error);
}

TEST_CASE("Windows line ends and a missing last line end are no hindrance") {
  const auto after = merged("kind: Config\r\nclusters:\r\n- name: z\r\n  cluster: {server: \"https://z\"}\r\nusers: []\r\ncurrent-context: \"\"");
  CHECK(parseYamlValue(after, "after").at("clusters").size() == 2);
  CHECK(parseKubeconfig(after, "after").token == Secret("t"));
}

} // namespace kubestrap::kube
