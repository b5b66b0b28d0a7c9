#include "cmd/etcd_access.hpp"

#include "config/paths.hpp"
#include "kube/client.hpp"
#include "kube/reading.hpp"
#include "manifests/components.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::cmd {

namespace {

constexpr std::string_view clientUrls = "kubeadm.kubernetes.io/etcd.advertise-client-urls";

std::string needed(host::Host& host, const config::Path& path) {
  if (auto content = host.read(path)) return *std::move(content);
  throw Error(fmt::format("{} is absent: there are no credentials for etcd", path.string()), "run this on a control plane node");
}

etcd::Identity identityOf(host::Host& host, const config::Cluster& cluster) {
  if (const auto& external = cluster.etcd.external) {
    const auto content = [&](const std::string& path) { return path.empty() ? std::string() : needed(host, path); };
    return {.authorities = content(external->caFile), .certificate = content(external->certFile), .key = Secret(content(external->keyFile))};
  }
  const auto folder = cluster.pki.folder / "etcd";
  return {.authorities = needed(host, folder / "ca.crt"),
          .certificate = needed(host, folder / "healthcheck-client.crt"),
          .key = Secret(needed(host, folder / "healthcheck-client.key"))};
}

} // namespace

etcd::Client connectEtcd(Machine& machine, const config::Cluster& cluster, kube::Client* client) {
  std::vector<std::string> endpoints;
  if (cluster.etcd.external) endpoints = cluster.etcd.external->endpoints;
  else if (machine.host().status(manifests::manifestPath(manifests::component("etcd")))) endpoints.emplace_back("https://127.0.0.1:2379");
  if (client && !cluster.etcd.external)
    for (const auto& pod : client->list("v1", "Pod", "kube-system", "component=etcd,tier=control-plane"))
      if (const auto urls = kube::annotationOf(pod, clientUrls))
        for (auto& url : split(*urls, ',')) endpoints.push_back(std::move(url));
  if (endpoints.empty()) throw Error("no member of etcd is known", "run this on a control plane node");
  return {machine.http(), std::move(endpoints), identityOf(machine.host(), cluster)};
}

} // namespace kubestrap::cmd
