#include "config/kinds.hpp"

#include "config/audit.hpp"
#include "config/bundle.hpp"
#include "config/components.hpp"
#include "config/inventory.hpp"
#include "config/v1alpha1.hpp"
#include "config/v1beta4.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::config {

namespace {

constexpr DocumentKind kinds[] = {
    {v1beta4::apiVersion, "InitConfiguration", &v1beta4::initConfiguration,
     "What init needs to know of the first machine."},
    {v1beta4::apiVersion, "ClusterConfiguration", &v1beta4::clusterConfiguration,
     "What is the same for the whole cluster."},
    {v1beta4::apiVersion, "JoinConfiguration", &v1beta4::joinConfiguration,
     "What join needs to know of a further machine."},
    {v1beta4::apiVersion, "ResetConfiguration", &v1beta4::resetConfiguration, "What reset takes away."},
    {v1beta4::apiVersion, "UpgradeConfiguration", &v1beta4::upgradeConfiguration, "How upgrade works."},
    {kubeletApiVersion, "KubeletConfiguration", &kubeletConfiguration, "The kubelets' own configuration.",
     "https://kubernetes.io/docs/reference/config-api/kubelet-config.v1beta1/"},
    {proxyApiVersion, "KubeProxyConfiguration", &kubeProxyConfiguration, "kube-proxy's own configuration.",
     "https://kubernetes.io/docs/reference/config-api/kube-proxy-config.v1alpha1/"},
    {auditApiVersion, auditPolicyKind, &auditPolicy, "What the API servers' audit log holds, where KubestrapConfiguration's security.audit asks for one.",
     "https://kubernetes.io/docs/reference/config-api/apiserver-audit.v1/"},
    {v1alpha1::apiVersion, v1alpha1::kind, &v1alpha1::kubestrapConfiguration,
     "What kubeadm's documents have no field for."},
    {v1alpha1::apiVersion, bundleConfigurationKind, &bundleConfiguration,
     "What a folder that a bundle is made from cannot say by its files."},
    {v1alpha1::apiVersion, inventoryKind, &clusterInventory, "The machines of a cluster, how they are reached, and what is brought to them."},
};

/// Versions of kubeadm's format that are no longer read, with the last kubeadm that converts them.
struct OldVersion {
  std::string_view apiVersion, lastKubeadm;
};
constexpr OldVersion oldVersions[] = {
    {"kubeadm.k8s.io/v1alpha1", "v1.11"}, {"kubeadm.k8s.io/v1alpha2", "v1.12"}, {"kubeadm.k8s.io/v1alpha3", "v1.14"},
    {"kubeadm.k8s.io/v1beta1", "v1.15"},  {"kubeadm.k8s.io/v1beta2", "v1.22"},  {"kubeadm.k8s.io/v1beta3", "v1.36"},
};
constexpr std::string_view experimentalVersion = "kubeadm.k8s.io/v1";

std::string_view group(std::string_view apiVersion) { return apiVersion.substr(0, apiVersion.find('/')); }

bool knownGroup(std::string_view apiVersion) {
  return std::ranges::any_of(kinds,
                             [&](const DocumentKind& row) { return group(row.apiVersion) == group(apiVersion); });
}

Problem unknownKind(const Document& document, const std::string& apiVersion, const std::string& kind) {
  std::vector<std::string> versions, names;
  for (const DocumentKind& row : kinds) {
    if (row.kind == kind) versions.emplace_back(row.apiVersion);
    if (group(row.apiVersion) == group(apiVersion)) names.emplace_back(row.kind);
  }
  if (!versions.empty())
    return {document.where("/apiVersion"), "apiVersion", fmt::format("{} is not of {}", kind, apiVersion),
            versions.front()};
  auto near = nearest(kind, names);
  return {document.where("/kind"), "kind",
          near.empty() ? fmt::format("{} is not a kind of {}", kind, apiVersion)
                       : fmt::format("unknown kind {}; did you mean {}?", kind, near),
          fmt::format("one of {}", fmt::join(names, ", "))};
}

} // namespace

std::span<const DocumentKind> documentKinds() { return kinds; }

const DocumentKind* findKind(std::string_view kind) {
  auto row = std::ranges::find(kinds, kind, &DocumentKind::kind);
  return row == std::end(kinds) ? nullptr : &*row;
}

std::vector<Recognised> recognise(const std::vector<Document>& documents, Foreign foreign,
                                  std::vector<Problem>& problems, std::vector<std::string>& warnings) {
  std::vector<Recognised> recognised;
  for (const Document& document : documents) {
    const std::string apiVersion = document.value.is_object() ? stringAt(document.value, "apiVersion") : "";
    const std::string kind = document.value.is_object() ? stringAt(document.value, "kind") : "";
    if (apiVersion.empty() || kind.empty()) {
      problems.push_back(
          {document.where(""), "", "the document does not say what it is", "apiVersion and kind, as text"});
      continue;
    }
    if (auto old = std::ranges::find(oldVersions, apiVersion, &OldVersion::apiVersion); old != std::end(oldVersions)) {
      problems.push_back(
          {document.where("/apiVersion"), "apiVersion",
           fmt::format("{} is an old version of {}, last read by kubeadm {}", apiVersion, kind, old->lastKubeadm),
           apiVersion == oldVersions[std::size(oldVersions) - 1].apiVersion
               ? fmt::format("{}; kubestrap config migrate converts the file", v1beta4::apiVersion)
               : fmt::format("{}; kubeadm {} config migrate converts the file to the next one", v1beta4::apiVersion,
                             old->lastKubeadm)});
      continue;
    }
    if (apiVersion == experimentalVersion) {
      problems.push_back({document.where("/apiVersion"), "apiVersion", fmt::format("{} is experimental", apiVersion),
                          std::string(v1beta4::apiVersion)});
      continue;
    }
    auto row = std::ranges::find_if(
        kinds, [&](const DocumentKind& one) { return one.apiVersion == apiVersion && one.kind == kind; });
    if (row == std::end(kinds)) {
      if (knownGroup(apiVersion) || foreign == Foreign::refuse)
        problems.push_back(knownGroup(apiVersion)
                               ? unknownKind(document, apiVersion, kind)
                               : Problem{document.where("/apiVersion"), "apiVersion",
                                         fmt::format("{} {} is unknown here", apiVersion, kind), ""});
      else
        warnings.push_back(fmt::format("{}: {} {} is nothing that kubestrap knows, and is ignored", document.where(""),
                                       apiVersion, kind));
      continue;
    }
    if (auto first = std::ranges::find(recognised, &*row, &Recognised::kind); first != recognised.end()) {
      problems.push_back({document.where(""), "kind",
                          fmt::format("a second {}; the first stands at {}", kind, first->document->where("")),
                          "one document of each kind"});
      continue;
    }
    recognised.push_back({&*row, &document});
  }
  return recognised;
}

} // namespace kubestrap::config
