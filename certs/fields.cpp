#include "certs/fields.hpp"

#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::certs {

namespace {

constexpr std::size_t largest = 1 << 20;
constexpr int deepest = 32;

[[noreturn]] void refuseDocument(std::string_view source, std::string message, std::string expected = {}) {
  throw Problems({{.where = std::string(source), .message = std::move(message), .expected = std::move(expected)}});
}

/// Notices members that stand twice in one object, by Go's idea of the same name.
class Doubles {
public:
  bool sees(int depth, Value::parse_event_t event, const Value& parsed, std::string_view source) {
    if (depth > deepest) refuseDocument(source, fmt::format("is nested deeper than {} levels", deepest));
    if (event == Value::parse_event_t::object_start) names_.emplace_back();
    if (event == Value::parse_event_t::object_end) names_.pop_back();
    if (event == Value::parse_event_t::key && !names_.back().insert(lower(parsed.get<std::string>())).second)
      refuseDocument(source, fmt::format("has the member \"{}\" twice in one object", parsed.get<std::string>()));
    return true;
  }

private:
  std::vector<std::set<std::string>> names_;
};

bool saysNothing(const Value& value) {
  return value.is_null() || (value.is_structured() && value.empty()) || (value.is_string() && value.get_ref<const std::string&>().empty()) ||
         (value.is_boolean() && !value.get<bool>()) || (value.is_number() && value.get<double>() == 0);
}

} // namespace

Value parseStrictJson(std::string_view text, std::string_view source) {
  if (text.size() > largest) refuseDocument(source, fmt::format("is larger than {} octets", largest));
  Doubles doubles;
  try {
    return Value::parse(text, [&](int depth, Value::parse_event_t event, Value& parsed) { return doubles.sees(depth, event, parsed, source); });
  } catch (const nlohmann::json::exception& error) {
    const auto what = withoutWhatWasRead(error.what());
    const auto at = what.find("parse error");
    refuseDocument(source, fmt::format("is not JSON: {}", at == std::string_view::npos ? what : what.substr(at)));
  }
}

Fields::Fields(const Value& object, std::string path, std::string where, std::vector<Problem>& problems)
    : object_(object), path_(std::move(path)), where_(std::move(where)), problems_(problems) {
  if (!object_.is_object()) problems_.push_back({.where = where_, .field = path_, .message = "is not an object", .expected = "{...}"});
}

std::string Fields::path(std::string_view name) const { return path_.empty() ? std::string(name) : fmt::format("{}.{}", path_, name); }

void Fields::problem(std::string_view name, std::string message, std::string expected) {
  problems_.push_back({.where = where_, .field = path(name), .message = std::move(message), .expected = std::move(expected)});
}

std::optional<Duration> Fields::duration(std::string_view name) {
  const auto text = string(name);
  if (text.empty()) return std::nullopt;
  try {
    const auto value = parseDuration(text);
    if (value > Duration::zero()) return value;
    problem(name, "is not a time span of more than nothing", "a duration like 8760h");
  } catch (const Error& error) {
    problem(name, error.message(), "a duration like 8760h");
  }
  return std::nullopt;
}

const Value* Fields::any(std::string_view name) {
  known_.emplace_back(name);
  if (!object_.is_object()) return nullptr;
  for (const auto& [key, value] : object_.items())
    if (lower(key) == lower(name)) {
      taken_.insert(key);
      return value.is_null() ? nullptr : &value;
    }
  return nullptr;
}

std::string Fields::string(std::string_view name, std::string otherwise) {
  const auto* value = any(name);
  if (!value) return otherwise;
  if (value->is_string()) return value->get<std::string>();
  problem(name, "is not a string", "\"...\"");
  return otherwise;
}

int Fields::integer(std::string_view name, int otherwise) {
  const auto* value = any(name);
  if (!value) return otherwise;
  if (value->is_number_integer()) {
    const bool fits = value->is_number_unsigned() ? value->get<std::uint64_t>() <= 1'000'000
                                                  : std::abs(value->get<std::int64_t>()) <= 1'000'000;
    if (fits) return value->get<int>();
  }
  problem(name, "is not a whole number of a sensible size");
  return otherwise;
}

bool Fields::boolean(std::string_view name) {
  const auto* value = any(name);
  if (!value) return false;
  if (value->is_boolean()) return value->get<bool>();
  problem(name, "is not a truth value", "true or false");
  return false;
}

std::vector<std::string> Fields::strings(std::string_view name) {
  std::vector<std::string> found;
  const auto* list = array(name);
  if (!list) return found;
  for (std::size_t i = 0; i < list->size(); ++i) {
    const auto& item = (*list)[i];
    if (item.is_string()) found.push_back(item.get<std::string>());
    else problem(fmt::format("{}[{}]", name, i), "is not a string", "\"...\"");
  }
  return found;
}

const Value* Fields::object(std::string_view name) {
  const auto* value = any(name);
  if (!value || value->is_object()) return value;
  problem(name, "is not an object", "{...}");
  return nullptr;
}

const Value* Fields::array(std::string_view name) {
  const auto* value = any(name);
  if (!value || value->is_array()) return value;
  problem(name, "is not a list", "[...]");
  return nullptr;
}

void Fields::refuse(std::string_view name, std::string_view why) {
  if (const auto* value = any(name); value && !saysNothing(*value)) problem(name, std::string(why), "to be left out");
}

void Fields::done() {
  if (!object_.is_object()) return;
  for (const auto& [key, value] : object_.items()) {
    if (taken_.contains(key)) continue;
    const auto near = nearest(key, known_);
    problem(key, "is not known", near.empty() ? "one of " + join(known_, ", ") : near);
  }
}

} // namespace kubestrap::certs
