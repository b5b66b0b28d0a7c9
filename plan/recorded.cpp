// The journal read backwards: what has to be undone, and what inventories say of it.
#include "plan/recorded.hpp"

#include "config/paths.hpp"

#include <algorithm>
#include <charconv>
#include <set>

namespace kubestrap::plan {

namespace {

using config::Recorded;

bool isTrue(const Value& record, std::string_view at) {
  const auto* found = find(record, std::string(at));
  return found && found->is_boolean() && found->get<bool>();
}

Recorded fileOrFolder(const Value& record, host::Host& host) {
  Recorded one{.name = stringAt(record, "target.path"), .existed = !record["before"].is_null()};
  if (stringAt(record, "kind") == "Folder")
    one.kind = stringAt(record, "target.content") == "ours" ? Recorded::Kind::data : Recorded::Kind::folder;
  const auto mode = stringAt(record, "before.mode");
  std::from_chars(mode.data(), mode.data() + mode.size(), one.mode, 8);
  if (const auto saved = stringAt(record, "before.saved"); !saved.empty())
    if (auto content = host.read(saved)) one.content = Secret(std::move(*content));
  return one;
}

std::vector<Recorded> recordedBy(const Value& record, host::Host& host) {
  if (const auto kept = stringAt(record, "before.kept"); !kept.empty()) {
    // Without the copy it was not replaced yet.
    if (!host.status(kept)) return {};
    return {{.kind = Recorded::Kind::program, .name = stringAt(record, "target.path"), .existed = true, .content = {}, .value = kept}};
  }
  if (const auto* packages = find(record, "target.packages"); packages && packages->is_array()) {
    std::vector<Recorded> all;
    for (const auto& name : *packages) all.push_back({.kind = Recorded::Kind::package, .name = name.get<std::string>(), .existed = false, .content = {}, .value = {}});
    return all;
  }
  if (!stringAt(record, "target.path").empty()) return {fileOrFolder(record, host)};
  if (const auto unit = stringAt(record, "target.unit"); !unit.empty()) {
    const auto active = stringAt(record, "before.active");
    return {{.kind = Recorded::Kind::unit, .name = unit, .existed = true, .content = {}, .value = {},
             .enabled = isTrue(record, "before.enabled"), .active = active == "active" || active == "activating"}};
  }
  if (const auto sysctl = stringAt(record, "target.sysctl"); !sysctl.empty())
    return {{.kind = Recorded::Kind::sysctl, .name = sysctl, .existed = !record["before"].is_null(), .content = {},
             .value = stringAt(record, "before.value")}};
  std::vector<Recorded> areas;
  if (const auto* swaps = find(record, "before.areas"); swaps && stringAt(record, "kind") == "Swap")
    for (const auto& area : *swaps) areas.push_back({.kind = Recorded::Kind::swap, .name = area.get<std::string>(), .existed = true, .content = {}, .value = {}});
  return areas;
}

} // namespace

std::vector<Recorded> recorded(const std::vector<Value>& records, host::Host& host) {
  std::vector<Recorded> things;
  for (const auto& record : records) {
    if (stringAt(record, "event") != "intent") continue;
    for (auto& one : recordedBy(record, host)) {
      const auto known = std::ranges::find_if(things, [&](const auto& each) { return each.name == one.name && (each.kind == Recorded::Kind::unit) == (one.kind == Recorded::Kind::unit); });
      if (known == things.end()) things.push_back(std::move(one));
      // A folder that was made on the way, and then filled on purpose.
      else if (one.kind == Recorded::Kind::data && known->kind == Recorded::Kind::folder) known->kind = one.kind;
    }
  }
  std::ranges::reverse(things);
  return things;
}

bool isOfANode(const Value& inventory) {
  return inventory.is_object() && inventory.contains("files") && inventory["files"].contains(config::paths::kubeletConf.string());
}

std::vector<Deviation> deviations(const Value& before, const Value& now) {
  std::vector<Deviation> found;
  std::set<std::string> parts;
  for (const auto* each : {&before, &now})
    for (const auto& [part, entries] : each->items()) parts.insert(part);
  for (const auto& part : parts) {
    const auto past = before.contains(part) ? before[part] : Value::object();
    const auto present = now.contains(part) ? now[part] : Value::object();
    for (const auto& [name, text] : past.items())
      if (!present.contains(name)) found.push_back({part, name, text.get<std::string>(), ""});
      else if (present[name] != text) found.push_back({part, name, text.get<std::string>(), present[name].get<std::string>()});
    for (const auto& [name, text] : present.items())
      if (!past.contains(name)) found.push_back({part, name, "", text.get<std::string>()});
  }
  return found;
}

} // namespace kubestrap::plan
