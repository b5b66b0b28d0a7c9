#include "config/store.hpp"

#include "config/assemble.hpp"
#include "config/audit.hpp"
#include "config/kinds.hpp"
#include "config/validate.hpp"
#include "config/versions.hpp"
#include "support/value.hpp"

#include <fmt/format.h>

namespace kubestrap::config {

Value clusterConfigurationDocument(const Cluster& cluster) { return v1beta4::encode(clusterConfiguration(cluster)); }
Value kubeletConfigDocument(const Cluster& cluster) { return cluster.kubelet.document; }
Value kubeProxyDocument(const Cluster& cluster) { return cluster.proxy.document; }
Value kubestrapConfigurationDocument(const Cluster& cluster) {
  return v1alpha1::encode(kubestrapConfiguration(cluster));
}

std::vector<Value> storedDocuments(const Cluster& cluster) {
  std::vector<Value> documents{sorted(clusterConfigurationDocument(cluster)), sorted(kubestrapConfigurationDocument(cluster))};
  if (const auto& audit = cluster.kubestrap.audit; audit && audit->policy.is_object()) documents.push_back(sorted(audit->policy));
  return documents;
}

std::string storedText(const Cluster& cluster) {
  auto documents = storedDocuments(cluster);
  if (cluster.kubelet.userSupplied) documents.push_back(sorted(kubeletConfigDocument(cluster)));
  return emitYamlStream(documents);
}

Cluster clusterFromText(const std::string& text, const std::string& source) {
  std::vector<std::string> warnings;
  return clusterFromDocuments(parseYaml(text, source), warnings);
}

Cluster clusterFromDocuments(const std::vector<Document>& documents, std::vector<std::string>& warnings) {
  std::vector<Problem> problems;
  ClusterDocuments decoded;
  const Document* clusterDocument = nullptr;
  for (const auto& [kind, document] : recognise(documents, Foreign::warn, problems, warnings)) {
    schema::check(document->value, *kind->type,
                  {.where = [where = document](const std::string& pointer) { return where->where(pointer); },
                   .problems = problems,
                   .unknown = &warnings});
    if (kind->kind == "ClusterConfiguration") {
      clusterDocument = document;
      decoded.cluster = v1beta4::decode<v1beta4::ClusterConfiguration>(document->value);
    } else if (kind->kind == v1alpha1::kind) {
      decoded.kubestrap = v1alpha1::decode(document->value);
    } else if (kind->kind == auditPolicyKind) {
      decoded.auditPolicy = document->value;
    } else if (kind->kind == "KubeletConfiguration") {
      decoded.kubelet = document->value;
    } else if (kind->kind == "KubeProxyConfiguration") {
      decoded.proxy = document->value;
    }
  }
  if (!clusterDocument) problems.push_back({.message = "there is no ClusterConfiguration among the stored documents"});
  if (!problems.empty()) throw Problems(std::move(problems), ExitCode::failed);

  // Who wrote no algorithm meant kubeadm's default, not ours.
  if (decoded.cluster.encryptionAlgorithm.empty()) decoded.cluster.encryptionAlgorithm = "RSA-2048";
  v1beta4::applyDefaults(decoded.cluster);
  v1alpha1::applyDefaults(decoded.kubestrap);
  const schema::Report report{.where = [&](const std::string& pointer) { return clusterDocument->where(pointer); },
                              .problems = problems};
  validate(decoded.cluster, report, warnings);
  ClusterCircumstances circumstances;
  try {
    circumstances.version = parseVersion(decoded.cluster.kubernetesVersion);
  } catch (const Error& error) {
    report.add(schema::Place{}.member("kubernetesVersion"), error.message(), "like v1.37.2");
  }
  if (!problems.empty()) throw Problems(std::move(problems), ExitCode::failed);
  circumstances.advertised = parseSubnets(decoded.cluster.networking.serviceSubnet)->front().base();
  return assemble(decoded, circumstances, warnings);
}

} // namespace kubestrap::config
