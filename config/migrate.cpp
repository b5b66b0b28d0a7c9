#include "config/migrate.hpp"

#include "config/kinds.hpp"
#include "config/v1beta4.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>

namespace kubestrap::config {

namespace {

using schema::Field;
using schema::Kind;
using schema::Type;

constexpr std::string_view v1 = "kubeadm.k8s.io/v1";
constexpr std::string_view kindsOfV1beta3[] = {"InitConfiguration", "ClusterConfiguration", "JoinConfiguration"};

/// A map of arguments that became a list.
struct ArgumentMap {
  std::string_view kind, pointer;
};
constexpr ArgumentMap argumentMaps[] = {
    {"InitConfiguration", "/nodeRegistration/kubeletExtraArgs"},
    {"JoinConfiguration", "/nodeRegistration/kubeletExtraArgs"},
    {"ClusterConfiguration", "/apiServer/extraArgs"},
    {"ClusterConfiguration", "/controllerManager/extraArgs"},
    {"ClusterConfiguration", "/scheduler/extraArgs"},
    {"ClusterConfiguration", "/etcd/local/extraArgs"},
};

/// A field that has moved, perhaps to another document.
struct Move {
  std::string_view kind, from, toKind, to;
};
constexpr Move moves[] = {
    {"ClusterConfiguration", "/apiServer/timeoutForControlPlane", "InitConfiguration", "/timeouts/controlPlaneComponentHealthCheck"},
    {"JoinConfiguration", "/discovery/timeout", "JoinConfiguration", "/timeouts/discovery"},
};

/// A feature gate that became a field.
struct Gate {
  std::string_view name, to, value;
};
constexpr Gate gates[] = {{"PublicKeysECDSA", "/encryptionAlgorithm", "ECDSA-P256"}};

std::string kindOf(const Document& document) { return document.value.is_object() ? stringAt(document.value, "kind") : ""; }
std::string versionOf(const Document& document) { return document.value.is_object() ? stringAt(document.value, "apiVersion") : ""; }

bool contains(const Value& value, const std::string& pointer) {
  try {
    return value.contains(Pointer(pointer));
  } catch (const Value::exception&) {
    return false; // a list on the way: the schema will complain
  }
}

std::string dotted(std::string_view pointer) { return replaceAll(std::string(pointer.substr(1)), "/", "."); }

class Migration {
public:
  Migration(std::vector<Problem>& problems, std::vector<std::string>& warnings) : problems_(problems), warnings_(warnings) {}

  /// From v1beta3. Problems are told with the places of the old document, so they are looked for first.
  void convert(std::vector<Document>& documents, std::size_t index) {
    Document& document = documents[index];
    converted_.push_back(index);
    refuseLaterFields(document, *findKind(kindOf(document))->type, {});
    for (const auto& row : argumentMaps)
      if (row.kind == kindOf(document)) listArguments(document, std::string(row.pointer));
    if (kindOf(document) == "ClusterConfiguration") replaceGates(document);
    document.value["apiVersion"] = std::string(v1beta4::apiVersion);
  }

  /// Takes moved fields out of converted documents, and puts them where they belong now.
  void move(std::vector<Document>& documents) {
    for (const auto& row : moves)
      for (const auto i : converted_)
        if (kindOf(documents[i]) == row.kind && contains(documents[i].value, std::string(row.from))) move(row, i, documents);
  }

  /// From the experimental v1, which only adds how arguments are merged.
  void convertExperimental(Document& document) {
    dropMergeMethods(document, document.value, {});
    document.value["apiVersion"] = std::string(v1beta4::apiVersion);
  }

private:
  void problem(const Document& document, const std::string& pointer, std::string message, std::string expected) {
    problems_.push_back({.where = document.where(pointer), .field = dotted(pointer), .message = std::move(message), .expected = std::move(expected)});
  }

  /// A field that v1beta3 did not have was a typing error then, and is one now.
  void refuseLaterFields(const Document& document, const Type& type, const std::string& pointer) {
    const Value& value = pointer.empty() ? document.value : document.value.at(Pointer(pointer));
    if (type.kind == Kind::list && value.is_array())
      for (std::size_t i = 0; i < value.size(); ++i) refuseLaterFields(document, *type.item, fmt::format("{}/{}", pointer, i));
    if (type.kind != Kind::record || !value.is_object()) return;
    for (const Field& field : type.fields) {
      if (!value.contains(field.name)) continue;
      const std::string at = fmt::format("{}/{}", pointer, field.name);
      if (field.since != "v1beta3")
        problem(document, at, "v1beta3 has no such field", fmt::format("apiVersion: {} for the whole document, or no such field", v1beta4::apiVersion));
      else
        refuseLaterFields(document, *field.type, at);
    }
  }

  void listArguments(Document& document, const std::string& pointer) {
    if (!contains(document.value, pointer)) return;
    Value& arguments = document.value[Pointer(pointer)];
    if (arguments.is_null()) return;
    if (!arguments.is_object()) return problem(document, pointer, "v1beta3 has a mapping here", "names of flags with their values");
    std::map<std::string, Value> byName;
    for (const auto& [name, value] : arguments.items()) byName[name] = value;
    arguments = Value::array();
    for (const auto& [name, value] : byName) {
      const std::string item = fmt::format("{}/{}", pointer, arguments.size());
      document.positions[item] = document.positions[pointer + "/" + replaceAll(replaceAll(name, "~", "~0"), "/", "~1")];
      arguments.push_back({{"name", name}, {"value", value}});
    }
  }

  void replaceGates(Document& document) {
    for (const auto& gate : gates) {
      const std::string at = fmt::format("/featureGates/{}", gate.name), to(gate.to);
      if (!contains(document.value, at)) continue;
      const Value was = document.value[Pointer(at)];
      if (!was.is_boolean()) continue;
      document.value["featureGates"].erase(std::string(gate.name));
      if (document.value["featureGates"].empty()) document.value.erase("featureGates");
      if (was == Value(true)) {
        document.positions[to] = document.positions[at];
        document.value[Pointer(to)] = std::string(gate.value);
      }
      warnings_.push_back(fmt::format("{}: the feature gate {} is gone{}", document.where(at), gate.name,
                                      was == Value(true) ? fmt::format("; {}: {} takes its place", dotted(to), gate.value) : ""));
    }
  }

  void move(const Move& row, std::size_t from, std::vector<Document>& documents) {
    const std::string at(row.from), to(row.to);
    const Position position = documents[from].positions.contains(at) ? documents[from].positions[at] : Position{};
    const std::string where = documents[from].where(at);
    Value& old = documents[from].value[Pointer(at.substr(0, at.rfind('/')))];
    const Value value = old[at.substr(at.rfind('/') + 1)];
    old.erase(at.substr(at.rfind('/') + 1));
    if (value.is_null()) return;
    auto target = std::ranges::find(documents, row.toKind, kindOf);
    if (target == documents.end()) {
      documents.push_back({.value = {{"apiVersion", std::string(v1beta4::apiVersion)}, {"kind", std::string(row.toKind)}},
                           .source = documents[from].source,
                           .positions = {{"", documents[from].positions[""]}}});
      target = documents.end() - 1;
    }
    if (contains(target->value, to)) {
      warnings_.push_back(fmt::format("{}: {} is left out, since {} of {} is given, which takes its place", where, dotted(at), dotted(to), row.toKind));
      return;
    }
    try {
      target->value[Pointer(to)] = value;
      target->positions[to] = position;
    } catch (const Value::exception&) { // something that is no mapping stands on the way, of which the schema complains
    }
  }

  void dropMergeMethods(Document& document, Value& value, const std::string& pointer) {
    if (value.is_object() && value.contains("mergeMethod") && value.contains("name")) {
      if (value["mergeMethod"] == "append" || value["mergeMethod"] == "")
        value.erase("mergeMethod");
      else
        problem(document, pointer + "/mergeMethod", "v1beta4 has no such field",
                "append, which is what v1beta4 does: the argument follows those that it adds to");
    }
    if (value.is_object())
      for (auto& [name, member] : value.items()) dropMergeMethods(document, member, pointer + "/" + name);
    if (value.is_array())
      for (std::size_t i = 0; i < value.size(); ++i) dropMergeMethods(document, value[i], fmt::format("{}/{}", pointer, i));
  }

  std::vector<Problem>& problems_;
  std::vector<std::string>& warnings_;
  std::vector<std::size_t> converted_; ///< which documents are from v1beta3
};

} // namespace

std::vector<Document> migrate(const std::vector<Document>& documents, Experimental experimental, std::vector<Problem>& problems,
                              std::vector<std::string>& warnings) {
  auto migrated = documents;
  Migration migration(problems, warnings);
  for (std::size_t i = 0; i < migrated.size(); ++i) {
    auto& document = migrated[i];
    if (versionOf(document) == v1beta3 && std::ranges::find(kindsOfV1beta3, kindOf(document)) != std::end(kindsOfV1beta3))
      migration.convert(migrated, i);
    else if (versionOf(document) == v1 && experimental == Experimental::accept && findKind(kindOf(document)))
      migration.convertExperimental(document);
  }
  migration.move(migrated);
  return migrated;
}

} // namespace kubestrap::config
