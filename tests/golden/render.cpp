#include "tests/golden/render.hpp"

#include "config/load.hpp"
#include "manifests/addons.hpp"
#include "manifests/cluster_objects.hpp"
#include "manifests/components.hpp"
#include "manifests/kubelet.hpp"
#include "manifests/messages.hpp"
#include "support/encoding.hpp"
#include "support/error.hpp"
#include "support/text.hpp"

#include <fstream>
#include <iterator>

namespace kubestrap::golden {

namespace {

using Documents = std::vector<Value>;

void append(Documents& list, Documents more) { list.insert(list.end(), more.begin(), more.end()); }

/// A Secret with what must not be printed replaced by its fingerprint.
Value withoutSecrets(Value object) {
  if (stringAt(object, "kind") != "Secret") return object;
  for (auto& [key, value] : object.at("data").items())
    if (key == "token-secret") value = "fingerprint " + Secret(value.get<std::string>()).fingerprint();
  return object;
}

/// What init applies to the cluster but for the addons, in its order.
Documents clusterObjects(const config::Setup& setup) {
  const config::Cluster& cluster = setup.cluster;
  Documents list = {manifests::clusterAdminsBinding()};
  append(list, manifests::uploadedKubeadmConfig(cluster));
  append(list, manifests::uploadedKubeletConfig(cluster));
  append(list, manifests::uploadedKubestrapConfig(cluster));
  if (setup.request.uploadCerts || !setup.request.certificateKey.empty()) {
    auto lifetime = manifests::certsLifetimeToken(setup.request.certificateKey, setup.request.certsExpire);
    list.push_back(manifests::bootstrapTokenSecret(lifetime));
    list.push_back(manifests::kubeadmCertsSecret(cluster, lifetime));
    append(list, manifests::kubeadmCertsRules());
  }
  list.push_back(manifests::controlPlaneMark(setup.node));
  for (const config::BootstrapToken& token : setup.request.tokens)
    list.push_back(manifests::bootstrapTokenSecret(token));
  append(list, manifests::bootstrapTokenRules());
  list.push_back(manifests::clusterInfo());
  append(list, manifests::clusterInfoRules());
  for (Value& object : list) object = withoutSecrets(std::move(object));
  return list;
}

} // namespace

config::Facts machine() {
  config::Facts facts;
  facts.hostname = "Node-1";
  facts.defaultAddress = IpAddress::v4(10, 0, 0, 11);
  facts.addresses = {IpAddress::v4(127, 0, 0, 1), IpAddress::v4(10, 0, 0, 11)};
  facts.runtimeSockets = {"unix:///var/run/containerd/containerd.sock"};
  facts.initSystem = "systemd";
  facts.caFolders = {
      {"/usr/share/ca-certificates", true}, {"/etc/ca-certificates", true}, {"/etc/pki/ca-trust", false}};
  return facts;
}

std::string steadyBytes(std::size_t count) {
  std::string bytes;
  for (std::size_t block = 0; bytes.size() < count; ++block) bytes += sha256("golden " + std::to_string(block));
  return bytes.substr(0, count);
}

Loaded load(const std::string& documents, const std::string& source, const config::Facts& facts) {
  Loaded loaded;
  config::InitFlags flags;
  flags.configFile = source;
  loaded.setup = config::loadInit(parseYaml(documents, source), flags, facts, steadyBytes, loaded.warnings);
  const TimePoint now = parseRfc3339("2030-01-01T00:00:00Z");
  for (config::BootstrapToken& token : loaded.setup.request.tokens)
    if (!token.expires && token.ttl && *token.ttl > Duration::zero()) token.expires = now + *token.ttl;
  loaded.setup.request.certsExpire = now + manifests::certsLifetime;
  return loaded;
}

std::map<std::string, std::string> render(const Loaded& loaded) {
  const config::Setup& setup = loaded.setup;
  std::map<std::string, std::string> files;
  for (const manifests::Component& component : manifests::components())
    if (manifests::runsOn(component, setup.cluster))
      files[std::string(component.name) + ".yaml"] = emitYaml(component.pod(setup));
  files["kubelet-config.yaml"] = emitYaml(manifests::kubeletConfig(setup));
  files["kubelet-instance-config.yaml"] = emitYaml(manifests::kubeletInstanceConfig(setup));
  files["kubeadm-flags.env"] = manifests::kubeletFlagsEnv(setup);
  files["cluster-objects.yaml"] = emitYamlStream(clusterObjects(setup));
  if (!setup.cluster.dnsDisabled) files["coredns.yaml"] = emitYamlStream(manifests::coreDns(setup));
  if (!setup.cluster.proxyDisabled) files["kube-proxy.yaml"] = emitYamlStream(manifests::kubeProxy(setup));
  files["images.txt"] = join(manifests::imageList(setup.cluster), "\n") + "\n";
  files["message.txt"] = manifests::initDoneMessage(setup);
  if (!loaded.warnings.empty()) files["warnings.txt"] = join(loaded.warnings, "\n") + "\n";
  return files;
}

std::string readFile(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream) throw Error("cannot read " + path.string());
  return {std::istreambuf_iterator<char>(stream), {}};
}

} // namespace kubestrap::golden
