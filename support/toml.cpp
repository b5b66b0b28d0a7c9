#include "support/toml.hpp"

#include "support/text.hpp"

#include <fmt/format.h>

#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

#include <algorithm>
#include <sstream>

namespace kubestrap {

namespace {

Value toValue(const toml::node& node) {
  if (const auto* table = node.as_table()) {
    Value value = Value::object();
    for (const auto& [key, child] : *table) value[std::string(key.str())] = toValue(child);
    return value;
  }
  if (const auto* array = node.as_array()) {
    Value value = Value::array();
    for (const auto& child : *array) value.push_back(toValue(child));
    return value;
  }
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* number = node.as_integer()) return number->get();
  if (const auto* number = node.as_floating_point()) return number->get();
  if (const auto* truth = node.as_boolean()) return truth->get();
  std::ostringstream text;
  if (const auto* date = node.as_date()) text << date->get();
  if (const auto* time = node.as_time()) text << time->get();
  if (const auto* moment = node.as_date_time()) text << moment->get();
  return text.str();
}

using Names = std::vector<std::string>;

/// The names of a line like `[plugins.'io.containerd.cri.v1.images'.pinned_images]`; nothing for any other line.
std::optional<Names> namesOfHeader(std::string_view line) {
  line = trim(line);
  if (!line.starts_with('[') || line.starts_with("[[")) return std::nullopt;
  const auto parsed = toml::parse(line);
  if (!parsed) return std::nullopt;
  Names names;
  const toml::table* table = &parsed.table();
  while (table && !table->empty()) {
    const auto only = table->begin(); // what it points to lives in the iterator
    names.emplace_back(only->first.str());
    table = only->second.as_table();
  }
  return names;
}

bool assigns(std::string_view line, const std::string& key) {
  const auto equals = line.find('=');
  if (equals == line.npos || trim(line).starts_with('#')) return false;
  auto name = trim(line.substr(0, equals));
  if (name.size() > 1 && (name.front() == '"' || name.front() == '\'') && name.back() == name.front())
    name = name.substr(1, name.size() - 2);
  return name == key;
}

std::string literal(const Value& value) { return value.dump(); } // JSON's texts, numbers and truths are TOML's too

std::string indentation(std::string_view line) {
  return std::string(line.substr(0, std::min(line.find_first_not_of(" \t"), line.size())));
}

std::string header(const Names& table) {
  std::vector<std::string> quoted;
  for (const auto& name : table) {
    const bool bare = std::ranges::all_of(
        name, [](char c) { return (std::isalnum(static_cast<unsigned char>(c)) != 0) || c == '_' || c == '-'; });
    quoted.push_back(bare && !name.empty() ? name : Value(name).dump());
  }
  return "[" + join(quoted, ".") + "]";
}

Pointer pointerTo(const Names& table, const std::string& key) {
  Pointer pointer;
  for (const auto& name : table) pointer /= name;
  return pointer / key;
}

/// Puts the line where it belongs, without a look at what the lines mean.
std::string edited(std::string_view text, const Names& table, const std::string& key, const std::string& setting) {
  auto lines = split(text, '\n');
  std::optional<std::size_t> begin;
  for (std::size_t at = 0; at < lines.size(); ++at) {
    if (const auto names = namesOfHeader(lines[at])) {
      if (begin) break;
      if (*names == table) begin = at;
    } else if (begin && assigns(lines[at], key)) {
      lines[at] = indentation(lines[at]) + setting;
      return join(lines, "\n");
    }
  }
  if (begin) {
    lines.insert(lines.begin() + static_cast<std::ptrdiff_t>(*begin) + 1, indentation(lines[*begin]) + "  " + setting);
    return join(lines, "\n");
  }
  const auto* gap = text.empty() ? "" : text.ends_with('\n') ? "\n" : "\n\n";
  return fmt::format("{}{}{}\n  {}\n", text, gap, header(table), setting);
}

} // namespace

std::optional<Value> parseToml(std::string_view text) {
  const auto parsed = toml::parse(text);
  if (!parsed) return std::nullopt;
  return toValue(parsed.table());
}

std::optional<std::string> withTomlSetting(std::string_view text, const std::vector<std::string>& table,
                                           const std::string& key, const Value& value) {
  auto before = parseToml(text);
  if (!before) return std::nullopt;
  const auto at = pointerTo(table, key);
  auto result = edited(text, table, key, fmt::format("{} = {}", key, literal(value)));
  const auto after = parseToml(result);
  try {
    (*before)[at] = value;
  } catch (const Value::exception&) {
    return std::nullopt; // something on the way is no table
  }
  if (!after || sorted(*after) != sorted(*before)) return std::nullopt;
  return result;
}

} // namespace kubestrap
