#pragma once

#include "support/error.hpp"
#include "support/text.hpp"
#include "support/time.hpp"
#include "support/value.hpp"

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

// The schema of a document kind is a tree of tables: one line per field, which strict checking, decoding, encoding,
// defaults and explanations all read. Lines of records that have a C++ struct also know its member; the lines of
// component configurations, which stay documents, only say what may stand there.
namespace kubestrap::config::schema {

/// What a text, a number, or each item of a list has to be.
struct Rule {
  std::string_view complaint; ///< follows the value: "is not an IP address"
  std::string_view expected;  ///< "an address like 10.0.0.11"
  bool (*holds)(const Value& value) = nullptr;
  std::span<const std::string_view> choices = {};     ///< when not empty: the only values
  std::span<const std::string_view> unavailable = {}; ///< values that have a meaning but do nothing yet
};

enum class Kind { text, boolean, integer, number, duration, time, list, map, record, any };
struct Field;

struct Type {
  Kind kind = Kind::any;
  const Type* item = nullptr;         ///< of a list or map
  std::span<const Field> fields = {}; ///< of a record
  bool document = false;              ///< a record that also has apiVersion and kind
};

/// How a field without a value is written. `omittedWhenZero` also leaves out "", 0, false and empty lists, as Go's
/// omitempty does with members that are no pointers.
enum class Unset { omitted, omittedWhenZero, zero, null };
enum class Disclosure { open, secret };

struct Field {
  std::string_view name;
  std::string_view otherwise = {}; ///< the default: used when there is no value; lists by commas
  const Rule* rule = nullptr;
  std::string_view doc = {};          ///< one sentence
  std::string_view since = "v1beta3"; ///< the version of the format that brought it
  Unset unset = Unset::omitted;
  Disclosure disclosure = Disclosure::open; ///< a secret's value is never part of a message
  bool required = false;
  std::string_view reserved =
      {};                     ///< not empty: the name has a meaning, but giving it is an error; with what it will come
  const Type* type = nullptr; ///< that of the member, when nothing else is said
  void (*read)(const Value& from, void* record) = nullptr;
  std::optional<Value> (*write)(const void* record, Unset unset) = nullptr; ///< nothing: the field is left out
  void (*fill)(void* record, std::string_view otherwise) = nullptr; ///< defaults of the member and of what it holds
};

// ---- types of members

template <class Record> inline constexpr std::array<Field, 0> fieldsOf{};
template <class T>
concept RecordType = std::is_class_v<T> && requires {
  fieldsOf<T>.size();
} &&(fieldsOf<T>.size() > 0);

template <class T> struct TypeOf {
  static_assert(RecordType<T>, "a struct in a schema needs its table of fields before it is used");
  static constexpr Type type{.kind = Kind::record, .fields = fieldsOf<T>};
};
template <> struct TypeOf<std::string> { static constexpr Type type{.kind = Kind::text}; };
template <> struct TypeOf<bool> { static constexpr Type type{.kind = Kind::boolean}; };
template <> struct TypeOf<int> { static constexpr Type type{.kind = Kind::integer}; };
template <> struct TypeOf<double> { static constexpr Type type{.kind = Kind::number}; };
template <> struct TypeOf<Duration> { static constexpr Type type{.kind = Kind::duration}; };
template <> struct TypeOf<TimePoint> { static constexpr Type type{.kind = Kind::time}; };
template <> struct TypeOf<Value> { static constexpr Type type{.kind = Kind::any}; };
template <class T> struct TypeOf<std::optional<T>> { static constexpr const Type& type = TypeOf<T>::type; };
template <class T> struct TypeOf<std::vector<T>> {
  static constexpr Type type{.kind = Kind::list, .item = &TypeOf<T>::type};
};
template <class T> struct TypeOf<std::map<std::string, T>> {
  static constexpr Type type{.kind = Kind::map, .item = &TypeOf<T>::type};
};

// ---- reading; false: the value does not fit and `to` is as it was, which check() has complained of already

template <class T> bool getScalar(const Value& from, T& to, bool fits) {
  if (fits) to = from.get<T>();
  return fits;
}
inline bool get(const Value& from, std::string& to) { return getScalar(from, to, from.is_string()); }
inline bool get(const Value& from, bool& to) { return getScalar(from, to, from.is_boolean()); }
inline bool get(const Value& from, int& to) { return getScalar(from, to, from.is_number_integer()); }
inline bool get(const Value& from, Value& to) {
  to = from;
  return true;
}
bool get(const Value& from, Duration& to);
bool get(const Value& from, TimePoint& to);
template <class T> bool get(const Value& from, std::optional<T>& to);
template <class T> bool get(const Value& from, std::vector<T>& to);
template <class T> bool get(const Value& from, std::map<std::string, T>& to);
template <RecordType T> bool get(const Value& from, T& to) {
  if (!from.is_object()) return false;
  for (const Field& field : fieldsOf<T>)
    if (auto found = from.find(field.name); field.read && found != from.end() && !found->is_null())
      field.read(*found, &to);
  return true;
}
template <class T> bool get(const Value& from, std::optional<T>& to) {
  T one{};
  if (!get(from, one)) return false;
  to = std::move(one);
  return true;
}
template <class T> bool get(const Value& from, std::vector<T>& to) {
  if (!from.is_array()) return false;
  to.clear();
  for (const Value& item : from)
    if (T one{}; get(item, one)) to.push_back(std::move(one));
  return true;
}
template <class T> bool get(const Value& from, std::map<std::string, T>& to) {
  if (!from.is_object()) return false;
  for (const auto& [key, value] : from.items())
    if (T one{}; get(value, one)) to.insert_or_assign(key, std::move(one));
  return true;
}

// ---- writing

template <class T> bool isUnset(const T& value) {
  if constexpr (RecordType<T>)
    return false;
  else if constexpr (requires { value.has_value(); })
    return !value.has_value();
  else if constexpr (requires { value.empty(); })
    return value.empty();
  else
    return value == T{};
}

inline Value put(const std::string& from) { return from; }
inline Value put(bool from) { return from; }
inline Value put(int from) { return from; }
inline Value put(const Value& from) { return from; }
inline Value put(Duration from) { return formatDuration(from); }
inline Value put(TimePoint from) { return formatRfc3339(from); }
template <class T> Value put(const std::optional<T>& from);
template <class T> Value put(const std::vector<T>& from);
template <class T> Value put(const std::map<std::string, T>& from);
template <RecordType T> Value put(const T& from) {
  Value to = Value::object();
  for (const Field& field : fieldsOf<T>)
    if (auto value = field.write ? field.write(&from, field.unset) : std::nullopt) to[std::string(field.name)] = *value;
  return to;
}
template <class T> Value put(const std::optional<T>& from) { return from ? put(*from) : Value(nullptr); }
template <class T> Value put(const std::vector<T>& from) {
  Value to = Value::array();
  for (const T& item : from) to.push_back(put(item));
  return to;
}
template <class T> Value put(const std::map<std::string, T>& from) {
  Value to = Value::object();
  for (const auto& [key, value] : from) to[key] = put(value);
  return to;
}

// ---- defaults

/// The value that a default's text stands for.
Value defaultValue(const Type& type, std::string_view otherwise);

template <RecordType T> void applyDefaults(T& record) {
  for (const Field& field : fieldsOf<T>)
    if (field.fill) field.fill(&record, field.otherwise);
}
template <class T> void fillMember(T& member, std::string_view otherwise) {
  if (!otherwise.empty() && isUnset(member)) get(defaultValue(TypeOf<T>::type, otherwise), member);
  if constexpr (RecordType<T>)
    applyDefaults(member);
  else if constexpr (requires { requires RecordType<typename T::value_type>; }) {
    if constexpr (requires { member.has_value(); }) {
      if (member) applyDefaults(*member);
    } else {
      for (auto& item : member) applyDefaults(item);
    }
  }
}

// ---- a line

template <auto Member> struct MemberOf;
template <class Record, class T, T Record::*Member> struct MemberOf<Member> {
  using Owner = Record;
  using Held = T;
};

/// A line about a member: what the table says, with the functions that reach the member.
template <auto Member> constexpr Field field(Field line) {
  using Owner = typename MemberOf<Member>::Owner;
  using Held = typename MemberOf<Member>::Held;
  if (!line.type) line.type = &TypeOf<Held>::type;
  line.read = [](const Value& from, void* record) { get(from, static_cast<Owner*>(record)->*Member); };
  line.write = [](const void* record, Unset unset) -> std::optional<Value> {
    const Held& held = static_cast<const Owner*>(record)->*Member;
    if (unset != Unset::zero && isUnset(held)) {
      if (unset == Unset::null) return Value(nullptr);
      return std::nullopt;
    }
    return put(held);
  };
  line.fill = [](void* record, std::string_view otherwise) {
    fillMember(static_cast<Owner*>(record)->*Member, otherwise);
  };
  return line;
}

// ---- checking

/// A place in a document, as machines and as people say it: "/bootstrapTokens/0/token", "bootstrapTokens[0].token".
struct Place {
  std::string pointer, path;
  Place member(std::string_view name) const;
  Place item(std::size_t index) const;
};

/// Where problems go. `where` turns a pointer into "file:line:column" or the name of a flag.
struct Report {
  std::function<std::string(const std::string& pointer)> where;
  std::vector<Problem>& problems;
  std::vector<std::string>* unknown = nullptr; ///< when given, unknown fields are warnings and go here

  void add(const Place& place, std::string message, std::string expected = {}) const;
};

/// Everything about `value` that does not fit: unknown fields, wrong types, broken rules, missing and reserved fields.
void check(const Value& value, const Type& type, const Report& report, const Place& place = {});

/// The document as Go's encoder would write it: durations in full, empty values left out or written as each line says,
/// members that the schema does not know kept, keys in alphabetical order.
Value normalize(const Value& document, const Type& type);

/// "text", "a duration like 1h30m", "a list of text".
std::string describe(const Type& type);

} // namespace kubestrap::config::schema
