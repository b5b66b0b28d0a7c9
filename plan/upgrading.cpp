#include "plan/upgrading.hpp"

#include "certs/x509.hpp"
#include "etcd/client.hpp"
#include "kube/reading.hpp"
#include "kube/selector.hpp"
#include "plan/drain.hpp"
#include "plan/kinds.hpp"
#include "support/ip.hpp"
#include "support/log.hpp"
#include "support/text.hpp"
#include "support/yaml.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::plan {

namespace {

using config::Setup;
using config::Upgrading;
namespace paths = config::paths;

/// What cannot be asked stays unknown, and is told with -v. Why it cannot; empty: it was asked.
std::string perhaps(std::string_view what, const std::function<void()>& look) {
  try {
    look();
    return {};
  } catch (const Interrupted&) {
    throw;
  } catch (const Error& error) {
    log::info(1, "{} cannot be looked at: {}", what, error.message());
    return error.message();
  }
}

// ---- nodes

std::string tagOf(const Value& pod) {
  const auto* containers = find(pod, "spec.containers");
  if (!containers || !containers->is_array() || containers->empty()) return {};
  const auto image = stringAt(containers->front(), "image");
  const auto colon = image.rfind(':');
  return colon == std::string::npos ? "" : image.substr(colon + 1);
}

void lookAtNodes(Upgrading& seen, kube::Client& client) {
  for (const auto& node : client.list("v1", "Node", ""))
    seen.nodes.push_back({.name = stringAt(node, "metadata.name"),
                          .kubelet = stringAt(node, "status.nodeInfo.kubeletVersion"),
                          .ready = kube::isReady(node),
                          .controlPlane = kube::isControlPlane(node),
                          .lacksPodNetwork = !kube::isReady(node) && kube::runsHostPods(node),
                          .diskPressure = kube::hasCondition(node, "DiskPressure"),
                          .settingsFollow = kube::annotationOf(node, config::settingsFollowNotice),
                          .versions = {}});
  for (const auto& pod : client.list("v1", "Pod", "kube-system", "tier=control-plane"))
    for (auto& node : seen.nodes)
      if (node.name == stringAt(pod, "spec.nodeName"))
        if (const auto component = kube::labelOf(pod, "component")) node.versions[*component] = tagOf(pod);
}

// ---- webhooks

bool names(const Value& list, std::initializer_list<std::string_view> wanted) {
  return list.is_array() && std::ranges::any_of(list, [&](const Value& each) {
           return each.is_string() && std::ranges::find(wanted, each.get<std::string>()) != wanted.end();
         });
}

/// Whether it is asked about what an upgrade writes to kube-system or to nodes.
bool concernsUpgrade(const Value& webhook) {
  const auto* rules = find(webhook, "rules");
  return rules && rules->is_array() && std::ranges::any_of(*rules, [](const Value& rule) {
           const auto* resources = find(rule, "resources");
           return resources && names(*resources, {"*", "*/*", "pods", "nodes", "nodes/status", "configmaps", "leases", "deployments", "daemonsets",
                                                  "serviceaccounts", "services", "clusterroles", "clusterrolebindings", "roles", "rolebindings"});
         });
}

bool leavesOut(const Value& webhook, const kube::Labels& nameSpace) {
  const auto* selector = find(webhook, "namespaceSelector");
  return selector && !kube::selects(*selector, nameSpace);
}

bool isServed(const std::string& nameSpace, const std::string& service, kube::Client& client) {
  const auto slices = client.list("discovery.k8s.io/v1", "EndpointSlice", nameSpace, "kubernetes.io/service-name=" + service);
  return std::ranges::any_of(slices, [](const Value& slice) {
    const auto* endpoints = find(slice, "endpoints");
    return endpoints && endpoints->is_array() && std::ranges::any_of(*endpoints, [](const Value& endpoint) {
             const auto* ready = find(endpoint, "conditions.ready");
             return !ready || *ready != false;
           });
  });
}

void lookAtWebhooks(Upgrading& seen, kube::Client& client) {
  const auto found = client.get({"v1", "Namespace", "", "kube-system"});
  const auto system = found ? kube::labelsOf(*found) : kube::Labels{};
  for (const auto* kind : {"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"}) {
    for (const auto& configuration : client.list("admissionregistration.k8s.io/v1", kind, "")) {
      const auto* webhooks = find(configuration, "webhooks");
      if (!webhooks || !webhooks->is_array()) continue;
      for (const auto& webhook : *webhooks) {
        if (stringAt(webhook, "failurePolicy", "Fail") != "Fail" || !concernsUpgrade(webhook) || leavesOut(webhook, system)) continue;
        Upgrading::Webhook one{.name = fmt::format("{} {}, webhook {}", kind, stringAt(configuration, "metadata.name"), stringAt(webhook, "name"))};
        const auto nameSpace = stringAt(webhook, "clientConfig.service.namespace"), service = stringAt(webhook, "clientConfig.service.name");
        if (!service.empty()) {
          one.service = nameSpace + "/" + service;
          one.unready = !isServed(nameSpace, service, client);
        }
        seen.webhooks.push_back(std::move(one));
      }
    }
  }
}

// ---- the rest

void lookAtBudgets(Upgrading& seen, kube::Client& client) {
  for (const auto& budget : client.list("policy/v1", "PodDisruptionBudget", ""))
    if (kube::numberAt(budget, "status.disruptionsAllowed") == 0 && kube::numberAt(budget, "status.expectedPods") > 0)
      seen.disruptionBudgets.push_back(stringAt(budget, "metadata.namespace") + "/" + stringAt(budget, "metadata.name"));
}

/// Each API server counts what it was asked for by itself, and begins anew with its process.
void lookAtDeprecated(Upgrading& seen, const Access& access, const Context& context) {
  auto client = connect(access, context);
  auto servers = apiServers(client);
  std::map<std::string, std::string> found;
  for (const auto& node : seen.nodes) {
    if (!node.controlPlane) continue;
    try {
      const auto server = servers.find(node.name);
      if (server == servers.end()) throw Error("nobody says where it serves");
      const auto answer = connect(Access{access.kubeconfig, server->second}, context).raw("GET", "/metrics");
      if (answer.status != 200) throw Error(fmt::format("it answered {}", answer.status));
      for (const auto& api : deprecatedApis(answer.body)) found[api.name] = api.removedIn;
    } catch (const Interrupted&) {
      throw;
    } catch (const Error& error) {
      seen.unasked[node.name] = error.message();
    }
  }
  for (const auto& [name, removedIn] : found) seen.deprecated.push_back({.name = name, .removedIn = removedIn});
}

void lookAtEtcd(Upgrading::Etcd& seen, const EtcdAccess& access, const Context& context) {
  auto client = connect(access, context);
  seen.members = client.endpoints();
  std::optional<Version> lowest;
  for (const auto& endpoint : seen.members) {
    try {
      const auto status = client.status(endpoint);
      if (status.leaderId == 0) seen.silent.push_back(endpoint);
      const auto version = parseVersion(status.version);
      if (!lowest || version < *lowest) lowest = version;
      seen.size = std::max(seen.size, status.dbSize);
    } catch (const Interrupted&) {
      throw;
    } catch (const Error&) {
      seen.silent.push_back(endpoint);
    }
  }
  if (lowest) seen.version = lowest->string();
  seen.trouble = lackOfHealth(client).value_or("");
  if (seen.trouble.empty())
    for (const auto& alarm : client.alarms()) seen.alarms.push_back(alarm.kind);
}

void lookAtOwnEtcd(Setup& setup, const EtcdAccess& access, const Context& context) {
  if (!setup.cluster.etcd.isLocal() || !setup.node.controlPlane) return;
  auto& seen = setup.request.upgrading.etcd;
  try {
    lookAtEtcd(seen, access, context);
  } catch (const Interrupted&) {
    throw;
  } catch (const Error& error) {
    seen.trouble = error.message();
  }
}

void lookAtCertificates(Upgrading& seen, const Path& folder, host::Host& host) {
  for (const auto& name : host.list(folder)) {
    const auto path = folder / name;
    if (path.extension() != ".crt" && path.extension() != ".conf") continue;
    perhaps(path.string(), [&] {
      auto text = host.read(path).value_or("");
      if (path.extension() == ".conf") text = kube::parseKubeconfig(text, path.string()).clientCertificate;
      if (!text.empty()) seen.certificateEnds[path.string()] = certs::X509Certificate::parse(text, path.string()).notAfter();
    });
  }
}

/// Files of other nodes are not seen from here; what their API servers show is.
void lookAtShown(Upgrading& seen, const std::string& self, kube::Client& client, net::Transport& http) {
  const auto servers = apiServers(client);
  for (const auto& node : seen.nodes) {
    const auto server = servers.find(node.name);
    if (!node.controlPlane || node.name == self || server == servers.end()) continue;
    const auto endpoint = server->second.substr(server->second.find("://") + 3);
    perhaps(fmt::format("the certificate of {}", endpoint), [&] {
      const auto parsed = splitHostPort(endpoint);
      if (!parsed) return;
      const auto shown = http.peerCertificates(parsed->host, parsed->port.value_or(443), std::chrono::seconds(5));
      seen.shownCertificates[node.name] = {endpoint, certs::X509Certificate::parse(shown.front(), endpoint).notAfter()};
    });
  }
}

void lookAtCorefile(Upgrading& seen, kube::Client& client) {
  if (const auto found = client.get({"v1", "ConfigMap", "kube-system", "coredns"})) seen.corefile = stringAt(*found, "data.Corefile");
}

void lookAtPods(Setup& setup, kube::Client& client) {
  for (const auto& pod : client.list("v1", "Pod", ""))
    if (mayMove(pod, setup.node.name) && isAlone(pod)) setup.request.upgrading.alone.push_back(podName(pod));
}

void lookAtCluster(Setup& setup, const EtcdAccess& etcd, const Context& context) {
  auto& seen = setup.request.upgrading;
  auto client = connect(etcd.api, context);
  seen.server = stringAt(parseJson(client.raw("GET", "/version").body, "/version"), "gitVersion");
  lookAtNodes(seen, client);
  perhaps("webhooks", [&] { lookAtWebhooks(seen, client); });
  perhaps("disruption budgets", [&] { lookAtBudgets(seen, client); });
  perhaps("the Corefile", [&] { lookAtCorefile(seen, client); });
  if (!seen.kubeletProgram.empty()) perhaps("pods of this node", [&] { lookAtPods(setup, client); });
  perhaps("whose turn it is", [&] { seen.othersTurn = otherThatHas(controlPlaneTurn, setup.node.name, client, seen.now); });
  perhaps("the API servers' metrics", [&] { lookAtDeprecated(seen, etcd.api, context); });
  if (setup.cluster.kubestrap.layout == config::Layout::hosted && setup.node.controlPlane)
    perhaps("what other API servers show", [&] { lookAtShown(seen, setup.node.name, client, context.world.http); });
  lookAtOwnEtcd(setup, etcd, context);
}

/// Kubelets tell of a static pod's new image up to a minute and a half late; what runs by it says so at once. Of two control planes that get through
/// together at least one hears that the other is.
void hearVersions(Upgrading& seen, const Setup& setup, const Access& access, kube::Client& client, const Context& context) {
  const auto wanted = setup.cluster.version;
  const auto servers = apiServers(client);
  for (auto& node : seen.nodes) {
    const auto version = node.versions.find("kube-apiserver");
    const auto server = servers.find(node.name);
    if (node.name == setup.node.name || version == node.versions.end() || version->second == wanted.imageTag() || server == servers.end()) continue;
    perhaps(server->second, [&] {
      const auto answer = connect(Access{access.kubeconfig, server->second}, context).raw("GET", "/version");
      if (readVersion(stringAt(parseJson(answer.body, "/version"), "gitVersion")) == wanted) version->second = wanted.imageTag();
    });
  }
}

/// Which other control planes are still to be upgraded: addons wait for the last one.
void lookAtOthers(Setup& setup) {
  auto& seen = setup.request.upgrading;
  std::vector<std::string> others;
  for (const auto& node : seen.nodes) {
    const auto version = node.versions.find("kube-apiserver");
    if (node.name != setup.node.name && version != node.versions.end() && version->second != setup.cluster.version.imageTag())
      others.push_back(fmt::format("{} has {}", node.name, version->second));
  }
  seen.addonsNow = others.empty();
  seen.addonsWaitFor = join(others, ", ");
}

} // namespace

std::vector<Upgrading::Api> deprecatedApis(std::string_view metrics) {
  constexpr std::string_view name = "apiserver_requested_deprecated_apis{";
  std::vector<Upgrading::Api> found;
  for (const auto& line : split(metrics, '\n')) {
    if (!line.starts_with(name)) continue;
    const auto label = [&](const std::string& key) {
      const auto at = line.find(key + "=\"");
      if (at == std::string::npos) return std::string();
      const auto begin = at + key.size() + 2;
      return line.substr(begin, line.find('"', begin) - begin);
    };
    const auto group = label("group");
    if (label("removed_release").empty()) continue; // it stays for good, and components themselves ask for it
    found.push_back({.name = fmt::format("{}.{}{}{}", label("resource"), label("version"), group.empty() ? "" : ".", group), .removedIn = label("removed_release")});
  }
  return found;
}

void lookAtUpgrade(Setup& setup, const EtcdAccess& etcd, World& world) {
  auto& seen = setup.request.upgrading;
  seen.now = world.clock.now();
  Kubeconfigs kubeconfigs;
  const Context context{.world = world, .phase = "preflight", .kubeconfigs = &kubeconfigs};
  if (setup.node.controlPlane) {
    lookAtCertificates(seen, paths::kubernetes, world.host);
    lookAtCertificates(seen, setup.cluster.pki.folder, world.host);
    lookAtCertificates(seen, setup.cluster.pki.folder / "etcd", world.host);
  }
  try {
    lookAtCluster(setup, etcd, context);
  } catch (const Interrupted&) {
    throw;
  } catch (const Error& error) {
    seen.unreachable = error.message();
  }
  lookAtOthers(setup);
}

void lookAtControlPlanes(Setup& setup, const EtcdAccess& etcd, World& world) {
  auto& seen = setup.request.upgrading;
  seen.now = world.clock.now();
  Kubeconfigs kubeconfigs;
  const Context context{.world = world, .phase = "preflight", .kubeconfigs = &kubeconfigs};
  try {
    auto client = connect(etcd.api, context);
    lookAtNodes(seen, client);
    perhaps("whose turn it is", [&] { seen.othersTurn = otherThatHas(controlPlaneTurn, setup.node.name, client, seen.now); });
    lookAtOwnEtcd(setup, etcd, context);
  } catch (const Interrupted&) {
    throw;
  } catch (const Error& error) {
    seen.unreachable = error.message();
  }
}

std::string lookForOthers(Setup& setup, const Access& access, World& world) {
  if (!setup.node.controlPlane) return {};
  const Context context{.world = world, .applying = true, .apiPatience = setup.request.timeouts.kubernetesAPICall, .phase = "addon"};
  const auto look = [&] {
    auto client = connect(access, context);
    Upgrading now;
    lookAtNodes(now, client);
    hearVersions(now, setup, access, client, context);
    setup.request.upgrading.nodes = std::move(now.nodes);
    lookAtOthers(setup);
  };
  return perhaps("other control planes", [&] { withPatience(context, "control planes", look); });
}

} // namespace kubestrap::plan
