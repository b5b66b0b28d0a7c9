#include "support/value.hpp"

#include "support/error.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

template class nlohmann::basic_json<nlohmann::ordered_map>;

namespace kubestrap {

namespace {
std::optional<std::size_t> parseIndex(std::string_view text) {
  std::size_t index = 0;
  if (text.empty() || (text.size() > 1 && text.front() == '0')) return {};
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), index);
  if (error != std::errc() || end != text.data() + text.size()) return {};
  return index;
}

const Value* child(const Value& parent, const std::string& name) {
  if (parent.is_object()) {
    auto member = parent.find(name);
    return member == parent.end() ? nullptr : &*member;
  }
  auto index = parent.is_array() ? parseIndex(name) : std::nullopt;
  return index && *index < parent.size() ? &parent[*index] : nullptr;
}
} // namespace

const Value* find(const Value& document, std::string_view dottedPath) {
  const Value* found = &document;
  for (const auto& name : split(dottedPath, '.')) {
    found = child(*found, name);
    if (!found) return nullptr;
  }
  return found;
}

std::string stringAt(const Value& document, std::string_view dottedPath, std::string otherwise) {
  const Value* found = find(document, dottedPath);
  return found && found->is_string() ? found->get<std::string>() : otherwise;
}

bool sameDocument(const Value& a, const Value& b) {
  if (a.is_object() && b.is_object()) {
    return a.size() == b.size() && std::all_of(a.items().begin(), a.items().end(), [&](const auto& member) {
             auto other = b.find(member.key());
             return other != b.end() && sameDocument(member.value(), *other);
           });
  }
  if (a.is_array() && b.is_array()) return std::equal(a.begin(), a.end(), b.begin(), b.end(), sameDocument);
  return a == b; // compares numbers by value: 1 is 1.0
}

namespace {
/// What the API server leaves out when it is given.
bool isNothing(const Value& value) {
  return value.is_null() || ((value.is_object() || value.is_array()) && value.empty());
}

/// Collects where `found` (nullptr: absent) does not cover `wanted`, until there are `limit` places.
void compare(const Value* found, const Value& wanted, const std::string& path, std::size_t limit,
             std::vector<std::string>& places) {
  if (places.size() >= limit || wanted.is_null()) return;
  if (!found || found->is_null()) {
    if (!isNothing(wanted)) places.push_back(path);
  } else if (wanted.is_object() && found->is_object()) {
    for (const auto& [key, value] : wanted.items())
      compare(child(*found, key), value, path.empty() ? key : path + '.' + key, limit, places);
  } else if (wanted.is_array() && found->is_array() && wanted.size() == found->size()) {
    for (std::size_t i = 0; i < wanted.size(); ++i)
      compare(&(*found)[i], wanted[i], fmt::format("{}[{}]", path, i), limit, places);
  } else if (*found != wanted) {
    places.push_back(path.empty() ? "." : path);
  }
}
} // namespace

bool covers(const Value& found, const Value& wanted) { return differences(found, wanted, 1).empty(); }

std::vector<std::string> differences(const Value& found, const Value& wanted, std::size_t limit) {
  std::vector<std::string> places;
  compare(&found, wanted, "", limit, places);
  return places;
}

namespace {
bool isDigit(char c) { return c >= '0' && c <= '9'; }
bool isLetter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || static_cast<unsigned char>(c) >= 0x80;
}

/// The order of keys in YAML that Go wrote (go-yaml: sorter.go): letters come after everything else, and numbers count
/// as such, so "n2" stands before "n10".
bool comesBefore(std::string_view a, std::string_view b) {
  auto difference = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  if (difference.first == a.end() || difference.second == b.end()) return a.size() < b.size();
  auto at = static_cast<std::size_t>(difference.first - a.begin());
  if (isLetter(a[at]) && isLetter(b[at])) return static_cast<unsigned char>(a[at]) < static_cast<unsigned char>(b[at]);
  if (isLetter(a[at]) || isLetter(b[at])) return isLetter(b[at]);

  // A zero that is not the first digit of its number makes it longer, not smaller.
  std::uint64_t aNumber = 0, bNumber = 0;
  if (a[at] == '0' || b[at] == '0')
    for (auto i = at; i > 0 && isDigit(a[i - 1]); --i)
      if (a[i - 1] != '0') aNumber = bNumber = 1;
  auto aEnd = at, bEnd = at;
  for (; aEnd < a.size() && isDigit(a[aEnd]); ++aEnd)
    aNumber = aNumber * 10 + static_cast<std::uint64_t>(a[aEnd] - '0');
  for (; bEnd < b.size() && isDigit(b[bEnd]); ++bEnd)
    bNumber = bNumber * 10 + static_cast<std::uint64_t>(b[bEnd] - '0');
  if (aNumber != bNumber) return aNumber < bNumber;
  if (aEnd != bEnd) return aEnd < bEnd;
  return a[at] < b[at];
}
} // namespace

void dropNulls(Value& value) {
  if (value.is_array())
    for (auto& item : value) dropNulls(item);
  if (!value.is_object()) return;
  for (auto member = value.begin(); member != value.end();) {
    if (member->is_null()) member = value.erase(member);
    else dropNulls(*member++);
  }
}

Value sorted(const Value& document) {
  if (document.is_array()) {
    Value result = Value::array();
    for (const auto& item : document) result.push_back(sorted(item));
    return result;
  }
  if (!document.is_object()) return document;
  std::vector<std::pair<std::string_view, const Value*>> members;
  for (const auto& [key, value] : document.get_ref<const Value::object_t&>()) members.emplace_back(key, &value);
  // Stable: Go's order has circles (a2, a10, a1x), which std::sort must not meet.
  std::stable_sort(members.begin(), members.end(),
                   [](const auto& a, const auto& b) { return comesBefore(a.first, b.first); });
  Value result = Value::object();
  auto& target = result.get_ref<Value::object_t&>();
  for (const auto& [key, value] : members) target.emplace_back(std::string(key), sorted(*value));
  return result;
}

namespace {
/// One operation of a JSON patch. Written by hand, because nlohmann's own `test` would compare the order of keys.
class JsonPatchOperation {
public:
  JsonPatchOperation(const Value& operation, std::size_t number) : operation_(operation), number_(number) {
    if (!operation.is_object()) fail("it is not a mapping");
    name_ = text("op");
    path_ = text("path");
  }

  void apply(Value& document) const {
    if (name_ == "add") return add(document, path_, value());
    if (name_ == "remove") return remove(document, path_);
    if (name_ == "replace") return void(*target(document, path_) = value());
    if (name_ == "test") return test(document);
    if (name_ != "move" && name_ != "copy") fail("its operation is unknown");
    auto from = text("from");
    if (name_ == "move" && path_.starts_with(from + '/')) fail("a value cannot be moved into itself");
    Value moved = *target(document, from);
    if (name_ == "move") remove(document, from);
    add(document, path_, moved);
  }

private:
  const Value& operation_;
  std::size_t number_;
  std::string name_, path_;

  [[noreturn]] void fail(std::string_view reason) const {
    auto what = name_.empty() ? std::string() : fmt::format(" ({} {})", name_, path_);
    throw Error(fmt::format("JSON patch, operation {}{}: {}", number_, what, reason));
  }

  std::string text(const char* member) const {
    auto found = operation_.find(member);
    if (found == operation_.end() || !found->is_string()) fail(fmt::format("\"{}\" is missing", member));
    return *found;
  }

  const Value& value() const {
    auto found = operation_.find("value");
    if (found == operation_.end()) fail("\"value\" is missing");
    return *found;
  }

  std::vector<std::string> tokens(const std::string& path) const {
    if (path.empty()) return {};
    if (path[0] != '/') fail(fmt::format("the path \"{}\" does not start with a slash", path));
    auto tokens = split(std::string_view(path).substr(1), '/');
    if (tokens.empty()) tokens.emplace_back(); // "/" names the empty key
    for (auto& token : tokens) token = replaceAll(replaceAll(token, "~1", "/"), "~0", "~");
    return tokens;
  }

  Value* walk(Value& document, std::span<const std::string> tokens) const {
    const Value* place = &document;
    for (const auto& token : tokens) {
      place = child(*place, token);
      if (!place) fail(fmt::format("there is no \"{}\" at that path", token));
    }
    return const_cast<Value*>(place); // `document` is not const
  }

  Value* target(Value& document, const std::string& path) const { return walk(document, tokens(path)); }

  void add(Value& document, const std::string& path, const Value& added) const {
    auto all = tokens(path);
    if (all.empty()) return void(document = added);
    Value* parent = walk(document, std::span(all).first(all.size() - 1));
    const auto& last = all.back();
    if (parent->is_object()) return void((*parent)[last] = added);
    if (!parent->is_array()) fail("the place to add to is neither a mapping nor a list");
    auto index = last == "-" ? parent->size() : parseIndex(last);
    if (!index || *index > parent->size()) fail(fmt::format("the list has no place \"{}\"", last));
    parent->insert(parent->begin() + static_cast<std::ptrdiff_t>(*index), added);
  }

  void remove(Value& document, const std::string& path) const {
    auto all = tokens(path);
    if (all.empty()) return void(document = nullptr);
    walk(document, all);
    Value* parent = walk(document, std::span(all).first(all.size() - 1));
    if (parent->is_object()) return void(parent->erase(all.back()));
    parent->erase(*parseIndex(all.back()));
  }

  void test(Value& document) const {
    if (!sameDocument(*target(document, path_), value())) fail("the value there is another one");
  }
};
} // namespace

Value applyJsonPatch(const Value& document, const Value& patch) {
  if (!patch.is_array()) throw Error("a JSON patch is a list of operations, this one is not a list");
  Value result = document;
  for (std::size_t i = 0; i < patch.size(); ++i) JsonPatchOperation(patch[i], i + 1).apply(result);
  return result;
}

Value applyMergePatch(const Value& document, const Value& patch) {
  if (!patch.is_object()) throw Error("a merge patch is a mapping, this one is not");
  Value result = document;
  result.merge_patch(patch);
  return result;
}

std::string_view withoutWhatWasRead(std::string_view message) { return message.substr(0, message.find("; last read: ")); }

Value parseJson(std::string_view text, std::string_view source) {
  try {
    return Value::parse(text);
  } catch (const Value::parse_error& error) {
    // "[json.exception.parse_error.101] parse error at line 1, column 2: syntax error while ...": we give the place our
    // way
    std::string_view message = error.what();
    if (auto column = message.find(", column "); column != message.npos)
      if (auto colon = message.find(": ", column); colon != message.npos) message.remove_prefix(colon + 2);
    auto before = text.substr(0, std::min(text.size(), error.byte == 0 ? 0 : error.byte - 1));
    auto line = 1 + std::count(before.begin(), before.end(), '\n');
    auto column = before.size() - (before.find_last_of('\n') + 1) + 1; // npos + 1 is 0
    throw Error(fmt::format("{}:{}:{}: {}", source, line, column, withoutWhatWasRead(message)));
  } catch (const Value::exception& error) {
    std::string_view message = error.what();
    throw Error(fmt::format("{}: {}", source, message.substr(message.find("] ") + 2)));
  }
}

} // namespace kubestrap
