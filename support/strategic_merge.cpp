#include "support/error.hpp"
#include "support/text.hpp"
#include "support/value.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap {

// Follows k8s.io/apimachinery, util/strategicpatch/patch.go. In place of Go's struct tags there is a table of the lists
// that are merged in the kinds that kubeadm patches: pods (static ones and templates), the kubelet's configuration (it
// has none), and what goes with them.

namespace {
/// A list that is merged in place of being replaced. `within` is the field that the mapping with the list is in, or ""
/// for any.
struct MergedList {
  std::string_view within, field;
  std::string_view key; ///< "": a list of texts, merged as a set
};

constexpr MergedList mergedLists[] = {
    {"metadata", "ownerReferences", "uid"},
    {"metadata", "finalizers", ""},
    {"spec", "containers", "name"},
    {"spec", "initContainers", "name"},
    {"spec", "ephemeralContainers", "name"},
    {"spec", "volumes", "name"},
    {"spec", "imagePullSecrets", "name"},
    {"spec", "hostAliases", "ip"},
    {"spec", "topologySpreadConstraints", "topologyKey"},
    {"spec", "schedulingGates", "name"},
    {"spec", "resourceClaims", "name"},
    {"spec", "ports", "port"}, // of a Service
    {"containers", "env", "name"},
    {"containers", "ports", "containerPort"},
    {"containers", "volumeMounts", "mountPath"},
    {"containers", "volumeDevices", "devicePath"},
    {"status", "conditions", "type"},
};

const MergedList* mergedList(std::string_view within, std::string_view field) {
  bool isContainerList = within == "initContainers" || within == "ephemeralContainers";
  if (isContainerList) within = "containers";
  for (const auto& row : mergedLists)
    if (row.within == within && row.field == field) return &row;
  return nullptr;
}

constexpr const char* patchDirective = "$patch";
constexpr const char* retainKeys = "$retainKeys";
constexpr std::string_view elementOrderPrefix = "$setElementOrder/", deletedPrefix = "$deleteFromPrimitiveList/";

[[noreturn]] void fail(const std::string& field, std::string_view reason) {
  throw Error(fmt::format("strategic merge patch{}: {}", field.empty() ? "" : ", " + field, reason));
}

bool isDirective(std::string_view key) {
  return key == patchDirective || key == retainKeys || key.starts_with(elementOrderPrefix) ||
         key.starts_with(deletedPrefix);
}

enum class Directive { none, merge, replace, remove };

Directive directiveOf(const Value& patch, const std::string& field) {
  auto found = patch.is_object() ? patch.find(patchDirective) : patch.end();
  if (found == patch.end()) return Directive::none;
  if (*found == "merge") return Directive::merge;
  if (*found == "replace") return Directive::replace;
  if (*found == "delete") return Directive::remove;
  fail(field, fmt::format("the directive $patch: {} is unknown", found->dump()));
}

/// "{$patch: replace}" among the items of a list: it speaks of the list.
bool isOnlyDirective(const Value& item) {
  return item.is_object() && item.size() == 1 && item.contains(patchDirective);
}

/// What a patch says of a place that the document does not have: without directives, and without nulls, which mean
/// "remove". Nothing, if the patch removes the value. (Here apimachinery drops a mapping with "$patch: replace", and
/// what is in it; so a patch would not replace what is not there.)
std::optional<Value> plain(const Value& patch, const std::string& field) {
  if (directiveOf(patch, field) == Directive::remove) return {};
  if (patch.is_object()) {
    Value result = Value::object();
    for (const auto& [key, member] : patch.items())
      if (auto value = plain(member, field); value && !member.is_null() && !isDirective(key))
        result[key] = std::move(*value);
    return result;
  }
  if (!patch.is_array()) return patch;
  Value result = Value::array();
  for (const auto& item : patch)
    if (auto value = plain(item, field); value && !isOnlyDirective(item)) result.push_back(std::move(*value));
  return result;
}

/// What tells an item of a merged list from the others.
const Value& identity(const Value& item, const MergedList& list, const std::string& field) {
  if (list.key.empty()) return item;
  if (!item.is_object()) fail(field, "an item is not a mapping");
  auto found = item.find(std::string(list.key));
  if (found == item.end()) fail(field, fmt::format("an item lacks \"{}\", by which the list is merged", list.key));
  return *found;
}

std::optional<std::size_t> indexOf(const Value& wanted, const Value& items, const MergedList& list,
                                   const std::string& field) {
  for (std::size_t i = 0; i < items.size(); ++i)
    if (identity(items[i], list, field) == wanted) return i;
  return {};
}

/// Orders a merged list: items that `leading` names in its order, the others in that of the `original`, both
/// interleaved as far as the original tells how. New items come before those that only the document has, as kubectl's
/// users know it.
Value ordered(const Value& items, const Value& leading, const Value& original, const MergedList& list,
              const std::string& field) {
  std::vector<Value> led, others;
  for (const auto& item : items)
    (indexOf(identity(item, list, field), leading, list, field) ? led : others).push_back(item);
  auto sortBy = [&](std::vector<Value>& sortedItems, const Value& order) {
    auto place = [&](const Value& item) {
      return indexOf(identity(item, list, field), order, list, field).value_or(order.size());
    };
    std::stable_sort(sortedItems.begin(), sortedItems.end(),
                     [&](const Value& a, const Value& b) { return place(a) < place(b); });
  };
  sortBy(led, leading);
  sortBy(others, original);

  Value result = Value::array();
  auto otherItem = others.begin();
  for (auto& item : led) {
    auto place = indexOf(identity(item, list, field), original, list, field);
    for (; place && otherItem != others.end(); ++otherItem) {
      auto otherPlace = indexOf(identity(*otherItem, list, field), original, list, field);
      if (!otherPlace || *otherPlace > *place) break;
      result.push_back(std::move(*otherItem));
    }
    result.push_back(std::move(item));
  }
  for (; otherItem != others.end(); ++otherItem) result.push_back(std::move(*otherItem));
  return result;
}

Value mergeMapping(Value original, Value patch, std::string_view within, const std::string& field);

Value mergeTexts(const Value& original, const Value& patch, const MergedList& list, const std::string& field) {
  Value merged = original;
  for (const auto& item : patch) {
    if (item.is_structured()) fail(field, "an item is no plain value");
    if (!indexOf(item, merged, list, field)) merged.push_back(item);
  }
  return ordered(merged, patch, original, list, field);
}

Value mergeItems(Value original, const Value& patch, const MergedList& list, const std::string& field) {
  Value changes = Value::array();
  bool replaces = false;
  for (const auto& item : patch) {
    if (!item.is_object()) fail(field, "an item is not a mapping");
    auto directive = directiveOf(item, field);
    if (directive == Directive::remove) {
      while (auto index = indexOf(identity(item, list, field), original, list, field)) original.erase(*index);
    } else if (directive == Directive::replace) {
      replaces = true;
    } else if (!isOnlyDirective(item)) {
      changes.push_back(item);
    }
  }
  if (replaces) return plain(changes, field).value();

  Value merged = original;
  for (const auto& item : changes) {
    auto index = indexOf(identity(item, list, field), merged, list, field);
    if (index)
      merged[*index] = mergeMapping(merged[*index], item, list.field, field);
    else
      merged.push_back(plain(item, field).value());
  }
  return ordered(merged, changes, original, list, field);
}

Value mergeList(const Value& original, const Value& patch, std::string_view within, const std::string& name,
                const std::string& field) {
  const auto* list = mergedList(within, name);
  if (!list) return plain(patch, field).value();
  return list->key.empty() ? mergeTexts(original, patch, *list, field) : mergeItems(original, patch, *list, field);
}

/// "$retainKeys: [a, b]" drops all other members of the document.
void retainOnly(Value& original, Value& patch, const std::string& field) {
  auto directive = patch.find(retainKeys);
  if (directive == patch.end()) return;
  Value kept = std::move(*directive);
  patch.erase(retainKeys);
  auto isKept = [&](const std::string& key) { return std::find(kept.begin(), kept.end(), Value(key)) != kept.end(); };
  if (!kept.is_array()) fail(field, "$retainKeys is not a list");
  for (const auto& [key, member] : patch.items())
    if (!member.is_null() && !isDirective(key) && !isKept(key))
      fail(field, fmt::format("$retainKeys does not name \"{}\", which the patch sets", key));
  Value result = Value::object();
  for (auto& [key, member] : original.items())
    if (isKept(key)) result[key] = std::move(member);
  original = std::move(result);
}

/// The patch's items must stand in the order that it asks for.
void checkElementOrder(const Value& items, const Value& order, const MergedList& list, const std::string& field) {
  std::size_t next = 0;
  for (const auto& item : items) {
    if (item.is_object() && item.contains(patchDirective)) continue;
    const auto& wanted = identity(item, list, field);
    while (next < order.size() && identity(order[next], list, field) != wanted) ++next;
    if (next++ >= order.size()) fail(field, "the items' order does not fit $setElementOrder");
  }
}

/// "$setElementOrder/containers: [...]", together with the patch's list of that name.
void mergeInOrder(Value& original, Value& patch, const std::string& directive, std::string_view within,
                  const std::string& field) {
  auto name = directive.substr(elementOrderPrefix.size());
  auto listField = field.empty() ? name : field + '.' + name;
  Value order = patch.at(directive);
  patch.erase(directive);
  bool inOriginal = original.contains(name), inPatch = patch.contains(name);
  if (!order.is_array()) fail(listField, "$setElementOrder is not a list");
  if ((inOriginal && !original[name].is_array()) || (inPatch && !patch[name].is_array()))
    fail(listField, "$setElementOrder is given for something that is no list");
  if (!inOriginal && !inPatch) return;

  constexpr MergedList replaced{"", "", ""};
  const auto* merged = mergedList(within, name);
  const auto& list = merged ? *merged : replaced;
  Value before = inOriginal ? original[name] : Value::array(), items = inPatch ? patch[name] : Value::array();
  if (!order.empty()) checkElementOrder(items, order, list, listField);
  Value result = !inPatch      ? before
                 : !inOriginal ? plain(items, listField).value()
                               : mergeList(before, items, within, name, listField);
  original[name] = ordered(result, order, before, list, listField);
  patch.erase(name);
}

void deleteTexts(Value& original, const Value& deleted, const std::string& name, const std::string& field) {
  if (!deleted.is_array()) fail(field, "$deleteFromPrimitiveList is not a list");
  auto found = original.find(name);
  if (found == original.end() || !found->is_array()) return;
  Value kept = Value::array();
  for (auto& item : *found)
    if (std::find(deleted.begin(), deleted.end(), item) == deleted.end()) kept.push_back(std::move(item));
  *found = std::move(kept);
}

Value mergeMapping(Value original, Value patch, std::string_view within, const std::string& field) {
  auto directive = directiveOf(patch, field);
  if (directive == Directive::replace) return plain(patch, field).value();
  if (directive == Directive::remove) return Value::object();
  patch.erase(patchDirective);
  retainOnly(original, patch, field);
  std::vector<std::string> orders;
  for (const auto& [key, member] : patch.items())
    if (key.starts_with(elementOrderPrefix)) orders.push_back(key);
  for (const auto& order : orders) mergeInOrder(original, patch, order, within, field);

  for (const auto& [key, member] : patch.items()) {
    auto memberField = field.empty() ? key : field + '.' + key;
    if (key.starts_with(deletedPrefix)) {
      deleteTexts(original, member, key.substr(deletedPrefix.size()), memberField);
      continue;
    }
    auto found = original.find(key);
    if (member.is_null()) {
      original.erase(key);
    } else if (found != original.end() && found->is_object() && member.is_object()) {
      *found = mergeMapping(std::move(*found), member, key, memberField);
    } else if (found != original.end() && found->is_array() && member.is_array()) {
      *found = mergeList(*found, member, within, key, memberField);
    } else if (auto value = plain(member, memberField)) {
      original[key] = std::move(*value);
    } else {
      original.erase(key);
    }
  }
  return original;
}
} // namespace

Value applyStrategicMergePatch(const Value& document, const Value& patch) {
  if (!document.is_object() || !patch.is_object()) fail("", "the document and the patch have to be mappings");
  return mergeMapping(document, patch, "", "");
}

} // namespace kubestrap
