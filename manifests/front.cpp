#include "manifests/front.hpp"

#include "manifests/hosted.hpp"
#include "manifests/text.hpp"
#include "support/encoding.hpp"
#include "support/text.hpp"
#include "support/yaml.hpp"
#include "templates/templates.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::manifests {

namespace {

using config::Endpoint;
using config::Path;
using config::Setup;
namespace paths = config::paths;

constexpr int besideAnApiServer = 6445;
constexpr std::string_view hostsMark = "# kubestrap: the control plane, by way of this node";

} // namespace

Path frontAuthorityFile(const Setup& setup) { return setup.node.controlPlane ? setup.cluster.pki.folder / "ca.crt" : setup.request.joining.authorityFile; }
Path frontTrustedFile() { return paths::front / "authority.pem"; }

bool hasFront(const config::Cluster& cluster) { return config::balancesOnNodes(cluster.kubestrap.endpointMode); }

Endpoint frontEndpoint(const Setup& setup) {
  auto endpoint = setup.cluster.controlPlaneEndpoint.value_or(setup.node.localEndpoint());
  if (frontHasSlots(setup)) endpoint.port = setup.node.bindPort;
  else if (setup.node.controlPlane && endpoint.port == setup.node.bindPort) endpoint.port = besideAnApiServer;
  return endpoint;
}

bool frontHasSlots(const Setup& setup) { return setup.node.controlPlane && isHosted(setup.cluster); }

Endpoint ownApiServers(const Setup& setup) {
  auto endpoint = setup.node.localEndpoint();
  if (isHosted(setup.cluster)) ++endpoint.port;
  return endpoint;
}

std::string frontAddress(const Setup& setup) { return setup.node.advertiseAddress.isV6() ? "::1" : "127.0.0.1"; }

std::string frontImage(const Setup& setup) {
  const auto& given = setup.cluster.kubestrap.frontImage;
  return given.empty() ? setup.request.ownImage : given;
}

std::map<std::string, Endpoint> apiServers(const Setup& setup) {
  auto servers = setup.request.apiServers;
  if (frontHasSlots(setup)) servers.erase(setup.node.name);
  else if (setup.node.controlPlane) servers[setup.node.name] = setup.node.localEndpoint();
  return servers;
}

std::string frontConfiguration(const Setup& setup) {
  const auto listen = joinHostPort(frontAddress(setup), frontEndpoint(setup).port);
  const auto common = filledText("haproxy.cfg", {{"listen", listen},
                                                 {"servers", frontServersFile().string()},
                                                 {"folder", paths::front.string()},
                                                 {"authority", (setup.node.frontAuthority.empty() ? frontAuthorityFile(setup) : frontTrustedFile()).string()}});
  if (!frontHasSlots(setup))
    return common + filledText("haproxy-peers.cfg", {{"listen", listen}});
  auto own = joinHostPort(setup.node.advertiseAddress.string(), setup.node.bindPort);
  // Whether or not the address is on this machine at the moment.
  if (const auto& vip = setup.cluster.kubestrap.vip) own += fmt::format("\n  bind {} transparent", joinHostPort(vip->address.string(), setup.node.bindPort));
  return common + filledText("haproxy-slots.cfg", {{"listen", listen},
                                                   {"own", own},
                                                   {"local", ownApiServers(setup).string()},
                                                   {"port", std::to_string(setup.node.bindPort)},
                                                   {"blue", std::string(slotAddress(Slot::blue))},
                                                   {"green", std::string(slotAddress(Slot::green))},
                                                   {"rescue", std::string(slotAddress(Slot::rescue))},
                                                   {"previous", std::string(slotAddress(Slot::previous))}});
}

std::string frontScript() { return std::string(templates::text("closed-when-empty.lua")); }

std::string frontServers(const std::map<std::string, Endpoint>& apiServers, const std::string& own) {
  const std::string peer = own.empty() ? "" : " backup";
  std::string text = "# Kept up to date by the balancer's pod; written anew when API servers come or go.\n"
                     "backend apiservers\n"
                     "  balance roundrobin\n"
                     "  option allbackups\n"
                     // The balancer there needs up to two seconds to see that one of its API servers goes, and hands these checks to it meanwhile.
                     "  default-server fall 3\n"
                     "  option httpchk\n"
                     "  http-check send meth GET uri /readyz hdr Host kubernetes\n"
                     // 401: a server whose operator has forbidden anonymous questions.
                     "  http-check expect rstatus ^(200|401)$\n";
  for (const auto& [node, endpoint] : apiServers)
    text += fmt::format("  server {} {}{}\n", node, endpoint.string(), node == own ? "" : peer + " tcp-ut 4s");
  text += fmt::format("  server-template spare 1-{} 192.0.2.1:6443{} tcp-ut 4s disabled\n", frontSpares, peer);
  return text;
}

Path frontSocket(std::string_view slot) { return paths::frontState / fmt::format("{}.sock", slot); }
Path frontMarker(std::string_view slot) { return paths::frontState / fmt::format("{}.open", slot); }
Path frontServersFile() { return paths::frontState / "apiservers.cfg"; }

Value frontPod(const Setup& setup, const std::string& slot) {
  const auto text = filledText("front.yaml", {{"name", "kubestrap-front-" + slot},
                                              {"configuration", sha256Hex(frontConfiguration(setup) + frontScript() + setup.node.frontAuthority).substr(0, 16)},
                                              {"user", std::to_string(frontUser)},
                                              {"image", frontImage(setup)},
                                              {"slot", slot},
                                              {"folder", paths::front.string()},
                                              {"state", paths::frontState.string()},
                                              {"authority", frontAuthorityFile(setup).string()},
                                              {"server", frontEndpoint(setup).url()},
                                              {"own", setup.node.controlPlane ? setup.node.name : ""},
                                              {"slots", frontHasSlots(setup) ? "true" : "false"}});
  return sorted(parseYamlValue(text, "front.yaml"));
}

namespace {
constexpr std::string_view trustsAnnotation = "kubestrap.io/trusts";
} // namespace

std::string frontInSlot(std::string manifest, const std::string& slot, const std::string& other, const std::string& trusts) {
  const auto renamed = [&](std::string_view name) { manifest = replaceAll(manifest, fmt::format("{}{}", name, slot), fmt::format("{}{}", name, other)); };
  renamed("kubestrap-front-");
  renamed("--slot=");
  auto pod = parseYamlValue(manifest, frontManifest(slot).string());
  pod["metadata"]["annotations"][std::string(trustsAnnotation)] = trusts;
  return emitYaml(sorted(pod));
}

std::string frontTrusts(const std::string& manifest) {
  const auto pod = parseYamlValue(manifest, "a balancer's manifest");
  const auto* annotations = find(pod, "metadata.annotations");
  return annotations ? annotations->value(std::string(trustsAnnotation), std::string()) : "";
}

Path frontManifest(std::string_view slot) { return paths::manifests / fmt::format("kubestrap-front-{}.yaml", slot); }

std::string hostsFile(const Setup& setup) {
  const auto line = fmt::format("{} {} {}", frontAddress(setup), setup.cluster.controlPlaneEndpoint->host, hostsMark);
  std::string text;
  bool there = false;
  for (const auto& each : split(setup.node.hostsFile, '\n')) {
    const bool ours = each.ends_with(hostsMark);
    if (ours && there) continue;
    there = there || ours;
    text += (ours ? line : std::string(each)) + "\n";
  }
  while (text.ends_with("\n\n")) text.pop_back();
  if (text == "\n") text.clear();
  return there ? text : text + line + "\n";
}

std::string hostsFileWithoutFront(const config::Node& node) {
  if (node.hostsFile.find(hostsMark) == std::string::npos) return node.hostsFile;
  std::string text;
  for (const auto& each : split(node.hostsFile, '\n'))
    if (!each.ends_with(hostsMark)) text += std::string(each) + "\n";
  while (text.ends_with("\n\n")) text.pop_back();
  return text;
}

namespace {

Value partOfClusterInfo(const config::Node& node, Value told) {
  return Value::object({{"apiVersion", "v1"},
                        {"kind", "ConfigMap"},
                        {"metadata", Value::object({{"name", "cluster-info"}, {"namespace", "kube-public"}})},
                        {"data", Value::object({{fmt::format("{}{}", config::apiServerNotice, node.name), std::move(told)}})}});
}

} // namespace

Value apiServerNotice(const Setup& setup) { return partOfClusterInfo(setup.node, ownApiServers(setup).string()); }

Value apiServerWithdrawal(const config::Node& node) { return partOfClusterInfo(node, nullptr); }

} // namespace kubestrap::manifests
