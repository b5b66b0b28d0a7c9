#include "tests/fakes/managed_fields.hpp"

#include <algorithm>
#include <tuple>

namespace kubestrap::fakes {

namespace {

/// The members by which items of a list are told apart; empty for a list that is one value.
std::vector<std::string> keysOf(std::string_view list, const Value& items) {
  if (items.empty() || !items.front().is_object()) return {};
  if (list == "f:containers" || list == "f:initContainers" || list == "f:volumes" || list == "f:env" ||
      list == "f:imagePullSecrets")
    return {"name"};
  if (list == "f:volumeMounts") return {"mountPath"};
  if (list == "f:conditions") return {"type"};
  if (list == "f:ports" && items.front().contains("containerPort")) return {"containerPort", "protocol"};
  if (list == "f:ports" && items.front().contains("targetPort")) return {"port", "protocol"};
  return {};
}

std::string itemKey(const Value& item, const std::vector<std::string>& keys) {
  Value key = Value::object();
  for (const std::string& name : keys)
    if (item.contains(name))
      key[name] = item[name];
    else if (name == "protocol")
      key[name] = "TCP";
  return "k:" + key.dump();
}

bool isOwnable(const FieldPath& path) {
  if (path.size() == 1) return path[0] != "f:apiVersion" && path[0] != "f:kind" && path[0] != "f:status";
  if (path.size() != 2 || path[0] != "f:metadata") return true;
  static const std::set<std::string> systems = {
      "f:name",       "f:namespace",         "f:uid",      "f:resourceVersion",
      "f:generation", "f:creationTimestamp", "f:selfLink", "f:managedFields"};
  return !systems.contains(path[1]);
}

void collect(const Value& value, FieldPath& path, FieldSet& fields) {
  if (!path.empty() && !isOwnable(path)) return;
  if (value.is_object() && !value.empty()) {
    for (const auto& [name, member] : value.items()) {
      path.push_back("f:" + name);
      collect(member, path, fields);
      path.pop_back();
    }
    return;
  }
  if (const auto keys = value.is_array() ? keysOf(path.back(), value) : std::vector<std::string>(); !keys.empty()) {
    for (const Value& item : value) {
      path.push_back(itemKey(item, keys));
      path.push_back(".");
      fields.insert(path);
      path.pop_back();
      collect(item, path, fields);
      path.pop_back();
    }
    return;
  }
  if (!path.empty()) fields.insert(path);
}

Value* step(Value& from, const std::string& list, const std::string& element) {
  if (element == ".") return &from;
  if (element.starts_with("f:")) {
    if (!from.is_object()) return nullptr;
    const auto member = from.find(element.substr(2));
    return member == from.end() ? nullptr : &*member;
  }
  if (!from.is_array()) return nullptr;
  const auto keys = keysOf(list, from);
  const auto item =
      std::find_if(from.begin(), from.end(), [&](const Value& each) { return itemKey(each, keys) == element; });
  return item == from.end() ? nullptr : &*item;
}

const Value* at(const Value& document, const FieldPath& path) {
  auto* found = const_cast<Value*>(&document);
  for (std::size_t i = 0; i < path.size() && found; ++i) found = step(*found, i ? path[i - 1] : "", path[i]);
  return found;
}

/// Removes the leaf, and the mappings that become empty by it.
void erase(Value& from, const FieldPath& path, std::size_t depth = 0) {
  if (path[depth] == ".") return;
  Value* inner = step(from, depth ? path[depth - 1] : "", path[depth]);
  if (!inner) return;
  const bool last = depth + 1 == path.size() || path[depth + 1] == ".";
  if (!last) erase(*inner, path, depth + 1);
  if (!last && !(inner->empty() && (inner->is_object() || inner->is_array()))) return;
  if (from.is_object())
    from.erase(path[depth].substr(2));
  else
    from.erase(static_cast<std::size_t>(inner - &from[0]));
}

void merge(Value& live, const Value& wanted, const std::string& list) {
  if (live.is_object() && wanted.is_object()) {
    for (const auto& [name, value] : wanted.items()) {
      if (live.contains(name))
        merge(live[name], value, "f:" + name);
      else
        live[name] = value;
    }
    return;
  }
  const auto keys = live.is_array() && wanted.is_array() ? keysOf(list, wanted) : std::vector<std::string>();
  if (keys.empty()) {
    live = wanted;
    return;
  }
  for (const Value& item : wanted) {
    if (Value* there = step(live, list, itemKey(item, keys)))
      merge(*there, item, "");
    else
      live.push_back(item);
  }
}

std::string readable(const FieldPath& path) {
  std::string text;
  for (const std::string& element : path)
    if (element.starts_with("f:"))
      text += "." + element.substr(2);
    else if (element.starts_with("k:"))
      text += "[" + element.substr(2) + "]";
  return text;
}

Manager& managerNamed(std::vector<Manager>& managers, const std::string& name, Manager::Operation operation) {
  for (Manager& each : managers)
    if (each.name == name && each.operation == operation) return each;
  managers.push_back({.name = name, .operation = operation});
  return managers.back();
}

void dropIdle(std::vector<Manager>& managers) {
  std::erase_if(managers, [](const Manager& each) { return each.fields.empty(); });
}

bool sameAt(const Value& a, const Value& b, const FieldPath& path) {
  const Value* left = at(a, path);
  const Value* right = at(b, path);
  return left && right && (path.back() == "." || sameDocument(*left, *right));
}

} // namespace

FieldSet fieldsOf(const Value& document) {
  FieldSet fields;
  FieldPath path;
  collect(document, path, fields);
  return fields;
}

Applied serverSideApply(const Value& live, std::vector<Manager> managers, const Value& wanted,
                        const std::string& manager, bool force, const std::string& time) {
  Applied result{.document = live, .managers = std::move(managers)};
  const FieldSet fields = fieldsOf(wanted);
  const FieldSet before = managerNamed(result.managers, manager, Manager::Operation::apply).fields;

  for (const Manager& other : result.managers) {
    if (other.name == manager && other.operation == Manager::Operation::apply) continue;
    for (const FieldPath& path : fields)
      if (other.fields.contains(path) && !sameAt(live, wanted, path) && !force)
        result.conflicts.push_back({other.name, readable(path)});
  }
  if (!result.conflicts.empty()) return result;

  for (Manager& other : result.managers) {
    if (other.name == manager && other.operation == Manager::Operation::apply) continue;
    std::erase_if(other.fields,
                  [&](const FieldPath& path) { return fields.contains(path) && !sameAt(live, wanted, path); });
  }
  for (const FieldPath& path : before) {
    if (fields.contains(path)) continue;
    const bool shared = std::any_of(result.managers.begin(), result.managers.end(), [&](const Manager& other) {
      return !(other.name == manager && other.operation == Manager::Operation::apply) && other.fields.contains(path);
    });
    if (!shared) erase(result.document, path);
  }
  merge(result.document, wanted, "");
  Manager& own = managerNamed(result.managers, manager, Manager::Operation::apply);
  if (own.fields != fields || !sameDocument(live, result.document)) own.time = time;
  own.fields = fields;
  dropIdle(result.managers);
  return result;
}

std::vector<Manager> managersAfterUpdate(const Value& before, const Value& after, std::vector<Manager> managers,
                                         const std::string& manager, const std::string& time) {
  FieldSet changed;
  for (const FieldPath& path : fieldsOf(after))
    if (!sameAt(before, after, path)) changed.insert(path);
  for (Manager& each : managers)
    std::erase_if(each.fields, [&](const FieldPath& path) { return changed.contains(path) || !at(after, path); });
  if (!changed.empty()) {
    Manager& own = managerNamed(managers, manager, Manager::Operation::update);
    own.fields.merge(changed);
    own.time = time;
  }
  dropIdle(managers);
  return managers;
}

Value managedFields(const std::vector<Manager>& managers, const std::string& apiVersion) {
  Value entries = Value::array();
  auto ordered = managers;
  std::stable_sort(ordered.begin(), ordered.end(), [](const Manager& a, const Manager& b) {
    return std::tie(a.operation, a.time, a.name) < std::tie(b.operation, b.time, b.name);
  });
  for (const Manager& each : ordered) {
    Value fields = Value::object();
    for (const FieldPath& path : each.fields) {
      Value* place = &fields;
      for (const std::string& element : path) {
        place = &(*place)[element];
        if (place->is_null()) *place = Value::object();
      }
    }
    entries.push_back({{"manager", each.name},
                       {"operation", each.operation == Manager::Operation::apply ? "Apply" : "Update"},
                       {"apiVersion", apiVersion},
                       {"time", each.time},
                       {"fieldsType", "FieldsV1"},
                       {"fieldsV1", std::move(fields)}});
  }
  return entries;
}

} // namespace kubestrap::fakes
