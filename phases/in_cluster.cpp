#include "phases/in_cluster.hpp"

#include "manifests/addons.hpp"
#include "manifests/cluster_objects.hpp"
#include "phases/node.hpp"

namespace kubestrap::phases {

using config::Setup;
using plan::Phase;
using plan::Resources;

Resources kubeadmConfig(const Setup& setup, const Phase&) {
  auto cluster = setup.cluster;
  if (isGoverned(setup)) cluster.kubestrap.hosting = config::Hosting::self; // as pivot has left it
  auto resources = objects(manifests::uploadedKubeadmConfig(cluster), asAdmin(setup));
  append(resources, objects(manifests::uploadedKubestrapConfig(cluster), asAdmin(setup)));
  return resources;
}

Resources kubeletConfig(const Setup& setup, const Phase&) {
  return objects(manifests::uploadedKubeletConfig(setup.cluster), asAdmin(setup));
}

Resources coreDns(const Setup& setup, const Phase&) {
  if (setup.cluster.dnsDisabled) return {};
  auto resources = objects(manifests::coreDns(setup), asAdmin(setup));
  for (auto& resource : resources) {
    auto& object = std::get<plan::Object>(resource);
    // How many there are, and what they answer, is the operator's from the first day on.
    const auto kind = stringAt(object.document, "kind");
    if (kind == "Deployment") object.initialOnly = {Pointer("/spec/replicas")};
    if (kind == "ConfigMap") object.initialOnly = {Pointer("/data/Corefile")};
  }
  return resources;
}

Resources kubeProxy(const Setup& setup, const Phase&) {
  if (setup.cluster.proxyDisabled) return {};
  return objects(manifests::kubeProxy(setup), asAdmin(setup));
}

} // namespace kubestrap::phases
