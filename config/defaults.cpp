#include "config/defaults.hpp"

#include "config/assemble.hpp"
#include "config/kinds.hpp"
#include "config/versions.hpp"
#include "support/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace kubestrap::config {

namespace {

using schema::Field;
using schema::Kind;
using schema::Type;

// Placeholders, the same as kubeadm prints.
constexpr std::string_view placeholderToken = "abcdef.0123456789abcdef", placeholderAddress = "1.2.3.4";
constexpr std::string_view defaultCriSocket = "unix:///var/run/containerd/containerd.sock";

v1beta4::ClusterConfiguration clusterDefaults() {
  v1beta4::ClusterConfiguration cluster{.kubernetesVersion = defaultVersion().string()};
  v1beta4::applyDefaults(cluster);
  return cluster;
}

// ---- explain

struct Found {
  const DocumentKind* kind = nullptr;
  const Field* field = nullptr; ///< nothing: the kind itself
  std::string path;
};

/// The record in which a field of this type has its own fields, through lists and maps.
const Type* recordOf(const Type* type) {
  while (type && (type->kind == Kind::list || type->kind == Kind::map)) type = type->item;
  return type && type->kind == Kind::record ? type : nullptr;
}

std::vector<std::string> namesIn(const Type& type) {
  std::vector<std::string> names;
  for (const Field& field : type.fields) names.emplace_back(field.name);
  return names;
}

/// Follows the path from a kind as far as it goes.
Found follow(const DocumentKind& kind, std::span<const std::string> path) {
  Found found{.kind = &kind, .path = std::string(kind.kind)};
  const Type* type = kind.type;
  for (const auto& name : path) {
    auto field = type ? std::ranges::find(type->fields, name, &Field::name) : std::span<const Field>::iterator();
    if (!type || field == type->fields.end()) {
      const auto near = type ? nearest(name, namesIn(*type)) : "";
      throw Error(fmt::format("{} has no field \"{}\"", found.path, name),
                  near.empty() ? "" : fmt::format("did you mean \"{}\"?", near), ExitCode::usage);
    }
    found.field = &*field;
    found.path += "." + name;
    type = recordOf(field->type);
  }
  return found;
}

Found lookUp(std::string_view dotted) {
  std::vector<std::string> path = split(dotted, '.');
  std::vector<std::string> candidates;
  for (const DocumentKind& kind : documentKinds()) candidates.emplace_back(kind.kind);
  if (path.empty())
    throw Error("no field is named", fmt::format("name one of {}, or a field of it", fmt::join(candidates, ", ")),
                ExitCode::usage);
  if (const DocumentKind* kind = findKind(path.front())) return follow(*kind, std::span(path).subspan(1));
  for (const DocumentKind& kind : documentKinds()) {
    if (std::ranges::find(kind.type->fields, path.front(), &Field::name) != kind.type->fields.end())
      return follow(kind, path);
    std::ranges::copy(namesIn(*kind.type), std::back_inserter(candidates));
  }
  const auto near = nearest(path.front(), candidates);
  throw Error(fmt::format("no kind and no field of a kind is called \"{}\"", path.front()),
              near.empty() ? "name a kind, like ClusterConfiguration" : fmt::format("did you mean \"{}\"?", near),
              ExitCode::usage);
}

/// What a component's field becomes when the file does not say; of what is left to the component itself nothing.
std::string defaultOf(const Found& found) {
  if (found.kind->reference.empty() || !found.field->otherwise.empty()) return std::string(found.field->otherwise);
  const auto path = std::string_view(found.path).substr(found.kind->kind.size() + 1);
  const Value unset = schema::normalize(Value::object(), *found.kind->type);
  for (const Value& document : componentDefaults()) {
    if (stringAt(document, "kind") != found.kind->kind) continue;
    const Value *filled = find(document, path), *left = find(unset, path);
    if (filled && !filled->is_object() && !(left && *left == *filled)) return filled->is_string() ? filled->get<std::string>() : filled->dump();
  }
  return {};
}

std::string ruleText(const schema::Rule& rule) {
  return rule.choices.empty() ? std::string(rule.expected) : fmt::format("one of {}", fmt::join(rule.choices, ", "));
}

} // namespace

std::vector<Value> initDefaults() {
  v1beta4::InitConfiguration init{
      .bootstrapTokens = {{.token = std::string(placeholderToken)}},
      .nodeRegistration = {.name = "node", .criSocket = std::string(defaultCriSocket)},
      .localAPIEndpoint = {.advertiseAddress = std::string(placeholderAddress)},
  };
  v1beta4::applyDefaults(init);
  return {v1beta4::encode(init), v1beta4::encode(clusterDefaults())};
}

std::vector<Value> componentDefaults() {
  ClusterDocuments documents{.cluster = clusterDefaults()};
  std::vector<std::string> warnings;
  const Cluster cluster =
      assemble(documents, {.version = defaultVersion(), .advertised = *IpAddress::parse(placeholderAddress)}, warnings);
  return {cluster.kubelet.document, cluster.proxy.document};
}

Value joinDefaults(std::string_view nodeName) {
  v1beta4::JoinConfiguration join{
      .nodeRegistration = {.name = std::string(nodeName), .criSocket = std::string(defaultCriSocket)},
      .discovery = {.bootstrapToken = v1beta4::BootstrapTokenDiscovery{.token = std::string(placeholderToken),
                                                                       .apiServerEndpoint = "kube-apiserver:6443",
                                                                       .unsafeSkipCAVerification = true}},
  };
  v1beta4::applyDefaults(join);
  return v1beta4::encode(join);
}

Value resetDefaults() {
  v1beta4::ResetConfiguration reset{.criSocket = std::string(defaultCriSocket)};
  v1beta4::applyDefaults(reset);
  return v1beta4::encode(reset);
}

Value upgradeDefaults() {
  v1beta4::UpgradeConfiguration upgrade;
  v1beta4::applyDefaults(upgrade);
  return v1beta4::encode(upgrade);
}

std::string explain(std::string_view path) {
  const Found found = lookUp(path);
  std::string text = fmt::format("{}  ({})\n", found.path, found.kind->apiVersion);
  if (!found.field) {
    text += fmt::format("  {}\n", found.kind->doc);
  } else {
    const Field& field = *found.field;
    text += fmt::format("  type:    {}\n", schema::describe(*field.type));
    if (const auto otherwise = defaultOf(found); !otherwise.empty()) text += fmt::format("  default: {}\n", otherwise);
    if (field.rule) text += fmt::format("  value:   {}\n", ruleText(*field.rule));
    if (field.required) text += "  must be given\n";
    if (!field.reserved.empty()) text += fmt::format("  reserved: comes with {}\n", field.reserved);
    if (!field.since.empty()) text += fmt::format("  since:   {}\n", field.since);
    if (!field.doc.empty()) text += fmt::format("\n  {}\n", field.doc);
  }
  if (!found.kind->reference.empty())
    text += fmt::format("\n  What it means is the component's to say: {}\n", found.kind->reference);
  const Type* record = found.field ? recordOf(found.field->type) : found.kind->type;
  if (!record || record->fields.empty()) return text;
  text += "\n";
  std::vector<std::vector<std::string>> rows{{"FIELD", "TYPE", "DEFAULT", "MEANING"}};
  for (const Field& field : record->fields)
    rows.push_back(
        {std::string(field.name), schema::describe(*field.type),
         defaultOf({found.kind, &field, found.path + "." + std::string(field.name)}), std::string(field.doc)});
  return text + table(rows);
}

} // namespace kubestrap::config
