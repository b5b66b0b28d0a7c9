#include "plan/declared.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace kubestrap::plan {

namespace {

/// The item of a list that has the members of `key`, as fieldsV1 names items: k:{"name":"etcd"}.
std::optional<std::size_t> itemWith(const Value& list, const Value& key) {
  if (!list.is_array() || !key.is_object()) return std::nullopt;
  const auto found = std::find_if(list.begin(), list.end(), [&](const Value& item) { return item.is_object() && covers(item, key); });
  if (found == list.end()) return std::nullopt;
  return static_cast<std::size_t>(found - list.begin());
}

/// What an apply of ours owns of `live`, at `place` of the object, and `wanted` lacks.
void collectUnwanted(const Value& owned, const Value& live, const Value& wanted, const Place& place, std::vector<Place>& unwanted) {
  for (const auto& [key, inner] : owned.items()) {
    const auto name = key.size() > 2 ? key.substr(2) : std::string();
    if (key.starts_with("f:") && wanted.is_object() && live.is_object() && live.contains(name)) {
      const Place member{place.at / name, place.dotted.empty() ? name : place.dotted + "." + name};
      if (!wanted.contains(name)) unwanted.push_back(member);
      else collectUnwanted(inner, live[name], wanted[name], member, unwanted);
    } else if (key.starts_with("k:")) {
      // A whole item that is not wanted any more shows in the length of its list.
      const auto id = Value::parse(name, nullptr, false);
      const auto there = itemWith(live, id), here = itemWith(wanted, id);
      if (there && here)
        collectUnwanted(inner, live[*there], wanted[*here], {place.at / *there, fmt::format("{}[{}]", place.dotted, *there)}, unwanted);
    }
  }
}

/// The item of `wanted` that a live item is held against: the one of its name, or else of its place.
const Value* partner(const Value& live, const Value& wanted, std::size_t index) {
  if (const auto name = stringAt(live, "name"); !name.empty()) {
    const auto found = std::find_if(wanted.begin(), wanted.end(), [&](const Value& each) { return stringAt(each, "name") == name; });
    return found == wanted.end() ? nullptr : &*found;
  }
  return index < wanted.size() ? &wanted[index] : nullptr;
}

Value projected(const Value& live, const Value& wanted) {
  if (covers(live, wanted)) return wanted;
  if (live.is_object() && wanted.is_object()) {
    Value members = Value::object();
    for (const auto& [key, value] : wanted.items())
      if (live.contains(key)) members[key] = projected(live[key], value);
      else if (covers(Value(), value)) members[key] = value; // the server leaves out what is empty
    return members;
  }
  if (live.is_array() && wanted.is_array()) {
    Value items = Value::array();
    for (std::size_t i = 0; i < live.size(); ++i) {
      const auto* other = partner(live[i], wanted, i);
      items.push_back(other ? projected(live[i], *other) : live[i]);
    }
    return items;
  }
  return live;
}

} // namespace

std::vector<Place> ownedButUnwanted(const Value& live, const Value& wanted) {
  std::vector<Place> unwanted;
  const auto* entries = find(live, "metadata.managedFields");
  if (!entries || !entries->is_array()) return unwanted;
  for (const auto& entry : *entries)
    if (stringAt(entry, "manager") == "kubestrap" && stringAt(entry, "operation") == "Apply" && entry.contains("fieldsV1"))
      collectUnwanted(entry["fieldsV1"], live, wanted, {Pointer(), ""}, unwanted);
  return unwanted;
}

Value asDeclared(const Value& live, const Value& wanted) {
  auto document = projected(live, wanted);
  for (const auto& place : ownedButUnwanted(live, wanted))
    document[place.at] = live.at(place.at);
  return document;
}

} // namespace kubestrap::plan
