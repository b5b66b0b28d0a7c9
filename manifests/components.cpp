#include "manifests/components.hpp"

#include "manifests/flags.hpp"
#include "manifests/front.hpp"
#include "manifests/static_pods.hpp"
#include "support/error.hpp"

namespace kubestrap::manifests {

namespace {

using config::Images;
using Target = config::Patch::Target;

const Component table[] = {
    {.name = "etcd",
     .image = &Images::etcd,
     .port = 2381,
     .startupPath = "/readyz",
     .livenessPath = "/livez",
     .readinessPath = "/readyz",
     .cpuRequest = "100m",
     .memoryRequest = "100Mi",
     .patchTarget = Target::etcd,
     .pod = [](const config::Setup& setup) { return etcdPod(setup); }},
    {.name = "kube-apiserver",
     .image = &Images::apiServer,
     .port = 6443,
     .addressFlag = "advertise-address",
     .startupPath = "/livez",
     .livenessPath = "/livez",
     .readinessPath = "/readyz",
     .cpuRequest = "250m",
     .patchTarget = Target::apiServer,
     .pod = apiServerPod},
    {.name = "kube-controller-manager",
     .image = &Images::controllerManager,
     .port = 10257,
     .addressFlag = "bind-address",
     .startupPath = "/healthz",
     .livenessPath = "/healthz",
     .cpuRequest = "200m",
     .kubeconfig = "controller-manager.conf",
     .user = "system:kube-controller-manager",
     .patchTarget = Target::controllerManager,
     .pod = [](const config::Setup& setup) { return controllerManagerPod(setup); }},
    {.name = "kube-scheduler",
     .image = &Images::scheduler,
     .port = 10259,
     .addressFlag = "bind-address",
     .startupPath = "/livez",
     .livenessPath = "/livez",
     .readinessPath = "/readyz",
     .cpuRequest = "100m",
     .kubeconfig = "scheduler.conf",
     .user = "system:kube-scheduler",
     .patchTarget = Target::scheduler,
     .pod = schedulerPod},
};

std::string loopbackIfUnspecified(const std::string& host) {
  auto address = IpAddress::parse(host);
  if (!address || !address->isUnspecified()) return host;
  return address->isV6() ? "::1" : "127.0.0.1";
}

/// The command of the container that is called as the component.
std::vector<std::string> commandOf(const Component& component, const Value& pod) {
  if (const auto* container = containerOf(pod, component.name); container && container->contains("command"))
    return container->at("command").get<std::vector<std::string>>();
  throw Error("the pod of " + std::string(component.name) + " has no container of that name with a command",
              "look at the patches for it");
}

} // namespace

std::span<const Component> components() { return table; }

const Component& component(std::string_view name) {
  for (const Component& row : table)
    if (row.name == name) return row;
  throw Error("there is no control plane component called " + std::string(name),
              "known are etcd, kube-apiserver, kube-controller-manager and kube-scheduler");
}

bool runsOn(const Component& component, const config::Cluster& cluster) {
  return component.name != "etcd" || cluster.etcd.isLocal();
}

config::Path manifestPath(const Component& component) {
  return config::paths::manifests / (std::string(component.name) + ".yaml");
}

std::string livenessUrl(const Component& component, const Value& pod) {
  std::vector<std::string> command = commandOf(component, pod);
  std::string path(component.livenessPath);
  if (component.addressFlag.empty()) {
    std::string urls = flagOf(command, "listen-metrics-urls");
    ProbeEndpoint endpoint = parseMetricsUrl(urls.substr(0, urls.find(',')), "127.0.0.1");
    return endpoint.scheme + "://" + joinHostPort(loopbackIfUnspecified(endpoint.host), endpoint.port) + path;
  }
  std::string address = flagOf(command, component.addressFlag), port = flagOf(command, "secure-port");
  if (address.empty()) address = "127.0.0.1";
  if (port.empty()) port = std::to_string(component.port);
  auto ip = IpAddress::parse(address = loopbackIfUnspecified(address));
  return "https://" + (ip ? ip->inUrl() : address) + ":" + port + path;
}

const Value* containerOf(const Value& pod, std::string_view name) {
  const auto* containers = find(pod, "spec.containers");
  if (!containers || !containers->is_array()) return nullptr;
  const auto found = std::ranges::find_if(*containers, [&](const Value& each) { return stringAt(each, "name") == name; });
  return found == containers->end() ? nullptr : &*found;
}

std::string tagOf(const std::string& image) {
  const auto named = image.substr(0, image.find('@'));
  const auto colon = named.rfind(':');
  return colon == std::string::npos || named.find('/', colon) != std::string::npos ? "" : named.substr(colon + 1);
}

std::vector<std::string> imageList(const config::Cluster& cluster) {
  const Images& images = cluster.images;
  std::vector<std::string> list = {images.apiServer, images.controllerManager, images.scheduler};
  if (!cluster.proxyDisabled) list.push_back(images.proxy);
  if (!cluster.dnsDisabled) list.push_back(images.coreDns);
  list.push_back(images.pause);
  if (cluster.etcd.isLocal()) list.push_back(images.etcd);
  const auto& kubestrap = cluster.kubestrap;
  if (hasFront(cluster) && !kubestrap.frontImage.empty()) list.push_back(kubestrap.frontImage);
  if (kubestrap.vip && !kubestrap.vip->image.empty()) list.push_back(kubestrap.vip->image);
  return list;
}

} // namespace kubestrap::manifests
