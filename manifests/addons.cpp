#include "manifests/addons.hpp"

#include "config/patches.hpp"
#include "config/store.hpp"
#include "manifests/cluster_objects.hpp"
#include "manifests/text.hpp"
#include "support/error.hpp"
#include "support/yaml.hpp"
#include "templates/templates.hpp"

#include <algorithm>

namespace kubestrap::manifests {

namespace {

using config::Setup;

std::vector<Value> documents(const std::string& name) {
  std::vector<Value> list;
  for (Document& document : parseYaml(templates::text(name), name)) list.push_back(std::move(document.value));
  return list;
}

Value& ofKind(std::vector<Value>& objects, std::string_view kind) {
  auto found = std::ranges::find_if(objects, [&](const Value& object) { return stringAt(object, "kind") == kind; });
  if (found == objects.end())
    throw Error("the addon has no " + std::string(kind), "this is a defect; please report it");
  return *found;
}

/// By name: a patch may have put another container before it.
Value& containerOf(Value& workload, std::string_view name) {
  if (const Value* containers = find(workload, "spec.template.spec.containers"); containers && containers->is_array())
    for (Value& container : workload["spec"]["template"]["spec"]["containers"])
      if (stringAt(container, "name") == name) return container;
  throw Error("the " + stringAt(workload, "kind") + " has no container called " + std::string(name),
              "look at the patches for it");
}

/// YAML without the line end of its last line, as kubeadm has it in the ConfigMap kube-proxy.
std::string compactYaml(const Value& document) {
  std::string text = emitYaml(document);
  while (text.ends_with('\n')) text.pop_back();
  return text;
}

/// A variable that a patch has set is left alone: of two with one name the API server would refuse both.
void addProxyVariables(Value& container, const std::map<std::string, std::string>& variables) {
  for (const auto& [name, value] : variables) {
    Value& environment = container["env"];
    auto isSet = [&, wanted = name](const Value& variable) { return stringAt(variable, "name") == wanted; };
    if (!std::ranges::any_of(environment, isSet))
      environment.push_back(Value::object({{"name", name}, {"value", value}}));
  }
}

} // namespace

std::string corefile(const config::Cluster& cluster) {
  return filledText("Corefile", {{"dnsDomain", cluster.networks.dnsDomain}});
}

std::vector<Value> coreDns(const Setup& setup) {
  const config::Cluster& cluster = setup.cluster;
  std::vector<Value> objects = documents("coredns.yaml");
  ofKind(objects, "ConfigMap")["data"]["Corefile"] = corefile(cluster);
  ofKind(objects, "Service")["spec"]["clusterIP"] = cluster.networks.dnsServiceAddress().string();
  Value& deployment = ofKind(objects, "Deployment");
  containerOf(deployment, "coredns")["image"] = cluster.images.coreDns;
  deployment = config::applyPatches(deployment, config::Patch::Target::coreDnsDeployment, setup.request.patches);
  return objects;
}

std::vector<Value> kubeProxy(const Setup& setup) {
  const config::Cluster& cluster = setup.cluster;
  std::vector<Value> objects = documents("kube-proxy.yaml");

  Value kubeconfig = parseYamlValue(templates::text("kube-proxy-kubeconfig.yaml"), "kube-proxy-kubeconfig.yaml");
  kubeconfig["clusters"][0]["cluster"]["server"] = setup.publicEndpoint().url();
  Value& map = ofKind(objects, "ConfigMap");
  map["data"]["config.conf"] = compactYaml(sorted(config::kubeProxyDocument(cluster)));
  map["data"]["kubeconfig.conf"] = compactYaml(kubeconfig);
  if (!cluster.proxy.userSupplied) map = withConfigMapHash(std::move(map));

  Value& daemonSet = ofKind(objects, "DaemonSet");
  containerOf(daemonSet, "kube-proxy")["image"] = cluster.images.proxy;
  daemonSet = config::applyPatches(daemonSet, config::Patch::Target::kubeProxyDaemonSet, setup.request.patches);
  addProxyVariables(containerOf(daemonSet, "kube-proxy"), setup.node.proxyVariables);
  return objects;
}

} // namespace kubestrap::manifests
