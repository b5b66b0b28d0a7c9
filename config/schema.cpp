#include "config/schema.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace kubestrap::config::schema {

namespace {

constexpr std::size_t shownLength = 60;

std::string inQuotes(std::string_view text) {
  std::string shown(text.substr(0, shownLength));
  return Value(shown).dump(-1, ' ', false, Value::error_handler_t::replace) + (text.size() > shownLength ? "..." : "");
}

/// A value as a message shows it.
std::string shown(const Value& value, Disclosure disclosure) {
  if (disclosure == Disclosure::secret) return "the value (not shown)";
  if (value.is_string()) return inQuotes(value.get_ref<const std::string&>());
  std::string text = value.dump(-1, ' ', false, Value::error_handler_t::replace);
  return text.size() <= shownLength ? text : text.substr(0, shownLength) + "...";
}

std::string_view kindName(const Value& value) {
  switch (value.type()) {
  case Value::value_t::string: return "text";
  case Value::value_t::boolean: return "true or false";
  case Value::value_t::number_integer:
  case Value::value_t::number_unsigned:
  case Value::value_t::number_float: return "a number";
  case Value::value_t::array: return "a list";
  case Value::value_t::object: return "a mapping";
  default: return "null";
  }
}

bool fits(const Value& value, Kind kind) {
  switch (kind) {
  case Kind::text:
  case Kind::duration:
  case Kind::time: return value.is_string();
  case Kind::boolean: return value.is_boolean();
  case Kind::integer: return value.is_number_integer();
  case Kind::number: return value.is_number();
  case Kind::list: return value.is_array();
  case Kind::map:
  case Kind::record: return value.is_object();
  case Kind::any: return true;
  }
  return true;
}

std::string wrongType(const Value& value, Disclosure disclosure) {
  if (value.is_structured()) return fmt::format("{} stands here", kindName(value));
  return fmt::format("{} is {}", shown(value, disclosure), kindName(value));
}

std::string expectedInstead(const Value& value, const Type& type) {
  if (type.kind == Kind::text && value.is_primitive()) return "text; put it in quotes";
  return describe(type);
}

template <class T> bool getParsed(const Value& from, T& to, T (*parse)(std::string_view)) {
  try {
    if (from.is_string()) to = parse(from.get_ref<const std::string&>());
    return from.is_string();
  } catch (const Error&) {
    return false;
  }
}

bool parses(const Value& value, Kind kind) {
  Duration duration{};
  TimePoint time;
  return kind == Kind::duration ? get(value, duration) : kind == Kind::time ? get(value, time) : true;
}

std::string members(const Type& type) {
  std::vector<std::string_view> names;
  for (const Field& field : type.fields) names.push_back(field.name);
  return names.size() <= 4 ? fmt::format(" with {}", fmt::join(names, ", ")) : "";
}

bool among(std::span<const std::string_view> choices, const Value& value) {
  return value.is_string() &&
         std::ranges::find(choices, std::string_view(value.get_ref<const std::string&>())) != choices.end();
}

std::string listed(std::span<const std::string_view> words) { return fmt::format("{}", fmt::join(words, ", ")); }

void checkRule(const Value& value, const Rule& rule, Disclosure disclosure, const Report& report, const Place& place) {
  if (!rule.choices.empty()) {
    if (among(rule.choices, value)) return;
    if (among(rule.unavailable, value))
      return report.add(place,
                        fmt::format("{} is reserved and not available in this version", shown(value, disclosure)),
                        listed(rule.choices));
    return report.add(place, fmt::format("{} is not known", shown(value, disclosure)),
                      fmt::format("{}{}", rule.choices.size() > 1 ? "one of " : "", listed(rule.choices)));
  }
  if (rule.holds && !rule.holds(value))
    report.add(place, fmt::format("{} {}", shown(value, disclosure), rule.complaint), std::string(rule.expected));
}

/// The path at which a field of that name is known below `type`, when there is one: people forget a level.
std::string placeBelow(const Type& type, std::string_view name) {
  for (const Field& field : type.fields) {
    if (!field.type || field.type->kind != Kind::record) continue;
    if (std::ranges::any_of(field.type->fields, [&](const Field& inner) { return inner.name == name; }))
      return std::string(field.name);
    if (auto deeper = placeBelow(*field.type, name); !deeper.empty()) return fmt::format("{}.{}", field.name, deeper);
  }
  return {};
}

std::string unknownField(const Type& type, const std::string& name) {
  std::vector<std::string> names;
  for (const Field& field : type.fields) names.emplace_back(field.name);
  auto sameButCase = std::ranges::find_if(names, [&](const auto& known) { return lower(known) == lower(name); });
  if (auto near = sameButCase != names.end() ? *sameButCase : nearest(name, names); !near.empty())
    return fmt::format("unknown field; did you mean \"{}\"?", near);
  if (auto below = placeBelow(type, name); !below.empty())
    return fmt::format("unknown field; it belongs into \"{}\"", below);
  return "unknown field";
}

void checkRecord(const Value& value, const Type& type, const Report& report, const Place& place) {
  for (const auto& [name, member] : value.items()) {
    if (type.document && (name == "apiVersion" || name == "kind")) continue;
    const Place at = place.member(name);
    auto field = std::ranges::find(type.fields, name, &Field::name);
    if (field == type.fields.end()) {
      std::string message = unknownField(type, name);
      if (report.unknown)
        report.unknown->push_back(fmt::format("{} {}: {}", report.where(at.pointer), at.path, message));
      else
        report.add(at, std::move(message));
      continue;
    }
    if (!field->reserved.empty()) {
      report.add(at, fmt::format("reserved: this field comes with {} and does nothing yet", field->reserved),
                 "no such field");
      continue;
    }
    if (member.is_null() || (member == Value("") && field->type->kind == Kind::text && !field->required)) continue;
    if (!fits(member, field->type->kind)) {
      report.add(at, wrongType(member, field->disclosure), expectedInstead(member, *field->type));
      continue;
    }
    if (!parses(member, field->type->kind)) {
      report.add(at, fmt::format("{} is not {}", shown(member, field->disclosure), describe(*field->type)));
      continue;
    }
    if (field->rule && member.is_primitive()) checkRule(member, *field->rule, field->disclosure, report, at);
    if (field->rule && member.is_array())
      for (std::size_t i = 0; i < member.size(); ++i)
        if (member[i].is_primitive() && fits(member[i], field->type->item->kind))
          checkRule(member[i], *field->rule, field->disclosure, report, at.item(i));
    check(member, *field->type, report, at);
  }
  for (const Field& field : type.fields)
    if (field.required && (!value.contains(field.name) || value.at(std::string(field.name)).is_null()))
      report.add(place.member(field.name), "missing", describe(*field.type));
}

bool isZero(const Value& value) {
  return value.empty() || value == Value(false) || (value.is_number() && value.get<double>() == 0) ||
         value == Value("");
}

Value zeroOf(const Type& type) {
  switch (type.kind) {
  case Kind::text: return "";
  case Kind::boolean: return false;
  case Kind::integer:
  case Kind::number: return 0;
  case Kind::duration: return "0s";
  case Kind::record: return normalize(Value::object(), type);
  default: return nullptr;
  }
}

} // namespace

Place Place::member(std::string_view name) const {
  std::string escaped = replaceAll(replaceAll(std::string(name), "~", "~0"), "/", "~1");
  std::string said(name);
  if (said.size() > shownLength) {
    auto end = shownLength;
    while (end > 0 && (static_cast<unsigned char>(said[end]) & 0xc0) == 0x80) --end; // not within a character
    said.replace(end, said.npos, "...");
  }
  return {pointer + "/" + escaped, path.empty() ? said : path + "." + said};
}

Place Place::item(std::size_t index) const {
  return {pointer + "/" + std::to_string(index), fmt::format("{}[{}]", path, index)};
}

bool get(const Value& from, Duration& to) { return getParsed(from, to, parseDuration); }
bool get(const Value& from, TimePoint& to) { return getParsed(from, to, parseRfc3339); }

void Report::add(const Place& place, std::string message, std::string expected) const {
  problems.push_back({.where = where ? where(place.pointer) : "",
                      .field = place.path,
                      .message = std::move(message),
                      .expected = std::move(expected)});
}

void check(const Value& value, const Type& type, const Report& report, const Place& place) {
  if (!fits(value, type.kind)) return report.add(place, wrongType(value, Disclosure::open), describe(type));
  if (type.kind == Kind::record) return checkRecord(value, type, report, place);
  if (type.kind == Kind::list)
    for (std::size_t i = 0; i < value.size(); ++i) {
      if (!fits(value[i], type.item->kind))
        report.add(place.item(i), wrongType(value[i], Disclosure::open), expectedInstead(value[i], *type.item));
      else
        check(value[i], *type.item, report, place.item(i));
    }
  if (type.kind == Kind::map)
    for (const auto& [key, member] : value.items()) {
      if (member.is_null()) continue;
      if (!fits(member, type.item->kind))
        report.add(place.member(key), wrongType(member, Disclosure::open), expectedInstead(member, *type.item));
      else
        check(member, *type.item, report, place.member(key));
    }
}

Value defaultValue(const Type& type, std::string_view otherwise) {
  switch (type.kind) {
  case Kind::boolean: return otherwise == "true";
  case Kind::integer: return std::stoi(std::string(otherwise));
  case Kind::list: return split(otherwise, ',');
  case Kind::any: return Value::parse(otherwise);
  default: return std::string(otherwise);
  }
}

Value normalize(const Value& document, const Type& type) {
  if (type.kind == Kind::duration && document.is_string())
    return formatDuration(parseDuration(document.get<std::string>()));
  if (type.kind == Kind::list && document.is_array()) {
    Value list = Value::array();
    for (const Value& item : document) list.push_back(normalize(item, *type.item));
    return list;
  }
  if (type.kind != Kind::record || !document.is_object()) return document;
  Value written = document;
  for (const Field& field : type.fields) {
    const std::string name(field.name);
    auto found = written.find(name);
    if (found == written.end() || found->is_null()) {
      if (field.unset == Unset::zero)
        written[name] = field.otherwise.empty() ? zeroOf(*field.type) : defaultValue(*field.type, field.otherwise);
      else if (field.unset == Unset::null)
        written[name] = nullptr;
      else if (found != written.end())
        written.erase(found);
    } else if (field.unset == Unset::omittedWhenZero && isZero(*found)) {
      written.erase(found);
    } else {
      *found = normalize(*found, *field.type);
    }
  }
  return sorted(written);
}

std::string describe(const Type& type) {
  switch (type.kind) {
  case Kind::text: return "text";
  case Kind::boolean: return "true or false";
  case Kind::integer: return "a whole number";
  case Kind::number: return "a number";
  case Kind::duration: return "a duration like 1h30m";
  case Kind::time: return "a time like 2026-11-22T18:46:44Z";
  case Kind::any: return "any value";
  case Kind::map: return fmt::format("a mapping of names to {}", describe(*type.item));
  case Kind::list: break;
  case Kind::record: return "a mapping" + members(type);
  }
  if (type.item->kind == Kind::record) return "a list of mappings" + members(*type.item);
  return "a list of " + describe(*type.item);
}

} // namespace kubestrap::config::schema
