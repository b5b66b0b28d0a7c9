#include "fixture.hpp"

#include "manifests/cluster_objects.hpp"
#include "manifests/hosted.hpp"
#include "manifests/security.hpp"
#include "manifests/static_pods.hpp"
#include "support/yaml.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace kubestrap;
using namespace kubestrap::manifests;
using namespace kubestrap::test;

namespace {

Value policyOf(const std::string& level) { return parseYamlValue("{apiVersion: audit.k8s.io/v1, kind: Policy, rules: [{level: " + level + "}]}", "policy"); }

config::Setup audited(config::Setup setup) {
  setup.cluster.kubestrap.audit = config::Audit{.policyFile = "/root/policy.yaml", .maxSize = 50, .maxBackups = 3, .policy = policyOf("Metadata")};
  return setup;
}

bool hasFlag(const Value& pod, const std::string& flag) {
  const auto& command = pod.at("spec").at("containers").at(0).at("command");
  return std::ranges::any_of(command, [&](const Value& word) { return word == flag; });
}

} // namespace

TEST_CASE("an API server logs by a policy whose name hangs on what it says") {
  const auto setup = audited(referenceSetup());
  const auto pod = apiServerPod(setup);
  const auto file = auditPolicyFile(*setup.cluster.kubestrap.audit);
  CHECK(file.parent_path() == "/etc/kubernetes/audit");
  for (const auto& flag : {"--audit-policy-file=" + file.string(), std::string("--audit-log-path=/var/log/kubernetes/audit/audit.log"), std::string("--audit-log-maxsize=50"),
                           std::string("--audit-log-maxbackup=3")})
    CHECK_MESSAGE(hasFlag(pod, flag), flag);
  const auto text = pod.at("spec").dump();
  CHECK(text.find(R"({"hostPath":{"path":"/etc/kubernetes/audit","type":"DirectoryOrCreate"},"name":"kubestrap-audit-policy"})") != std::string::npos);
  CHECK(text.find(R"({"mountPath":"/etc/kubernetes/audit","name":"kubestrap-audit-policy","readOnly":true})") != std::string::npos);
  CHECK(text.find(R"({"mountPath":"/var/log/kubernetes/audit","name":"kubestrap-audit-log"})") != std::string::npos);
  auto other = *setup.cluster.kubestrap.audit;
  other.policy = policyOf("Request");
  CHECK(auditPolicyFile(other) != file);
  CHECK_FALSE(hasFlag(apiServerPod(referenceSetup()), "--audit-policy-file=" + file.string()));
}

TEST_CASE("in layout hosted it is the same, and such a pod can stand by") {
  const auto setup = audited(hostedSetup());
  const auto& apiServer = component("kube-apiserver");
  const auto podTemplate = daemonSet(apiServer, setup, Slot::blue, 1).at("spec").at("template");
  CHECK(hasFlag(podTemplate, "--audit-log-path=/var/log/kubernetes/audit/audit.log"));
  CHECK(hasFlag(rescuePodOf(apiServer, podTemplate), "--audit-log-maxbackup=3"));
}

TEST_CASE("an API server that encrypts is told a file among the certificates, and to look at it again") {
  auto setup = referenceSetup();
  setup.cluster.kubestrap.encryption = config::EncryptionAtRest{"secretbox", {"secrets"}};
  const auto pod = apiServerPod(setup);
  CHECK(hasFlag(pod, "--encryption-provider-config=/etc/kubernetes/pki/encryption.yaml"));
  CHECK(hasFlag(pod, "--encryption-provider-config-automatic-reload=true"));
  const auto files = sharedFiles(setup.cluster);
  CHECK(std::ranges::any_of(files, [](const auto& file) { return file.key == "encryption.yaml"; }));
}

TEST_CASE("the policy lies in the cluster beside the configuration") {
  const auto stored = uploadedKubestrapConfig(audited(referenceSetup()).cluster).front();
  CHECK(stored.at("data").at(std::string(auditPolicyKey)) == "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n- level: Metadata\n");
  CHECK(uploadedKubestrapConfig(referenceSetup().cluster).front().at("data").size() == 1);
}
