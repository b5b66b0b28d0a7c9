#include "config/migrate.hpp"
#include "fixture.hpp"

#include "config/kinds.hpp"


namespace kubestrap::config {

namespace {

std::string old(const std::string& kind, const std::string& body) { return "apiVersion: kubeadm.k8s.io/v1beta3\nkind: " + kind + "\n" + body; }

struct Result {
  std::string yaml;
  Lines problems, warnings;
};

Result migrated(const std::string& yaml, Experimental experimental = Experimental::refuse) {
  Result result;
  std::vector<Problem> problems;
  const auto found = migrate(documents(yaml), experimental, problems, result.warnings);
  Lines unused;
  for (auto& problem : validateDocuments(found, Foreign::warn, unused)) problems.push_back(std::move(problem));
  for (const auto& problem : problems) result.problems.push_back(describe(problem));
  std::vector<Value> values;
  for (const auto& document : found) values.push_back(document.value);
  result.yaml = emitYamlStream(values);
  return result;
}

} // namespace

TEST_CASE("maps of arguments become lists in alphabetical order, and moved fields go where they belong now") {
  const auto result = migrated(old("ClusterConfiguration", R"(clusterName: blue
apiServer:
  timeoutForControlPlane: 7m30s
  extraArgs: {v: "4", a/b: "1"}
)"));
  CHECK(result.problems.empty());
  CHECK(result.yaml == R"(apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
clusterName: blue
apiServer:
  extraArgs:
  - name: a/b
    value: "1"
  - name: v
    value: "4"
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
timeouts:
  controlPlaneComponentHealthCheck: 7m30s
)");
}

TEST_CASE("a time limit goes into the document that is there, unless that one says it already") {
  const auto cluster3 = old("ClusterConfiguration", "apiServer: {timeoutForControlPlane: 7m0s}\n");
  CHECK(migrated(stream({cluster3, old("InitConfiguration", "nodeRegistration: {name: a}\n")})).yaml.ends_with(
      "nodeRegistration:\n  name: a\ntimeouts:\n  controlPlaneComponentHealthCheck: 7m0s\n"));
  const auto both = migrated(stream({cluster3, init("timeouts: {controlPlaneComponentHealthCheck: 1m0s}\n")}));
  CHECK(both.yaml.ends_with("timeouts:\n  controlPlaneComponentHealthCheck: 1m0s\n"));
  CHECK(both.warnings == Lines{"k.yaml:3:13: apiServer.timeoutForControlPlane is left out, since timeouts.controlPlaneComponentHealthCheck of "
                               "InitConfiguration is given, which takes its place"});
  CHECK(migrated(old("JoinConfiguration", "discovery: {timeout: 9m0s, file: {kubeConfigPath: /x}}\n")).yaml.ends_with(
      "discovery:\n  file:\n    kubeConfigPath: /x\ntimeouts:\n  discovery: 9m0s\n"));
}

TEST_CASE("a feature gate that became a field becomes that field") {
  const auto result = migrated(old("ClusterConfiguration", "featureGates: {PublicKeysECDSA: true}\n"));
  CHECK(result.yaml.ends_with("kind: ClusterConfiguration\nencryptionAlgorithm: ECDSA-P256\n"));
  CHECK(result.warnings == Lines{"k.yaml:3:16: the feature gate PublicKeysECDSA is gone; encryptionAlgorithm: ECDSA-P256 takes its place"});
  CHECK(result.problems.empty());
}

TEST_CASE("documents that need no conversion stay as they are, also those of other makers") {
  const std::string file = stream({cluster("clusterName: blue\n"), kubelet("maxPods: 42\n"), proxy("mode: nftables\n"), kubestrap("layout: plain\n"),
                                   "apiVersion: example.org/v1\nkind: Thing\nsize: 3\n"});
  const auto result = migrated(file);
  CHECK(result.yaml == file);
  CHECK(result.problems.empty());
  CHECK(result.warnings.empty());
}

TEST_CASE("nothing of the machine and no default gets into a converted file") {
  CHECK(migrated(old("InitConfiguration", "")).yaml == "apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\n");
}

TEST_CASE("what is wrong in an old file is told with its own places and fields") {
  CHECK(migrated(old("ClusterConfiguration", R"(encryptionAlgorithm: ECDSA-P256
apiServer:
  extraArgs: {v: 4}
  certSAN: [a]
scheduler:
  extraArgs: [v]
dns: {disabled: true}
)")).problems == Lines{"k.yaml:9:7: dns.disabled: v1beta3 has no such field (expected apiVersion: kubeadm.k8s.io/v1beta4 for the whole "
                       "document, or no such field)",
                       "k.yaml:3:1: encryptionAlgorithm: v1beta3 has no such field (expected apiVersion: kubeadm.k8s.io/v1beta4 for the whole "
                       "document, or no such field)",
                       "k.yaml:8:3: scheduler.extraArgs: v1beta3 has a mapping here (expected names of flags with their values)",
                       "k.yaml:5:15: apiServer.extraArgs[0].value: 4 is a number (expected text; put it in quotes)",
                       "k.yaml:6:3: apiServer.certSAN: unknown field; did you mean \"certSANs\"?",
                       "k.yaml:8:15: scheduler.extraArgs[0]: \"v\" is text (expected a mapping with name, value)"});
  CHECK(migrated(old("ResetConfiguration", "")).problems.front().find("is an old version of ResetConfiguration") != std::string::npos);
}

TEST_CASE("an old field in a new document is not moved but refused") {
  CHECK(migrated(cluster("apiServer: {timeoutForControlPlane: 7m0s}\n")).problems.size() == 1);
}

TEST_CASE("the experimental version is converted when asked for, and what v1beta4 cannot say is refused") {
  const std::string text = "apiVersion: kubeadm.k8s.io/v1\nkind: ClusterConfiguration\nscheduler:\n  extraArgs:\n  - {name: v, value: \"2\", mergeMethod: ";
  CHECK(migrated(text + "append}\n").problems.size() == 1);
  const auto accepted = migrated(text + "append}\n", Experimental::accept);
  CHECK(accepted.problems.empty());
  CHECK(accepted.yaml.ends_with("- name: v\n    value: \"2\"\n"));
  CHECK(migrated(text + "prepend}\n", Experimental::accept).problems.front().starts_with("k.yaml:5:27: scheduler.extraArgs.0.mergeMethod: "));
}

TEST_CASE("whole files of v1beta3 are converted without a complaint") {
  for (const auto* name : {"cluster.yaml", "init.yaml", "join.yaml"}) {
    const auto result = migrated(dataFile(std::string("v1beta3/") + name));
    CHECK_MESSAGE(result.problems.empty(), name << ": " << join(result.problems, "\n"));
    CHECK(result.yaml.find("v1beta3") == std::string::npos);
    CHECK(migrated(result.yaml).yaml == result.yaml);
  }
}

} // namespace kubestrap::config
