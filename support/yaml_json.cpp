#include "support/yaml_json.hpp"

#include <cstddef>
#include <iterator>

namespace kubestrap {

namespace {
/// An iterator that tells how far nlohmann's reader has come.
class TracingIterator {
public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  TracingIterator(const char* at, const char** reached) : at_(at), reached_(reached) {}
  reference operator*() const { return *at_; }
  TracingIterator& operator++() {
    *reached_ = ++at_;
    return *this;
  }
  bool operator==(const TracingIterator& other) const { return at_ == other.at_; }

private:
  const char* at_;
  const char** reached_;
};

/// Receives nlohmann's events.
class JsonReader {
public:
  explicit JsonReader(Input& input) : input_(input), builder_(input), reached_(input.text.data()) {}

  /// Nothing, if it is no JSON.
  std::optional<Document> read() {
    const char* end = input_.text.data() + input_.text.size();
    if (!Value::sax_parse(TracingIterator(reached_, &reached_), TracingIterator(end, &reached_), this)) return {};
    return builder_.take();
  }

  bool null() { return scalar(nullptr, word(4)); }
  bool boolean(bool value) { return scalar(value, word(value ? 4 : 5)); }
  bool number_integer(Value::number_integer_t value) { return scalar(value, number()); }
  bool number_unsigned(Value::number_unsigned_t value) { return scalar(value, number()); }
  bool number_float(Value::number_float_t value, const std::string&) { return scalar(value, number()); }
  bool string(std::string& value) { return scalar(std::move(value), quoted()); }
  bool binary(Value::binary_t&) { return false; }
  bool start_object(std::size_t) { return builder_.startMapping(word(1)), true; }
  bool key(std::string& name) { return builder_.key(name, quoted()), true; }
  bool end_object() { return builder_.endCollection(), true; }
  bool start_array(std::size_t) { return builder_.startList(word(1)), true; }
  bool end_array() { return builder_.endCollection(), true; }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) { return false; }

private:
  Input& input_;
  DocumentBuilder builder_;
  const char* reached_; ///< one past the token, for numbers one more

  bool scalar(Value value, Position at) { return builder_.scalar(std::move(value), at), true; }
  Position at(std::size_t offset) { return input_.lines.at(offset); }
  std::size_t end() const { return static_cast<std::size_t>(reached_ - input_.text.data()); }
  Position word(std::size_t length) { return at(end() - length); }

  Position number() {
    constexpr std::string_view characters = "+-.0123456789eE";
    auto last = input_.text.find_last_of(characters, end() - 1);
    auto before = input_.text.find_last_not_of(characters, last);
    return at(before + 1);
  }

  Position quoted() {
    auto isEscaped = [&](std::size_t quote) {
      auto lastOther = input_.text.find_last_not_of('\\', quote - 1);
      return (quote - lastOther) % 2 == 0;
    };
    auto open = input_.text.rfind('"', end() - 2);
    while (isEscaped(open)) open = input_.text.rfind('"', open - 1);
    return at(open);
  }
};
} // namespace

std::optional<Document> readJson(Input& input) {
  auto start = input.text.find_first_not_of(" \t\n");
  bool mayBeJson = start != std::string::npos && (input.text[start] == '{' || input.text[start] == '[');
  if (!mayBeJson) return {};
  auto document = JsonReader(input).read();
  if (!document) input.problems.clear(); // of what only looked like it
  return document;
}

} // namespace kubestrap
