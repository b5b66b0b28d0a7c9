#include "plan/leaving.hpp"

#include "certs/x509.hpp"
#include "host/inventory.hpp"
#include "plan/journal.hpp"
#include "plan/kinds.hpp"
#include "plan/recorded.hpp"
#include "support/log.hpp"
#include "support/text.hpp"
#include "support/yaml.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace kubestrap::plan {

namespace {

using config::Recorded;
using config::Resetting;
using config::Setup;
namespace paths = config::paths;

// ---- this machine

std::optional<Value> staticPodOf(const char* component, host::Host& host) {
  const auto path = paths::manifests / (std::string(component) + ".yaml");
  const auto text = host.read(path);
  if (!text) return std::nullopt;
  try {
    return parseYamlValue(*text, path.string());
  } catch (const Error& error) {
    log::warn(error.message()); // whoever wrote it: it is no reason to keep the node
    return std::nullopt;
  }
}

std::string flagOf(const Value& pod, std::string_view name) {
  const auto* containers = find(pod, "spec.containers");
  if (!containers || !containers->is_array() || containers->empty()) return {};
  const auto* command = find(containers->front(), "command");
  const auto prefix = fmt::format("--{}=", name);
  if (command && command->is_array())
    for (const auto& word : *command)
      if (word.is_string() && word.get<std::string>().starts_with(prefix)) return word.get<std::string>().substr(prefix.size());
  return {};
}

std::optional<Path> dataFolderOf(const Value& pod) {
  const auto* volumes = find(pod, "spec.volumes");
  if (volumes && volumes->is_array())
    for (const auto& volume : *volumes)
      if (stringAt(volume, "name") == "etcd-data")
        if (const auto path = stringAt(volume, "hostPath.path"); !path.empty()) return path;
  return std::nullopt;
}

/// The name that the kubelet's certificate says; "" when there is none.
std::string nameInCertificate(host::Host& host) {
  constexpr std::string_view prefix = "system:node:";
  const auto pem = host.read(paths::kubeletClientCertificate);
  if (!pem) return {};
  try {
    const auto name = certs::X509Certificate::parse(*pem, paths::kubeletClientCertificate.string()).subject().commonName;
    return name.starts_with(prefix) ? name.substr(prefix.size()) : "";
  } catch (const Error&) {
    return {};
  }
}

bool hasSomethingOfANode(host::Host& host) {
  for (const auto& path : {paths::adminConf, paths::kubeletConf, paths::bootstrapKubeletConf, paths::kubeletConfig, paths::kubeletFlags})
    if (host.status(path)) return true;
  for (const auto* component : {"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"})
    if (host.status(paths::manifests / (std::string(component) + ".yaml"))) return true;
  return host.status(paths::pki / "ca.crt").has_value();
}

/// Bridges that CNI configurations name, and the interfaces of well-known pod networks.
bool isOfPodNetwork(const std::string& link, const std::vector<std::string>& bridges) {
  if (std::ranges::find(bridges, link) != bridges.end()) return true;
  for (const std::string_view name : {"cni0", "flannel.1", "flannel-v6.1", "flannel-wg", "kube-bridge", "kube-ipvs0", "nodelocaldns", "tunl0", "vxlan.calico", "weave"})
    if (link == name) return true;
  return link.starts_with("cilium_") || link.starts_with("cali");
}

std::vector<std::string> bridgesOf(host::Host& host) {
  std::vector<std::string> bridges;
  const Path folder = "/etc/cni/net.d";
  for (const auto& name : host.list(folder)) {
    const auto text = host.status(folder / name)->type == host::FileStatus::Type::file ? host.read(folder / name) : std::nullopt;
    const auto document = text ? Value::parse(*text, nullptr, false) : Value();
    if (!document.is_object()) continue;
    std::vector<Value> plugins{document};
    if (const auto* chained = find(document, "plugins"); chained && chained->is_array()) plugins.insert(plugins.end(), chained->begin(), chained->end());
    for (const auto& plugin : plugins)
      if (stringAt(plugin, "type") == "bridge") bridges.push_back(stringAt(plugin, "bridge", "cni0"));
  }
  return bridges;
}

bool isOfNode(std::string_view path) {
  return path.starts_with(paths::kubernetes.string() + "/") || path.starts_with(paths::kubelet.string() + "/");
}

/// What a component wrote first and kubestrap replaced later (a kubelet's kubelet.conf) was not there before either.
void forgetWhatCameLater(Resetting& known) {
  for (auto& one : known.recorded) {
    if (!isOfNode(one.name) || known.before.contains(one.name)) continue;
    one.existed = false;
    one.content.reset();
  }
}

/// A node that somebody else had made when the first record was written (kubeadm, and then our renewal of certificates): its files go by
/// their names, and what it was like as a node does not come back.
void forgetFormerNode(Resetting& known) {
  std::erase_if(known.recorded, [](const Recorded& one) { return one.kind == Recorded::Kind::unit || one.kind == Recorded::Kind::sysctl; });
  for (auto& one : known.recorded) {
    if (!isOfNode(one.name) || one.kind != Recorded::Kind::file) continue;
    one.existed = false;
    one.content.reset();
  }
}

/// A run that is killed while it writes a file leaves another one beside it.
void addLeftovers(Resetting& known, host::Host& host) {
  std::vector<Recorded> leftovers;
  std::map<Path, std::vector<std::string>> folders;
  for (const auto& one : known.recorded) {
    if (one.kind != Recorded::Kind::file) continue;
    const Path path = one.name;
    const auto prefix = host::leftoverPrefix(path.filename().string());
    const auto [folder, isNew] = folders.try_emplace(path.parent_path());
    if (isNew) folder->second = host.list(folder->first);
    for (const auto& name : folder->second)
      if (name.starts_with(prefix)) leftovers.push_back({.kind = Recorded::Kind::file, .name = (folder->first / name).string(), .content = {}, .value = {}});
  }
  known.recorded.insert(known.recorded.begin(), leftovers.begin(), leftovers.end());
}

/// A unit is stopped by reset itself, whether or not a run came as far as to start it.
void addUnits(Resetting& known, const Value& units) {
  for (const auto& [name, text] : units.items()) {
    const auto state = text.get<std::string>();
    if (std::ranges::none_of(known.recorded, [&](const Recorded& one) { return one.kind == Recorded::Kind::unit && one.name == name; }))
      known.recorded.push_back({.kind = Recorded::Kind::unit, .name = name, .existed = true, .content = {}, .value = {},
                                .enabled = state.ends_with(", enabled"), .active = state.starts_with("active,")});
  }
}

void compareWithInventory(Resetting& known, const Value& inventory, host::Host& host) {
  const auto links = host.list("/sys/class/net");
  if (!inventory.is_object()) {
    if (std::ranges::find(links, "kube-ipvs0") != links.end()) known.links.emplace_back("kube-ipvs0");
    return;
  }
  const Value none = Value::object();
  const auto part = [&](const char* name) -> const Value& { return inventory.contains(name) ? inventory[name] : none; };
  for (const auto* name : {"files", "mounts"})
    for (const auto& [path, text] : part(name).items()) known.before.insert(path);
  forgetWhatCameLater(known);
  addUnits(known, part("units"));
  const auto bridges = bridgesOf(host);
  for (const auto& link : links)
    if (!part("links").contains(link) && isOfPodNetwork(link, bridges)) known.links.push_back(link);
  for (const auto& [rule, text] : part("rules").items())
    if (const auto at = rule.rfind(':'); at != std::string::npos && rule.find(" -A ") == std::string::npos) known.chainsBefore.insert(rule.substr(at + 1));
  for (const auto& [name, value] : part("sysctls").items()) {
    const auto now = host.read(sysctlFile(name));
    if (now && trim(*now) != value.get<std::string>()) known.sysctlsBefore[name] = value.get<std::string>();
  }
}

/// Others write /etc/hosts too, before and after: only lines of ours are taken out of what it says now.
void keepEditsOfHosts(Resetting& known, host::Host& host) {
  for (auto& one : known.recorded) {
    const auto now = one.name == paths::hosts && one.content ? host.read(paths::hosts) : std::nullopt;
    if (!now) continue;
    std::string kept;
    for (const auto& line : split(*now, '\n'))
      if (line.find(" # kubestrap: ") == std::string::npos) kept += line + "\n";
    if (now->ends_with('\n')) kept.pop_back(); // what follows the last line's end is none
    if (trim(kept) != trim(one.content->reveal())) one.content = Secret(kept);
  }
}

} // namespace

void lookAtLeavingNode(Setup& setup, World& world) {
  auto& known = setup.request.resetting;
  auto& host = world.host;
  const auto records = Journal::read(host);
  known.recorded = recorded(records, host);
  const auto inventory = known.recorded.empty() ? Value() : Journal::inventory(host);
  known.journal = inventory.is_object() && !isOfANode(inventory);
  known.isNode = !known.recorded.empty() || hasSomethingOfANode(host);
  keepEditsOfHosts(known, host);
  addLeftovers(known, host);
  if (isOfANode(inventory)) forgetFormerNode(known);
  compareWithInventory(known, known.journal ? inventory : Value(), host);
  if (const auto name = nameInCertificate(host); !name.empty()) setup.node.name = name;
  // In the hosted layout nothing but what stands by needs to lie here.
  setup.node.controlPlane = staticPodOf("kube-apiserver", host).has_value() || host.status(paths::standbys).has_value();
  if (const auto pod = staticPodOf("etcd", host)) {
    setup.node.controlPlane = true;
    known.etcdPeerUrl = flagOf(*pod, "initial-advertise-peer-urls");
    if (const auto name = flagOf(*pod, "name"); !name.empty()) setup.node.name = name;
    if (!known.journal) known.etcdData = dataFolderOf(*pod);
  }
  // A member is added before its manifest is written.
  if (known.etcdPeerUrl.empty())
    for (const auto& record : records)
      if (stringAt(record, "kind") == "EtcdMember") known.etcdPeerUrl = stringAt(record, "target.peerUrl");
  if (!known.kubeconfig)
    for (const auto& own : {paths::adminConf, paths::kubeletConf})
      if (!known.kubeconfig && host.status(own)) known.kubeconfig = own;
}

} // namespace kubestrap::plan
