#include "manifests/addon_objects.hpp"

#include "manifests/addon_images.hpp"
#include "support/encoding.hpp"
#include "support/error.hpp"
#include "support/text.hpp"
#include "support/yaml.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

namespace kubestrap::manifests {

namespace {

using config::Addon;
using config::AddonValues;
using config::Cluster;

struct Making {
  const Cluster& cluster;
  const Addon& addon;
  const AddonValues& values;
  std::string from; ///< the manifest, for messages
  std::vector<Value>& objects;
};

[[noreturn]] void lacks(const Making& making, std::string_view what) {
  throw Error(fmt::format("{}: it has no {}", making.from, what), fmt::format("see that it is a manifest of {} itself; or leave the value out", making.addon.name));
}

std::string described(const Value& object) { return fmt::format("{} {}", stringAt(object, "kind"), stringAt(object, "metadata.name")); }

Value* findObject(std::vector<Value>& objects, std::string_view kind, const std::function<bool(const Value&)>& fits) {
  const auto found = std::ranges::find_if(objects, [&](const Value& each) { return stringAt(each, "kind") == kind && fits(each); });
  return found == objects.end() ? nullptr : &*found;
}

/// The ConfigMap with a file of that name.
Value* configMapWith(std::vector<Value>& objects, const std::string& file) {
  return findObject(objects, "ConfigMap", [&](const Value& each) { return each.contains("data") && each["data"].contains(file); });
}

struct Container {
  Value* workload = nullptr;
  Value* container = nullptr;
};

/// A container of a Deployment or DaemonSet, by its name.
Container containerNamed(std::vector<Value>& objects, std::string_view name) {
  for (auto& object : objects) {
    if (!isWorkload(stringAt(object, "kind")) || !find(object, "spec.template.spec.containers")) continue;
    for (auto& container : object["spec"]["template"]["spec"]["containers"])
      if (stringAt(container, "name") == name) return {&object, &container};
  }
  return {};
}

/// Takes arguments away that begin so, and adds one; an empty one is not added.
void setArgument(Value& container, const std::string& prefix, const std::string& argument) {
  Value arguments = Value::array();
  if (container.contains("args"))
    for (const auto& each : container["args"])
      if (!each.get<std::string>().starts_with(prefix)) arguments.push_back(each);
  if (!argument.empty()) arguments.push_back(argument);
  container["args"] = std::move(arguments);
}

void setVariable(Value& container, const std::string& name, const std::string& value) {
  auto& variables = container["env"];
  if (variables.is_null()) variables = Value::array();
  for (auto& each : variables)
    if (stringAt(each, "name") == name) return void(each = {{"name", name}, {"value", value}});
  variables.push_back({{"name", name}, {"value", value}});
}

/// Pods that read their configuration once are made anew when it is another one.
void tellConfiguration(Value& workload, const std::string& configuration) {
  workload["spec"]["template"]["metadata"]["annotations"]["kubestrap.io/configuration"] = sha256Hex(configuration).substr(0, 16);
}

// ---- pod networks: what they give to pods is what the cluster says pods have

const Cidr* podRange(const Cluster& cluster, IpAddress::Family family) {
  const auto& pods = cluster.networks.pods;
  const auto found = std::ranges::find_if(pods, [&](const Cidr& each) { return each.base().family() == family; });
  return found == pods.end() ? nullptr : &*found;
}

/// Of several ranges each has to be a part of the cluster's; one alone is made to be it.
void setPools(const Making& making, std::vector<Value*> pools, const Pointer& cidr, std::string_view what) {
  for (const auto family : {IpAddress::Family::v4, IpAddress::Family::v6}) {
    std::vector<Value*> ofFamily;
    for (auto* pool : pools) {
      const auto range = pool->contains(cidr) && pool->at(cidr).is_string() ? Cidr::parse(pool->at(cidr).get<std::string>()) : std::nullopt;
      if ((range ? range->base().family() : IpAddress::Family::v4) == family) ofFamily.push_back(pool);
    }
    const auto* wanted = podRange(making.cluster, family);
    if (ofFamily.size() == 1 && wanted) (*ofFamily.front())[cidr] = wanted->string();
    for (auto* pool : ofFamily) {
      const auto text = pool->contains(cidr) ? pool->at(cidr).get<std::string>() : "";
      const auto range = Cidr::parse(text);
      if (range && wanted && wanted->contains(range->base()) && range->prefix() >= wanted->prefix()) continue;
      throw Error(fmt::format("{}: the {} {} is no part of the cluster's pod network {}", making.from, what, text.empty() ? "without a range" : text, making.cluster.networks.podSubnet),
                  "put one of its parts there, or make networking.podSubnet hold it");
    }
  }
}

void adjustFlannel(Making& making) {
  auto* map = configMapWith(making.objects, "net-conf.json");
  if (!map) lacks(making, "ConfigMap with net-conf.json");
  auto net = parseJson((*map)["data"]["net-conf.json"].get<std::string>(), making.from + ": net-conf.json");
  const auto* v4 = podRange(making.cluster, IpAddress::Family::v4);
  const auto* v6 = podRange(making.cluster, IpAddress::Family::v6);
  for (const auto* member : {"Network", "IPv6Network", "EnableIPv4", "EnableIPv6"}) net.erase(member);
  if (v4) net["Network"] = v4->string();
  else net["EnableIPv4"] = false;
  if (v6) net["EnableIPv6"] = true, net["IPv6Network"] = v6->string();
  const auto& values = making.values;
  if (!values.backend.empty() && stringAt(net, "Backend.Type") != values.backend) net["Backend"] = {{"Type", values.backend}};
  if (values.nftables) net["EnableNFTables"] = *values.nftables;
  (*map)["data"]["net-conf.json"] = net.dump(2) + "\n";
  const auto flanneld = containerNamed(making.objects, "kube-flannel");
  if (!flanneld.container && !values.interfaces.empty()) lacks(making, "container kube-flannel");
  if (!values.interfaces.empty()) setArgument(*flanneld.container, "--iface=", "--iface=" + values.interfaces.front());
  if (flanneld.workload) tellConfiguration(*flanneld.workload, (*map)["data"]["net-conf.json"].get<std::string>());
}

/// Calico by its own manifest (calico-node's variables), by its operator (Installation), or with pools of the operator's own (IPPool).
void adjustCalico(Making& making) {
  const auto& values = making.values;
  const auto* v4 = podRange(making.cluster, IpAddress::Family::v4);
  const auto* v6 = podRange(making.cluster, IpAddress::Family::v6);
  const auto node = containerNamed(making.objects, "calico-node");
  auto* installation = findObject(making.objects, "Installation", [](const Value&) { return true; });
  std::vector<Value*> pools;
  for (auto& each : making.objects)
    if (stringAt(each, "kind") == "IPPool") pools.push_back(&each);
  if (!node.container && !installation && pools.empty()) lacks(making, "DaemonSet with the container calico-node, Installation or IPPool");
  const auto& encapsulation = values.encapsulation;
  if (node.container) {
    if (v4) setVariable(*node.container, "CALICO_IPV4POOL_CIDR", v4->string());
    if (v6) setVariable(*node.container, "CALICO_IPV6POOL_CIDR", v6->string());
    for (const auto& [variable, name] : {std::pair{"CALICO_IPV4POOL_IPIP", "ipip"}, {"CALICO_IPV4POOL_VXLAN", "vxlan"}})
      if (!encapsulation.empty()) setVariable(*node.container, variable, encapsulation == name ? "Always" : "Never");
    if (!values.interfaces.empty()) setVariable(*node.container, "IP_AUTODETECTION_METHOD", "interface=" + values.interfaces.front());
  }
  if (installation) {
    auto& network = (*installation)["spec"]["calicoNetwork"];
    if (!network.contains("ipPools") || network["ipPools"].empty()) network["ipPools"] = Value::array({Value::object({{"cidr", ""}})});
    std::vector<Value*> ranges;
    for (auto& each : network["ipPools"]) {
      if (!encapsulation.empty()) each["encapsulation"] = encapsulation == "vxlan" ? "VXLAN" : encapsulation == "ipip" ? "IPIP" : "None";
      ranges.push_back(&each);
    }
    setPools(making, std::move(ranges), Pointer("/cidr"), "pool of the Installation");
    if (!values.interfaces.empty()) network["nodeAddressAutodetectionV4"] = {{"interface", values.interfaces.front()}};
  }
  for (auto* pool : pools)
    if (!encapsulation.empty()) {
      (*pool)["spec"]["ipipMode"] = encapsulation == "ipip" ? "Always" : "Never";
      (*pool)["spec"]["vxlanMode"] = encapsulation == "vxlan" ? "Always" : "Never";
    }
  setPools(making, std::move(pools), Pointer("/spec/cidr"), "IPPool");
}

/// Where Cilium divides the pod network itself, it is told which; otherwise it takes the ranges that nodes have.
void adjustCilium(Making& making) {
  auto* map = findObject(making.objects, "ConfigMap", [](const Value& each) { return stringAt(each, "metadata.name") == "cilium-config"; });
  if (!map) lacks(making, "ConfigMap cilium-config");
  auto& settings = (*map)["data"];
  for (const auto& [family, pool, routing] : {std::tuple{IpAddress::Family::v4, "cluster-pool-ipv4-cidr", "ipv4-native-routing-cidr"},
                                              {IpAddress::Family::v6, "cluster-pool-ipv6-cidr", "ipv6-native-routing-cidr"}}) {
    const auto* range = podRange(making.cluster, family);
    if (!range) continue;
    if (stringAt(settings, "ipam").starts_with("cluster-pool") || settings.contains(pool)) settings[pool] = range->string();
    const auto native = settings.contains(routing) ? Cidr::parse(settings[routing].get<std::string>()) : std::nullopt;
    if (native && !(native->contains(range->base()) && native->prefix() <= range->prefix()))
      throw Error(fmt::format("{}: {} {} does not hold the cluster's pod network {}", making.from, routing, native->string(), range->string()),
                  "make it hold networking.podSubnet, or leave it out");
  }
  const auto data = sorted(settings).dump();
  for (const auto* name : {"cilium-agent", "cilium-operator"})
    if (const auto found = containerNamed(making.objects, name); found.workload) tellConfiguration(*found.workload, data);
}

// ---- the others

std::string nameSpaceOf(const Making& making, std::string_view otherwise) {
  for (const auto& object : making.objects)
    if (isWorkload(stringAt(object, "kind"))) return stringAt(object, "metadata.namespace");
  return std::string(otherwise);
}

/// As MetalLB's own documentation asks for: in mode ipvs every node has the address of every service on a link, and would answer for it.
void refuseLooseArp(const Making& making) {
  const auto& proxy = making.cluster.proxy.document;
  const auto* strict = find(proxy, "ipvs.strictARP");
  if (making.cluster.proxyDisabled || stringAt(proxy, "mode") != "ipvs" || (strict && *strict == true)) return;
  throw Error("metallb: every node would answer for its addresses, since kube-proxy's mode is ipvs", "ipvs: {strictARP: true} in the KubeProxyConfiguration", ExitCode::refused);
}

void adjustMetallb(Making& making) {
  refuseLooseArp(making);
  const auto& values = making.values;
  const auto nameSpace = nameSpaceOf(making, "metallb-system");
  const auto object = [&](const char* kind, const std::string& name, Value spec) {
    making.objects.push_back({{"apiVersion", "metallb.io/v1beta1"}, {"kind", kind}, {"metadata", {{"name", name}, {"namespace", nameSpace}}}, {"spec", std::move(spec)}});
  };
  Value names = Value::array();
  for (const auto& pool : values.pools) {
    Value spec{{"addresses", pool.addresses}};
    if (pool.autoAssign) spec["autoAssign"] = *pool.autoAssign;
    object("IPAddressPool", pool.name, std::move(spec));
    names.push_back(pool.name);
  }
  if (!values.pools.empty()) {
    Value spec{{"ipAddressPools", std::move(names)}};
    if (!values.interfaces.empty()) spec["interfaces"] = values.interfaces;
    object("L2Advertisement", "kubestrap", std::move(spec));
  }
  if (!values.controlPlanes) return;
  const auto speaker = containerNamed(making.objects, "speaker");
  if (!speaker.container) lacks(making, "container speaker");
  setArgument(*speaker.container, "--ignore-exclude-lb", *values.controlPlanes ? "--ignore-exclude-lb" : "");
}

/// The port of a service for http or https.
Value* portOf(Value& service, std::initializer_list<std::string_view> names, int number) {
  if (!find(service, "spec.ports")) return nullptr;
  for (auto& port : service["spec"]["ports"])
    if (std::ranges::find(names, stringAt(port, "name")) != names.end() || port.value("port", 0) == number) return &port;
  return nullptr;
}

Value* httpPort(Value& service) { return portOf(service, {"http", "web"}, 80); }
Value* httpsPort(Value& service) { return portOf(service, {"https", "websecure"}, 443); }

/// The service by which the controller's pods get requests from outside: others of its services are for the API server.
Value* serviceOf(std::vector<Value>& objects, const Value& workload) {
  const auto* labels = find(workload, "spec.template.metadata.labels");
  return findObject(objects, "Service", [&](const Value& each) {
    const auto* selector = find(each, "spec.selector");
    auto copy = each;
    return labels && selector && covers(*labels, *selector) && httpPort(copy);
  });
}

void onHostNetwork(Value& workload, Value& container, std::string_view addon) {
  // An Ingress shows the addresses of the nodes: there is no service that has some. First of all, since a new member moves those beside it,
  // and `container` is in one of them.
  if (addon == "ingress-nginx") {
    setArgument(container, "--publish-service", "");
    setArgument(container, "--report-node-internal-ip-address", "--report-node-internal-ip-address");
  }
  auto& pod = workload["spec"]["template"]["spec"];
  pod["hostNetwork"] = true;
  pod["dnsPolicy"] = "ClusterFirstWithHostNet";
  // The ports of a node are there once: the new pod cannot stand beside the old one.
  if (stringAt(workload, "kind") == "Deployment") workload["spec"]["strategy"] = {{"type", "RollingUpdate"}, {"rollingUpdate", {{"maxSurge", 0}, {"maxUnavailable", 1}}}};
}

void makeInner(Value& service) {
  auto& spec = service["spec"];
  spec["type"] = "ClusterIP";
  for (const auto* member : {"externalTrafficPolicy", "healthCheckNodePort", "loadBalancerIP", "loadBalancerClass", "allocateLoadBalancerNodePorts"}) spec.erase(member);
  for (auto& port : spec["ports"]) port.erase("nodePort");
}

void adjustIngress(Making& making) {
  const auto& values = making.values;
  if (values.exposure.empty()) return;
  const auto name = making.addon.name == "traefik" ? "traefik" : "controller";
  const auto controller = containerNamed(making.objects, name);
  if (!controller.container) lacks(making, fmt::format("Deployment or DaemonSet with the container {}", name));
  auto* service = serviceOf(making.objects, *controller.workload);
  if (!service && values.exposure != "hostNetwork") lacks(making, fmt::format("Service with a port for http that leads to {}", described(*controller.workload)));
  if (values.exposure == "hostNetwork") {
    onHostNetwork(*controller.workload, *controller.container, making.addon.name);
    if (service) makeInner(*service);
  } else if (values.exposure == "externalIPs") {
    makeInner(*service);
    (*service)["spec"]["externalIPs"] = values.externalIPs;
  } else if (values.exposure == "loadBalancer") {
    (*service)["spec"]["type"] = "LoadBalancer";
    if (!values.externalIPs.empty()) (*service)["metadata"]["annotations"]["metallb.io/loadBalancerIPs"] = join(values.externalIPs, ",");
  } else {
    (*service)["spec"]["type"] = "NodePort";
    const auto ports = values.nodePorts.value_or(config::NodePorts{});
    if (ports.http) (*httpPort(*service))["nodePort"] = ports.http;
    if (ports.https && !httpsPort(*service)) lacks(making, fmt::format("port for https of {}", described(*service)));
    if (ports.https) (*httpsPort(*service))["nodePort"] = ports.https;
  }
}

void adjustMetricsServer(Making& making) {
  if (!making.values.kubeletInsecureTLS) return;
  const auto server = containerNamed(making.objects, "metrics-server");
  if (!server.container) lacks(making, "container metrics-server");
  setArgument(*server.container, "--kubelet-insecure-tls", *making.values.kubeletInsecureTLS ? "--kubelet-insecure-tls" : "");
}

void adjustLocalPath(Making& making) {
  const auto& values = making.values;
  auto* map = configMapWith(making.objects, "config.json");
  if (!values.path.empty()) {
    if (!map) lacks(making, "ConfigMap with config.json");
    auto settings = parseJson((*map)["data"]["config.json"].get<std::string>(), making.from + ": config.json");
    settings["nodePathMap"] = Value::array({Value::object({{"node", "DEFAULT_PATH_FOR_NON_LISTED_NODES"}, {"paths", Value::array({values.path})}})});
    (*map)["data"]["config.json"] = settings.dump(2) + "\n";
  }
  // The pod that makes and removes a volume's folder is a document within a document.
  if (map && (*map)["data"].contains("helperPod.yaml")) {
    auto pod = parseYamlValue((*map)["data"]["helperPod.yaml"].get<std::string>(), making.from + ": helperPod.yaml");
    if (replaceImages(pod, values)) (*map)["data"]["helperPod.yaml"] = emitYaml(pod);
  }
  if (!values.isDefault) return;
  auto* storage = findObject(making.objects, "StorageClass", [](const Value&) { return true; });
  if (!storage) lacks(making, "StorageClass");
  (*storage)["metadata"]["annotations"]["storageclass.kubernetes.io/is-default-class"] = *values.isDefault ? "true" : "false";
}

struct Adjuster {
  std::string_view name;
  void (*adjust)(Making& making);
};
constexpr Adjuster adjusters[] = {{"flannel", adjustFlannel},       {"calico", adjustCalico},         {"cilium", adjustCilium},
                                  {"metallb", adjustMetallb},       {"traefik", adjustIngress},       {"ingress-nginx", adjustIngress},
                                  {"metrics-server", adjustMetricsServer}, {"local-path", adjustLocalPath}};

bool wasThere(const config::ObjectName& object, const std::vector<config::ObjectName>& ofOthers) {
  constexpr std::string_view initial[] = {"default", "kube-system", "kube-public", "kube-node-lease"};
  return std::ranges::find(ofOthers, object) != ofOthers.end() || (object.kind == "Namespace" && std::ranges::find(initial, object.name) != std::end(initial));
}

} // namespace

AddonObjects addonObjects(const Cluster& cluster, const Addon& addon, const config::AddonSeen& seen) {
  auto objects = seen.manifest;
  const AddonValues values = addon.values.value_or(AddonValues{});
  Making making{.cluster = cluster, .addon = addon, .values = values, .from = seen.from.string(), .objects = objects};
  std::ranges::find(adjusters, addon.name, &Adjuster::name)->adjust(making);
  AddonObjects made;
  for (auto& object : objects) {
    replaceImages(object, values);
    const auto name = nameOf(object);
    if (wasThere(name, seen.ofOthers)) made.ofOthers.push_back(name);
    object["metadata"]["labels"][std::string(addonLabel)] = addon.name;
    const auto& kind = name.kind;
    if (kind == "Job") {
      const auto& digest = made.jobs[name] = sha256Hex(sorted(object).dump()).substr(0, 16);
      if (const auto recorded = seen.jobs.find(name); recorded != seen.jobs.end() && recorded->second == digest) made.done.insert(*recorded);
    }
    if (kind == "CustomResourceDefinition") made.definitions.push_back(stringAt(object, "metadata.name"));
    (kind == "Namespace" || kind == "CustomResourceDefinition" ? made.first : isLate(kind) ? made.last : made.rest).push_back(std::move(object));
  }
  // What is in a namespace comes after it.
  std::ranges::stable_sort(made.first, {}, [](const Value& each) { return stringAt(each, "kind") == "Namespace" ? 0 : 1; });
  return made;
}

bool isLate(std::string_view kind) { return kind == "APIService" || kind == "ValidatingWebhookConfiguration" || kind == "MutatingWebhookConfiguration"; }

bool holdsData(const config::ObjectName& object) {
  return object.kind == "Namespace" || object.kind == "CustomResourceDefinition" || object.kind == "PersistentVolume" || object.kind == "PersistentVolumeClaim";
}

bool isWorkload(std::string_view kind) { return kind == "Deployment" || kind == "DaemonSet" || kind == "StatefulSet"; }

std::vector<Value> inOrder(const AddonObjects& objects) {
  std::vector<Value> all;
  for (const auto* part : {&objects.first, &objects.rest, &objects.last}) all.insert(all.end(), part->begin(), part->end());
  return all;
}

config::ObjectName nameOf(const Value& object) {
  return {stringAt(object, "apiVersion"), stringAt(object, "kind"), stringAt(object, "metadata.namespace"), stringAt(object, "metadata.name")};
}

std::vector<config::ObjectName> namesOf(const std::vector<Value>& objects) {
  std::vector<config::ObjectName> names;
  for (const auto& each : objects) names.push_back(nameOf(each));
  return names;
}

config::ObjectName addonRecordName(std::string_view name) { return {"v1", "ConfigMap", "kube-system", fmt::format("kubestrap-addon-{}", name)}; }

Value addonRecord(std::string_view name, const std::vector<config::ObjectName>& objects, const std::map<config::ObjectName, std::string>& jobs) {
  Value list = Value::array();
  for (const auto& each : objects) {
    Value one{{"apiVersion", each.apiVersion}, {"kind", each.kind}, {"name", each.name}};
    if (!each.nameSpace.empty()) one["namespace"] = each.nameSpace;
    if (const auto job = jobs.find(each); job != jobs.end()) one["digest"] = job->second;
    list.push_back(std::move(one));
  }
  const auto key = addonRecordName(name);
  return {{"apiVersion", key.apiVersion},
          {"kind", key.kind},
          {"metadata", {{"name", key.name}, {"namespace", key.nameSpace}, {"labels", {{std::string(addonLabel), std::string(name)}}}}},
          {"data", {{"objects", emitYaml(list)}}}};
}

void takeRecord(config::AddonSeen& seen, const Value& configMap) {
  seen.installed.clear();
  for (const auto& each : parseYamlValue(stringAt(configMap, "data.objects", "[]"), stringAt(configMap, "metadata.name"))) {
    seen.installed.push_back({stringAt(each, "apiVersion"), stringAt(each, "kind"), stringAt(each, "namespace"), stringAt(each, "name")});
    if (auto digest = stringAt(each, "digest"); !digest.empty()) seen.jobs[seen.installed.back()] = std::move(digest);
  }
}

} // namespace kubestrap::manifests
