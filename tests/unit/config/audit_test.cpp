#include "fixture.hpp"

#include "config/audit.hpp"
#include "config/defaults.hpp"

namespace kubestrap::config {

namespace {

std::string with(const std::string& text) { return cluster("") + "---\n" + kubestrap(text); }
const std::string policy = "---\napiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n- level: Metadata\n";

} // namespace

TEST_CASE("an audit log has a size and a number of files, and a policy in a file or beside it") {
  const auto audit = load(with("security: {audit: {}}\n") + policy).cluster.kubestrap.audit;
  REQUIRE(audit);
  CHECK(audit->maxSize == 100);
  CHECK(audit->maxBackups == 10);
  CHECK(auditPolicyText(*audit) == "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n- level: Metadata\n");
  const auto other = load(with("security: {audit: {policyFile: /etc/policy.yaml, maxSize: 1Gi, maxBackups: 0}}\n")).cluster.kubestrap.audit;
  REQUIRE(other);
  CHECK(other->maxSize == 1024);
  CHECK(other->maxBackups == 0);
  CHECK_THROWS_AS(auditPolicyText(*other), Error); // nobody has read it
  CHECK_FALSE(load(cluster("")).cluster.kubestrap.audit);
}

TEST_CASE("what is wrong with an audit log, or what is to be encrypted, is told with its place") {
  const auto problem = [](const std::string& text) { return problemOf(text); };
  CHECK(problem(with("security: {audit: {}}\n")).find("security.audit.policyFile: nothing says what the log is to hold") != std::string::npos);
  CHECK(problem(cluster("") + policy).find("nothing asks for an audit log") != std::string::npos);
  CHECK(problem(with("security: {audit: {policyFile: policy.yaml}}\n")).find("\"policy.yaml\" is not an absolute path") != std::string::npos);
  CHECK(problem(with("security: {audit: {policyFile: /p, maxSize: 100M}}\n")).find("\"100M\" is not a whole number of Mi or Gi") != std::string::npos);
  CHECK(problem(with("security: {audit: {policyFile: /p, maxBackups: -1}}\n")).find("-1 is not a count") != std::string::npos);
  CHECK(problem(with("security: {audit: {}}\n") + "---\napiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: All}]\n").find("rules[0].level: \"All\" is not known") !=
        std::string::npos);
  CHECK(problem(with("security: {audit: {}}\n") + "---\napiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: None, namespace: [a]}]\n").find("rules[0].namespace") !=
        std::string::npos);
  CHECK(problem(cluster("apiServer: {extraArgs: [{name: audit-log-path, value: /a}]}\n") + "---\n" + kubestrap("security: {audit: {policyFile: /p}}\n"))
            .find("apiServer.extraArgs: audit-log-path is set by security in the KubestrapConfiguration, too") != std::string::npos);
  CHECK(problem(cluster("apiServer: {extraArgs: [{name: encryption-provider-config, value: /a}]}\n") + "---\n" + kubestrap("security: {encryptionAtRest: {provider: aesgcm}}\n"))
            .find("encryption-provider-config is set by security") != std::string::npos);
  CHECK(problem(with("security: {encryptionAtRest: {}}\n")).find("security.encryptionAtRest.provider: missing") != std::string::npos);
  CHECK(problem(with("security: {encryptionAtRest: {provider: kms}}\n")).find("\"kms\" is not known (expected one of secretbox, aescbc, aesgcm)") != std::string::npos);
  CHECK(problem(with("security: {encryptionAtRest: {provider: aesgcm, resources: ['*.*']}}\n")).find("is not a resource that can be encrypted") != std::string::npos);
  CHECK(problem(with("security: {encryptionAtRest: {provider: aesgcm, resources: [secret]}}\n")).find("security.encryptionAtRest.resources: the core group has no secret") != std::string::npos);
  CHECK(problem(with("security: {encryptionAtRest: {provider: aesgcm, resources: []}}\n")).find("security.encryptionAtRest.resources: there is none to encrypt") != std::string::npos);
  CHECK(problem(with("security: {encryptionAtRest: {provider: aesgcm, resources: [secrets, configmaps, secrets]}}\n")).find("secrets is there twice") != std::string::npos);
  CHECK(problem(with("security: {encryptionAtRest: {provider: aesgcm, rotateEvery: 720h}}\n")).find("reserved") != std::string::npos);
}

TEST_CASE("what would not be encrypted, or twice, is told of a document that is alone, too") {
  std::vector<std::string> warnings;
  const auto problems = validateDocuments(parseYaml(kubestrap("security: {encryptionAtRest: {provider: aesgcm, resources: []}}\n"), "own.yaml"), warnings);
  REQUIRE(problems.size() == 1);
  CHECK(problems.front().message == "there is none to encrypt");
}

TEST_CASE("secrets are what is encrypted where nothing else is said") {
  const auto encryption = load(with("security: {encryptionAtRest: {provider: secretbox}}\n")).cluster.kubestrap.encryption;
  REQUIRE(encryption);
  CHECK(encryption->resources == Lines{"secrets"});
  CHECK(load(with("security: {encryptionAtRest: {provider: aescbc, resources: [configmaps, deployments.apps]}}\n")).cluster.kubestrap.encryption->resources ==
        Lines{"configmaps", "deployments.apps"});
}

TEST_CASE("what is stored of an audit log and encryption gives the same cluster again, with the policy") {
  const auto original = load(with("security: {audit: {maxSize: 5Mi, maxBackups: 0}, encryptionAtRest: {provider: secretbox}}\n") + policy).cluster;
  const auto documents = storedDocuments(original);
  CHECK(documents.size() == 3);
  Lines warnings;
  const auto again = clusterFromDocuments(parseYaml(storedText(original), "stored"), warnings);
  CHECK(storedDocuments(again) == documents);
  CHECK(again.kubestrap.audit->maxSize == 5);
  CHECK(again.kubestrap.audit->maxBackups == 0);
  CHECK(auditPolicyText(*again.kubestrap.audit) == auditPolicyText(*original.kubestrap.audit));
  CHECK(again.kubestrap.encryption == original.kubestrap.encryption);
}

TEST_CASE("the same policy out of a file, or beside the configuration, is the same cluster: of a file that was read nobody keeps the name") {
  const auto fromFile = load(with("security: {audit: {policyFile: /root/policy.yaml}}\n") + policy).cluster, beside = load(with("security: {audit: {}}\n") + policy).cluster;
  CHECK(storedDocuments(fromFile) == storedDocuments(beside));
  CHECK(storedText(load(with("security: {audit: {policyFile: /root/policy.yaml}}\n")).cluster).find("policyFile: /root/policy.yaml") != std::string::npos); // nobody has read it
}

} // namespace kubestrap::config
