#include "manifests/second_etcd.hpp"

#include "manifests/flags.hpp"
#include "manifests/static_pods.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::manifests {

namespace {

struct PortRow {
  int own, second;
};
constexpr PortRow ports[] = {{2379, 2383}, {2380, 2382}, {2381, 2384}};

/// The flags in which a member tells of its own addresses; initial-cluster has those of others.
constexpr std::string_view addressFlags[] = {"advertise-client-urls", "initial-advertise-peer-urls", "listen-client-urls", "listen-metrics-urls",
                                             "listen-peer-urls"};

std::string moved(std::string text) {
  for (const auto& port : ports) text = replaceAll(std::move(text), fmt::format(":{}", port.own), fmt::format(":{}", port.second));
  return text;
}

std::string loopback(const config::Node& node, int port) { return joinHostPort(node.advertiseAddress.isV6() ? "::1" : "127.0.0.1", port); }

} // namespace

std::string secondEtcdPeerUrl(const config::Node& node) { return moved(etcdPeerUrl(node)); }
std::string secondEtcdClientUrl(const config::Node& node) { return moved(etcdClientUrl(node)); }
bool isSecondEtcd(std::string_view peerUrl) { return peerUrl.ends_with(fmt::format(":{}", ports[1].second)); }
std::string secondEtcdName(const config::Node& node) { return node.name + std::string(secondEtcdSuffix); }

std::string etcdForApiServers(const config::Node& node) { return loopback(node, ports[0].own); }
std::string secondEtcdForApiServers(const config::Node& node) { return loopback(node, ports[0].second); }
std::string bothEtcdServers(const config::Node& node) { return fmt::format("https://{},https://{}", etcdForApiServers(node), secondEtcdForApiServers(node)); }

config::Path secondEtcdData(const config::LocalEtcd& etcd) { return etcd.dataDir.string() + "-second"; }
config::Path secondEtcdManifest() { return config::paths::manifests / "etcd-second.yaml"; }

Value secondEtcdPod(const config::Setup& setup, const std::string& initialCluster) {
  auto beside = setup;
  beside.cluster.etcd.local.dataDir = secondEtcdData(setup.cluster.etcd.local);
  auto pod = etcdPod(beside, initialCluster);
  pod["metadata"]["name"] = "etcd-second";
  for (auto& [name, text] : pod["metadata"]["annotations"].items()) text = moved(text.get<std::string>());
  auto& container = pod["spec"]["containers"][0];
  for (auto& word : container["command"]) {
    const auto text = word.get<std::string>();
    if (text == fmt::format("--name={}", setup.node.name)) word = "--name=" + secondEtcdName(setup.node);
    else if (std::ranges::any_of(addressFlags, [&](auto flag) { return text.starts_with(fmt::format("--{}=", flag)); })) word = moved(text);
  }
  for (auto& port : container["ports"]) port["containerPort"] = ports[2].second;
  return pod;
}

std::string secondEtcdHealth(std::string_view own) {
  return own.starts_with(fmt::format("http://127.0.0.1:{}/", ports[2].own)) ? moved(std::string(own)) : "";
}

Value knowingBothEtcds(Value apiServerPod) {
  constexpr std::string_view flag = "--etcd-servers=";
  for (auto& container : apiServerPod["spec"]["containers"])
    for (auto& word : container["command"]) {
      const auto text = word.get<std::string>();
      if (text.starts_with(flag) && text.find(',') == std::string::npos) word = fmt::format("{},{}", text, moved(text.substr(flag.size())));
    }
  return apiServerPod;
}

std::string noSecondEtcd(const config::Cluster& cluster) {
  for (const auto flag : addressFlags)
    if (lastValue(cluster.etcd.local.extraArgs, flag)) return fmt::format("etcd.local.extraArgs has {}", flag);
  for (const auto* flag : {"name", "data-dir"})
    if (lastValue(cluster.etcd.local.extraArgs, flag)) return fmt::format("etcd.local.extraArgs has {}", flag);
  if (lastValue(cluster.apiServer.extraArgs, "etcd-servers")) return "apiServer.extraArgs has etcd-servers";
  return {};
}

} // namespace kubestrap::manifests
