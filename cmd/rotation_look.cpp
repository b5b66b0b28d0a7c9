#include "cmd/rotation_look.hpp"

#include "cmd/node_report.hpp"

#include "certs/x509.hpp"
#include "kube/kubeconfig.hpp"
#include "kube/reading.hpp"
#include "manifests/components.hpp"
#include "phases/certificates.hpp"
#include "plan/run.hpp"
#include "plan/silent.hpp"
#include "support/encoding.hpp"
#include "support/log.hpp"
#include "support/text.hpp"
#include "support/yaml.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::cmd {

namespace rotation = phases::rotation;
namespace paths = config::paths;

namespace {

/// The PEM blocks of a text, each with a line's end.
std::vector<std::string> blocksOf(const std::string& text) {
  constexpr std::string_view begins = "-----BEGIN ", ends = "-----END ";
  std::vector<std::string> blocks;
  for (std::size_t at = text.find(begins); at != std::string::npos;) {
    const auto last = text.find(ends, at);
    if (last == std::string::npos) break;
    const auto end = std::min(text.find('\n', last), text.size());
    blocks.push_back(text.substr(at, end - at) + "\n");
    at = text.find(begins, end);
  }
  return blocks;
}

bool holds(const std::string& text, const std::string& block) {
  const auto blocks = blocksOf(text);
  return !block.empty() && std::ranges::find(blocks, block) != blocks.end();
}

bool isSettled(const config::Setup& setup, const rotation::Wish& wish, plan::World& world) {
  try {
    plan::Silent silent;
    const auto outcome = plan::planAll(rotation::onNode(setup, wish), "look", world, silent);
    for (const auto& each : outcome.changes)
      if (each.change.changes() && each.change.verb != plan::Verb::wait) log::info(2, "{}: {} ({})", rotation::name(wish.stage), each.change.subject, each.change.reason);
    return !outcome.changed();
  } catch (const Interrupted&) {
    throw;
  } catch (const Error& error) {
    log::info(1, "{}: {}", rotation::name(wish.stage), error.message());
    return false;
  }
}

rotation::Stage stageOf(const std::string& trust, const rotation::Material& material) {
  const bool former = holds(trust, material.former.certificate), next = holds(trust, material.next.certificate);
  if (!next) return rotation::Stage::former;
  if (!former) return rotation::Stage::dropped;
  return blocksOf(trust).front() == material.next.certificate ? rotation::Stage::issuing : rotation::Stage::trusted;
}

/// kubelet.conf as it is, but for whom it trusts.
std::string kubeletConfTrusting(const std::string& text, const std::string& authorities) {
  auto kubeconfig = kube::parseKubeconfig(text, paths::kubeletConf.string());
  if (!kubeconfig.authorityFile.empty()) return text; // it follows that file
  kubeconfig.authorities = authorities;
  return kube::emitKubeconfig(kubeconfig);
}

} // namespace

bool isPrepared(host::Host& host, const std::string& authority) {
  const auto has = [&](std::string_view file) { return host.status(rotation::staged(authority, file)).has_value(); };
  return has("next.crt") && has("next.key") && (authority != "ca" || has("bridge.crt"));
}

void refuseWhileRotating(host::Host& host, std::string_view what) {
  for (const auto& authority : rotation::rotatable())
    if (isPrepared(host, authority))
      throw Error(fmt::format("{} has to wait: a rotation of {} is under way", what, authority), fmt::format("kubestrap certs rotate-ca {} --resume, or --abort", authority),
                  ExitCode::refused);
}

rotation::Material materialHere(host::Host& host, const config::Cluster& cluster, const std::string& authority) {
  const auto read = [&](const config::Path& path) { return host.read(path).value_or(""); };
  const auto staged = [&](std::string_view file) { return read(rotation::staged(authority, file)); };
  rotation::Material material{.former = {staged("former.crt"), Secret(staged("former.key"))}, .next = {}, .bridge = {}};
  if (isPrepared(host, authority)) {
    material.next = {staged("next.crt"), Secret(staged("next.key"))};
    material.bridge = staged("bridge.crt");
  }
  if (!material.former.certificate.empty() && !material.former.key.empty()) return material;
  const auto present = blocksOf(read(rotation::trustFile(cluster, authority)));
  if (!present.empty()) material.former = {present.front(), Secret(read(rotation::keyFileOf(cluster, authority)))};
  return material;
}

rotation::Wish wishHere(host::Host& host, const std::string& authority, rotation::Material material, rotation::Stage stage) {
  rotation::Wish wish{.authority = authority, .stage = stage, .kubelet = rotation::Kubelet::follows, .material = std::move(material), .manifests = {}, .kubeletConf = {}};
  for (const auto& component : manifests::components())
    if (auto text = host.read(manifests::manifestPath(component))) wish.manifests[std::string(component.name)] = std::move(*text);
  if (const auto text = host.read(paths::kubeletConf); text && rotation::isKnownToWorkers(authority))
    wish.kubeletConf = kubeletConfTrusting(*text, rotation::trusted(wish));
  return wish;
}

rotation::NodeSeen lookHere(const config::Setup& setup, const std::string& authority, const rotation::Material& material, plan::World& world) {
  auto& host = world.host;
  rotation::NodeSeen seen{.name = setup.node.name, .controlPlane = setup.node.controlPlane};
  seen.staged = host.status(rotation::staged(authority, {}).parent_path()).has_value();
  const auto file = rotation::trustFile(setup.cluster, authority);
  seen.stage = stageOf(host.read(file).value_or(""), material);
  if (const auto status = host.status(file)) seen.since = world.clock.now() - status->modified;
  if (material.next.certificate.empty()) return seen;
  auto wish = wishHere(host, authority, material, seen.stage);
  wish.forgotten = !seen.staged && (seen.stage == rotation::Stage::former || seen.stage == rotation::Stage::dropped);
  seen.settled = isSettled(setup, wish, world);
  wish.kubelet = rotation::Kubelet::asItIs;
  seen.settledButKubelet = seen.settled || isSettled(setup, wish, world);
  return seen;
}

std::string reportOf(const rotation::NodeSeen& seen, host::Host& host, const config::Cluster& cluster) {
  return Value::object({{"stage", rotation::name(seen.stage)},
                        {"settled", seen.settled},
                        {"settledButKubelet", seen.settledButKubelet},
                        {"staged", seen.staged},
                        {"since", std::chrono::duration_cast<std::chrono::seconds>(seen.since).count()},
                        {"receiver", host.read(phases::certificateFile(cluster, "apiserver")).value_or("")}})
      .dump();
}

void takeReport(rotation::NodeSeen& seen, const std::string& log) {
  const auto report = reportIn(log, "the report of " + seen.name);
  const auto stage = rotation::parseStage(stringAt(report, "stage"));
  if (!stage) throw Error(fmt::format("{} does not say how far it is", seen.name), "kubestrap there may be of another version");
  const auto says = [&](const char* member) { return report.contains(member) && report[member] == true; };
  seen.stage = *stage;
  seen.settled = says("settled");
  seen.settledButKubelet = says("settledButKubelet");
  seen.staged = says("staged");
  seen.since = std::chrono::seconds(kube::numberAt(report, "since"));
  seen.receiver = stringAt(report, "receiver");
}

// ---- in the cluster

namespace {

rotation::Told toldBy(const std::string& text, const rotation::Material& material) {
  return {.former = holds(text, material.former.certificate), .next = holds(text, material.next.certificate)};
}

std::optional<rotation::Told> toldToAll(const std::vector<Value>& configMaps, const rotation::Material& material) {
  std::optional<rotation::Told> all;
  for (const auto& each : configMaps) {
    if (stringAt(each, "metadata.name") != "kube-root-ca.crt" || !each.contains("data")) continue;
    const auto told = toldBy(each["data"].value("ca.crt", std::string()), material);
    if (!all) all = told;
    all->former = all->former || told.former;
    all->next = all->next && told.next;
  }
  return all;
}

/// What signs and verifies in a token's header: the hash of the public key.
std::string keyId(const std::string& publicPem) {
  std::string body;
  for (const auto& line : split(publicPem, '\n'))
    if (!line.starts_with("-----")) body += line;
  return base64Url(sha256(fromBase64(body).value_or("")));
}

std::string signerOf(const std::string& token) {
  const auto header = fromBase64Url(token.substr(0, token.find('.')));
  return header ? stringAt(parseJson(*header, "a token's header"), "kid") : "";
}

std::vector<std::string> tokensOf(const std::string& publicPem, kube::Client& client) {
  std::vector<std::string> found;
  const auto former = keyId(publicPem);
  for (const auto& secret : client.list("v1", "Secret", "")) {
    if (stringAt(secret, "type") != "kubernetes.io/service-account-token") continue;
    const auto token = fromBase64(stringAt(secret, "data.token"));
    if (token && signerOf(*token) == former)
      found.push_back(fmt::format("Secret {}/{}: its token is signed by the former key", stringAt(secret, "metadata.namespace"), stringAt(secret, "metadata.name")));
  }
  return found;
}

/// Whether some member called caBundle below this value holds the authority.
bool bundles(const Value& value, const std::string& certificate) {
  if (value.is_object() && value.contains("caBundle") && value["caBundle"].is_string() &&
      holds(fromBase64(value["caBundle"].get<std::string>()).value_or(""), certificate))
    return true;
  return value.is_structured() && std::ranges::any_of(value, [&](const Value& each) { return bundles(each, certificate); });
}

constexpr std::pair<const char*, const char*> bundleKinds[] = {{"admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration"},
                                                               {"admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration"},
                                                               {"apiregistration.k8s.io/v1", "APIService"},
                                                               {"apiextensions.k8s.io/v1", "CustomResourceDefinition"}};

} // namespace

void lookAtTold(rotation::Seen& seen, const std::string& authority, const rotation::Material& material, kube::Client& client) {
  seen.uploaded = client.get({"v1", "Secret", "kube-system", "kubeadm-certs"}).has_value();
  const auto dataOf = [&](const std::string& nameSpace, const std::string& name, const std::string& key) -> std::optional<std::string> {
    const auto found = client.get({"v1", "ConfigMap", nameSpace, name});
    if (!found || !found->contains("data") || !(*found)["data"].contains(key)) return std::nullopt;
    return (*found)["data"][key].get<std::string>();
  };
  if (authority == "ca" || authority == "front-proxy-ca")
    if (const auto text = dataOf("kube-system", "extension-apiserver-authentication", authority == "ca" ? "client-ca-file" : "requestheader-client-ca-file"))
      seen.aggregation = toldBy(*text, material);
  if (authority != "ca") return;
  if (const auto text = dataOf("kube-public", "cluster-info", "kubeconfig"))
    seen.clusterInfo = toldBy(kube::parseKubeconfig(*text, "cluster-info").authorities, material);
  const auto answer = client.raw("GET", "/api/v1/configmaps?fieldSelector=metadata.name%3Dkube-root-ca.crt");
  if (answer.status != 200) throw kube::ApiError(answer.status, "", "kube-root-ca.crt cannot be read");
  const auto list = parseJson(answer.body, "ConfigMaps");
  const auto* items = find(list, "items");
  if (items && items->is_array()) seen.rootCertificates = toldToAll({items->begin(), items->end()}, material);
}

std::vector<std::string> holdersOfFormer(const std::string& authority, const rotation::Material& material, kube::Client& client) {
  if (authority == "sa") return tokensOf(material.former.certificate, client);
  std::vector<std::string> found;
  if (authority != "ca") return found;
  for (const auto& [apiVersion, kind] : bundleKinds)
    for (const auto& each : client.list(apiVersion, kind, ""))
      if (bundles(each, material.former.certificate)) found.push_back(fmt::format("{} {}: its caBundle has the former authority", kind, stringAt(each, "metadata.name")));
  return found;
}

} // namespace kubestrap::cmd
