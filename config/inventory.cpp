#include "config/inventory.hpp"

#include "config/audit.hpp"
#include "config/load.hpp"
#include "config/rules.hpp"
#include "config/v1alpha1.hpp"
#include "config/v1beta4_common.hpp"
#include "support/ip.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

namespace kubestrap::config {

namespace schema {

namespace {
constexpr std::string_view since = "v1alpha1";

constexpr std::string_view roles[] = {"control-plane", "worker"};
constexpr std::string_view architectureNames[] = {"amd64", "arm64", "s390x", "ppc64le"};
constexpr Rule role{.choices = roles};

/// What ssh would take for a flag, or its user's shell for something else, is no name.
bool isSshWord(const Value& value) {
  const auto text = value.is_string() ? value.get<std::string>() : std::string();
  return !text.empty() && !text.starts_with('-') && std::ranges::all_of(text, [](char c) { return c > ' ' && c != '\x7f' && std::string_view("'\"`$\\|;&<>(){}").find(c) == std::string_view::npos; });
}
constexpr Rule sshWord{"is not a name that ssh takes", "a host, address or user without spaces and quotes", isSshWord};
} // namespace

// clang-format off: a line is a field
template <>
inline constexpr auto fieldsOf<HostSsh> = std::array{
    field<&HostSsh::host>({.name = "host", .rule = &sshWord, .doc = "What ssh is told to connect to, which may be a name of its own configuration; by itself the address.", .since = since, .unset = Unset::omittedWhenZero}),
    field<&HostSsh::user>({.name = "user", .rule = &sshWord, .doc = "Who to log in as: root, or somebody who may become root by sudo without being asked for a password.", .since = since, .unset = Unset::omittedWhenZero}),
    field<&HostSsh::port>({.name = "port", .rule = &rules::port, .doc = "The port of sshd.", .since = since, .unset = Unset::omittedWhenZero}),
    field<&HostSsh::identityFile>({.name = "identityFile", .doc = "A file with the private key to log in with.", .since = since, .unset = Unset::omittedWhenZero}),
};

template <>
inline constexpr auto fieldsOf<InventorySsh> = std::array{
    field<&InventorySsh::user>({.name = "user", .rule = &sshWord, .doc = "Who to log in as on all machines.", .since = since, .unset = Unset::omittedWhenZero}),
    field<&InventorySsh::port>({.name = "port", .rule = &rules::port, .doc = "The port of sshd on all machines.", .since = since, .unset = Unset::omittedWhenZero}),
    field<&InventorySsh::identityFile>({.name = "identityFile", .doc = "A file with the private key to log in with on all machines.", .since = since, .unset = Unset::omittedWhenZero}),
    field<&InventorySsh::configFile>({.name = "configFile", .doc = "A configuration for ssh in place of the user's own, as ssh -F takes it.", .since = since, .unset = Unset::omittedWhenZero}),
};

template <>
inline constexpr auto fieldsOf<InventoryHost> = std::array{
    field<&InventoryHost::name>({.name = "name", .rule = &rules::dnsSubdomain, .doc = "The node's name.", .since = since, .required = true}),
    field<&InventoryHost::address>({.name = "address", .rule = &rules::ipAddress, .doc = "The address that the node tells others to use; also what ssh connects to, where nothing else is said.", .since = since, .required = true}),
    field<&InventoryHost::role>({.name = "role", .rule = &role, .doc = "What the machine becomes.", .since = since, .required = true}),
    field<&InventoryHost::ssh>({.name = "ssh", .doc = "How this machine is reached, where it differs from the others.", .since = since}),
    field<&InventoryHost::labels>({.name = "labels", .doc = "The Node's labels.", .since = since, .unset = Unset::omittedWhenZero}),
    field<&InventoryHost::taints>({.name = "taints", .doc = "The Node's taints; left out, a control plane gets its usual one; an empty list is none.", .since = since, .type = &config::v1beta4::core::taints}),
};

template <>
inline constexpr auto fieldsOf<InventoryMetadata> = std::array{
    field<&InventoryMetadata::name>({.name = "name", .rule = &rules::dnsSubdomain, .doc = "What the cluster is called here: destroy asks for it.", .since = since, .unset = Unset::omittedWhenZero}),
};

template <>
inline constexpr auto fieldsOf<InventoryArchitecture> = std::array{
    field<&InventoryArchitecture::binary>({.name = "binary", .doc = "The program for these machines, a path from this file's folder.", .since = since, .required = true}),
    field<&InventoryArchitecture::image>({.name = "image", .doc = "kubestrap-image.tar for these machines, a path from this file's folder.", .since = since, .unset = Unset::omittedWhenZero}),
    field<&InventoryArchitecture::bundle>({.name = "bundle", .doc = "The bundle for these machines, a path from this file's folder.", .since = since, .unset = Unset::omittedWhenZero}),
};

template <>
inline constexpr auto fieldsOf<Inventory> = std::array{
    field<&Inventory::metadata>({.name = "metadata", .doc = "What the cluster is called.", .since = since}),
    field<&Inventory::ssh>({.name = "ssh", .doc = "How machines are reached.", .since = since}),
    field<&Inventory::binary>({.name = "binary", .doc = "The program that is brought to the machines, a path from this file's folder; by itself the one that runs.", .since = since, .unset = Unset::omittedWhenZero}),
    field<&Inventory::image>({.name = "image", .doc = "kubestrap-image.tar, a path from this file's folder; by itself the one beside the program, or in /usr/lib/kubestrap, if there is one.", .since = since, .unset = Unset::omittedWhenZero}),
    field<&Inventory::bundle>({.name = "bundle", .doc = "A bundle that is put on the machines before they become nodes, a path from this file's folder.", .since = since, .unset = Unset::omittedWhenZero}),
    field<&Inventory::architectures>({.name = "architectures", .doc = "What is brought in place of these to machines of an architecture: amd64, arm64, s390x or ppc64le.", .since = since, .unset = Unset::omittedWhenZero}),
    field<&Inventory::offline>({.name = "offline", .doc = "Whether the machines may fetch nothing from outside of the cluster.", .since = since, .unset = Unset::omittedWhenZero}),
    field<&Inventory::hosts>({.name = "hosts", .doc = "The machines; the first control plane of the list begins the cluster.", .since = since, .required = true}),
};
// clang-format on

} // namespace schema

const schema::Type clusterInventory{.kind = schema::Kind::record, .fields = schema::fieldsOf<Inventory>, .document = true};

namespace {

using schema::Place;

std::string canonical(const std::string& address) {
  const auto parsed = IpAddress::parse(address);
  return parsed ? parsed->string() : std::string();
}

/// Complains of each that stands there a second time. Places are those of the document, in which an item may also be no mapping.
template <class Key> void once(const Value& hosts, std::string_view member, Key key, const schema::Report& report) {
  std::map<std::string, std::size_t> seen;
  for (std::size_t index = 0; index < hosts.size(); ++index) {
    const std::string value = key(stringAt(hosts[index], member));
    if (value.empty()) continue;
    if (const auto [first, isNew] = seen.try_emplace(value, index); !isNew)
      report.add(Place{}.member("hosts").item(index).member(member), fmt::format("{} is that of hosts[{}], too", value, first->second), "each of them once");
  }
}

Value documentOf(const ClusterFile& file, std::string_view kind) {
  for (const auto& document : file.documents)
    if (stringAt(document.value, "kind") == kind) return document.value;
  return Value::object();
}

bool asksForSelf(const Value& document) { return stringAt(document, "kind") == v1alpha1::kind && stringAt(document, "hosting") == "self"; }

bool isNodeIp(const Value& argument) { return stringAt(argument, "name") == "node-ip"; }

/// As the file says it for all, with what is this machine's own.
Value registration(const ClusterFile& file, const InventoryHost& host) {
  auto own = documentOf(file, "InitConfiguration").value("nodeRegistration", Value::object());
  if (!own.is_object()) own = Value::object();
  own["name"] = host.name;
  if (host.taints) own["taints"] = *host.taints;
  auto& arguments = own["kubeletExtraArgs"];
  if (!arguments.is_array()) arguments = Value::array();
  if (std::ranges::none_of(arguments, isNodeIp)) arguments.push_back({{"name", "node-ip"}, {"value", host.address}});
  return own;
}

/// Where they may ask: the name for all, or else the first control plane.
std::string endpointOf(const ClusterFile& file) {
  const auto named = stringAt(documentOf(file, "ClusterConfiguration"), "controlPlaneEndpoint");
  const auto init = documentOf(file, "InitConfiguration");
  const auto* port = kubestrap::find(init, "localAPIEndpoint.bindPort");
  const int bindPort = port && port->is_number_integer() ? port->get<int>() : 6443;
  if (named.empty()) return joinHostPort(file.first().address, bindPort);
  const auto parts = splitHostPort(named);
  return parts && parts->port ? named : joinHostPort(parts ? parts->host : named, 6443);
}

/// The other documents are held against each other as init would do it.
Setup checkedAsInit(const ClusterFile& file, const RandomBytes& random, std::vector<std::string>& warnings) {
  auto documents = file.documents;
  const auto made = initDocuments(file, file.first());
  for (auto& document : documents)
    for (const auto& value : made)
      if (stringAt(value, "kind") == stringAt(document.value, "kind")) document.value = value;
  if (std::ranges::none_of(documents, [](const Document& each) { return stringAt(each.value, "kind") == "InitConfiguration"; }))
    documents.push_back({made.front(), "the file", {}});
  Facts facts;
  facts.hostname = file.first().name;
  return loadInit(documents, {}, facts, random, warnings);
}

} // namespace

void validateInventory(const Value& document, const schema::Report& report, std::vector<std::string>& warnings) {
  const auto place = Place{}.member("hosts");
  const auto* found = kubestrap::find(document, "hosts");
  const Value hosts = found && found->is_array() ? *found : Value::array();
  once(hosts, "name", [](const std::string& name) { return name; }, report);
  once(hosts, "address", canonical, report);
  const auto controlPlanes = std::ranges::count_if(hosts, [](const Value& host) { return stringAt(host, "role") == "control-plane"; });
  if (const auto* architectures = kubestrap::find(document, "architectures"); architectures && architectures->is_object())
    for (const auto& each : architectures->items())
      if (std::ranges::find(schema::architectureNames, each.key()) == std::end(schema::architectureNames))
        report.add(Place{}.member("architectures").member(each.key()), "is no architecture that is known", fmt::format("one of {}", fmt::join(schema::architectureNames, ", ")));
  if (controlPlanes == 0) report.add(place, "none of them is a control plane", "one host, or three, of role control-plane");
  if (controlPlanes > 0 && controlPlanes % 2 == 0)
    warnings.push_back(fmt::format("{} control planes: etcd stops when {} of them {} lost, as with {}; an odd number bears more", controlPlanes, controlPlanes / 2,
                                   controlPlanes == 2 ? "is" : "are", controlPlanes - 1));
}

Inventory decodeInventory(const Value& document) {
  Inventory decoded;
  schema::get(document, decoded);
  return decoded;
}

Value encodeInventory(const Inventory& inventory) { return schema::put(inventory); }

void resolvePaths(Inventory& inventory, const std::string& folder, const std::string& home) {
  const auto resolve = [&](std::string& path) {
    if (path.starts_with("~/") && !home.empty()) path.replace(0, 1, home);
    else if (!path.empty() && !path.starts_with('~')) path = (std::filesystem::path(folder) / path).string();
  };
  for (auto* path : {&inventory.binary, &inventory.image, &inventory.bundle}) resolve(*path);
  for (auto& [name, each] : inventory.architectures) resolve(each.binary), resolve(each.image), resolve(each.bundle);
  if (inventory.ssh)
    for (auto* path : {&inventory.ssh->identityFile, &inventory.ssh->configFile}) resolve(*path);
  for (auto& host : inventory.hosts)
    if (host.ssh) resolve(host.ssh->identityFile);
}

bool bringsBundle(const Inventory& inventory) {
  return !inventory.bundle.empty() || std::ranges::any_of(inventory.architectures, [](const auto& each) { return !each.second.bundle.empty(); });
}

HostSsh sshOf(const Inventory& inventory, const InventoryHost& host) {
  const auto all = inventory.ssh.value_or(InventorySsh{});
  auto ssh = host.ssh.value_or(HostSsh{});
  if (ssh.host.empty()) ssh.host = host.address;
  if (ssh.user.empty()) ssh.user = all.user;
  if (ssh.port == 0) ssh.port = all.port;
  if (ssh.identityFile.empty()) ssh.identityFile = all.identityFile;
  return ssh;
}

const InventoryHost* ClusterFile::find(std::string_view host) const {
  const auto found = std::ranges::find(inventory.hosts, host, &InventoryHost::name);
  return found == inventory.hosts.end() ? nullptr : &*found;
}

const InventoryHost& ClusterFile::first() const { return *std::ranges::find_if(inventory.hosts, &InventoryHost::controlPlane); }

ClusterFile loadClusterFile(const std::vector<Document>& documents, const RandomBytes& random, std::vector<std::string>& warnings) {
  auto problems = validateDocuments(documents, warnings);
  ClusterFile file;
  const Document* own = nullptr;
  for (const auto& document : documents) {
    const auto kind = document.value.is_object() ? stringAt(document.value, "kind") : "";
    if (kind == inventoryKind) own = &document;
    else file.documents.push_back(document);
    const bool self = kind == v1alpha1::kind && asksForSelf(document.value);
    file.selfHosted = file.selfHosted || self;
    if (self && stringAt(document.value, "layout") == "plain")
      problems.push_back({document.where("/hosting"), "hosting", "self goes with layout hosted only, and the layout here is plain", "leave layout out, or say hosted"});
    if (kind == "JoinConfiguration" || kind == "ResetConfiguration" || kind == "UpgradeConfiguration")
      problems.push_back({document.where("/kind"), "kind", fmt::format("{} has no place beside a {}", kind, inventoryKind), "what the file says of nodes in InitConfiguration, which join goes by as well"});
    for (const auto* member : {"bundle", "offline"})
      if (kind == v1alpha1::kind && document.value.contains(member))
        problems.push_back({document.where(fmt::format("/{}", member)), member, "is of one machine here, and would be the first one's only", fmt::format("{} in the {}, which is of all machines", member, inventoryKind)});
  }
  if (!own)
    problems.push_back({documents.empty() ? "" : documents.front().where(""), "kind", fmt::format("there is no document of kind {}", inventoryKind),
                        fmt::format("apiVersion: {} and kind: {}, with hosts", v1alpha1::apiVersion, inventoryKind)});
  if (!problems.empty()) throw Problems(std::move(problems));
  file.inventory = decodeInventory(own->value);
  const auto setup = checkedAsInit(file, random, warnings);
  if (!stringAt(documentOf(file, "ClusterConfiguration"), "kubernetesVersion").empty()) file.version = setup.cluster.version.tag();
  const auto& metadata = file.inventory.metadata;
  file.name = metadata && !metadata->name.empty() ? metadata->name : stringAt(documentOf(file, "ClusterConfiguration"), "clusterName", "kubernetes");
  file.endpoint = endpointOf(file);
  return file;
}

std::optional<std::vector<Value>> taintsOf(const ClusterFile& file, const InventoryHost& host) {
  if (host.taints) return host.taints;
  const auto init = documentOf(file, "InitConfiguration");
  const auto* taints = kubestrap::find(init, "nodeRegistration.taints");
  if (!taints || !taints->is_array()) return std::nullopt;
  return std::vector<Value>(taints->begin(), taints->end());
}

bool saysNodeIp(const ClusterFile& file) {
  const auto init = documentOf(file, "InitConfiguration");
  const auto* arguments = kubestrap::find(init, "nodeRegistration.kubeletExtraArgs");
  return arguments && arguments->is_array() && std::ranges::any_of(*arguments, isNodeIp);
}

std::vector<Value> settingsDocuments(const ClusterFile& file) {
  std::vector<Value> documents;
  for (const auto& document : file.documents) {
    const auto kind = stringAt(document.value, "kind");
    if (kind != "ClusterConfiguration" && kind != v1alpha1::kind && kind != auditPolicyKind) continue;
    documents.push_back(document.value);
    documents.back().erase("kubernetesVersion");
    documents.back().erase("hosting");
    documents.back().erase("addons");
  }
  return documents;
}

std::optional<Value> addonsDocument(const ClusterFile& file) {
  const auto own = documentOf(file, v1alpha1::kind);
  if (!own.contains("addons") || !own["addons"].is_array()) return std::nullopt;
  return Value{{"apiVersion", v1alpha1::apiVersion}, {"kind", v1alpha1::kind}, {"addons", own["addons"]}};
}

std::vector<Value> initDocuments(const ClusterFile& file, const InventoryHost& host) {
  auto init = documentOf(file, "InitConfiguration");
  init["apiVersion"] = "kubeadm.k8s.io/v1beta4";
  init["kind"] = "InitConfiguration";
  init["localAPIEndpoint"]["advertiseAddress"] = host.address;
  init["nodeRegistration"] = registration(file, host);
  std::vector<Value> documents{std::move(init)};
  for (const auto& document : file.documents) {
    if (stringAt(document.value, "kind") == "InitConfiguration") continue;
    documents.push_back(document.value);
    if (asksForSelf(documents.back()) && !documents.back().contains("layout")) documents.back()["layout"] = "hosted";
    documents.back().erase("hosting"); // which init has a flag for
  }
  return documents;
}

Value joinDocument(const ClusterFile& file, const InventoryHost& host, const Value& discovery, const std::string& certificateKey) {
  const auto init = documentOf(file, "InitConfiguration");
  Value join{{"apiVersion", "kubeadm.k8s.io/v1beta4"}, {"kind", "JoinConfiguration"}, {"nodeRegistration", registration(file, host)}, {"discovery", discovery}};
  for (const auto* member : {"patches", "timeouts"})
    if (const auto* said = kubestrap::find(init, member)) join[member] = *said;
  if (!host.controlPlane()) return join;
  join["controlPlane"]["localAPIEndpoint"]["advertiseAddress"] = host.address;
  if (const auto* port = kubestrap::find(init, "localAPIEndpoint.bindPort")) join["controlPlane"]["localAPIEndpoint"]["bindPort"] = *port;
  if (!certificateKey.empty()) join["controlPlane"]["certificateKey"] = certificateKey;
  return join;
}

} // namespace kubestrap::config
