#include "support/error.hpp"
#include "support/text.hpp"
#include "support/yaml.hpp"
#include "support/yaml_scalar.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <optional>

namespace kubestrap {

// The style is that of go-yaml 2 (emitterc.go, encode.go), with which sigs.k8s.io/yaml writes, less its folding of long
// lines: it saves nothing in a manifest and makes `grep` miss.

namespace {
/// Takes a text's characters one by one.
class Characters {
public:
  explicit Characters(std::string_view text) : rest_(text) {}

  /// The next code point; nothing at the end. Throws Error when the text is not UTF-8.
  std::optional<char32_t> next() {
    if (rest_.empty()) return {};
    auto first = static_cast<unsigned char>(rest_[0]);
    std::size_t length = first < 0x80 ? 1 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    constexpr char32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    char32_t code = length == 1 ? first : first & (0x7fU >> length);
    bool isValid = length <= rest_.size() && (first < 0x80 || first >= 0xc2) && first <= 0xf4;
    for (std::size_t i = 1; isValid && i < length; ++i) {
      auto byte = static_cast<unsigned char>(rest_[i]);
      isValid = (byte & 0xc0) == 0x80;
      code = code << 6 | (byte & 0x3fU);
    }
    isValid = isValid && code >= smallest[length] && code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff);
    if (!isValid) throw Error("a text that is not valid UTF-8 cannot be written as YAML");
    rest_.remove_prefix(length);
    return code;
  }

private:
  std::string_view rest_;
};

bool isBreak(char32_t c) { return c == '\n' || c == '\r' || c == 0x85 || c == 0x2028 || c == 0x2029; }
bool isBlank(char32_t c) { return c == ' ' || c == '\t'; }

/// What go-yaml writes as it is (characters beyond the basic plane are not among it).
bool isPrintable(char32_t c) {
  return c == '\n' || (c >= 0x20 && c <= 0x7e) || (c >= 0xa0 && c <= 0xfffd && c != 0xfeff);
}

bool isIn(char32_t c, std::string_view set) { return c < 0x80 && set.find(static_cast<char>(c)) != set.npos; }

/// Which styles can carry a text (go-yaml: yaml_emitter_analyze_scalar).
struct Styles {
  bool plain = true, singleQuoted = true, literal = true;
  bool severalLines = false;
};

Styles stylesFor(std::string_view text) {
  Styles styles;
  if (text.empty()) return {.plain = false, .literal = false};
  if (text.starts_with("---") || text.starts_with("...")) styles.plain = false;
  std::u32string characters;
  characters.reserve(text.size());
  for (Characters input(text); auto c = input.next();) characters += *c;
  char32_t previous = ' ';
  for (std::size_t i = 0; i < characters.size(); ++i) {
    char32_t c = characters[i];
    bool isFirst = i == 0, isLast = i + 1 == characters.size();
    bool endsWord = isLast || isBlank(characters[i + 1]);
    if (isFirst && isIn(c, "#,[]{}&*!|>'\"%@`")) styles.plain = false;
    if (endsWord && (c == ':' || (isFirst && isIn(c, "?-")))) styles.plain = false;
    if (c == '#' && (isBlank(previous) || isBreak(previous))) styles.plain = false;
    bool isOddBreak = isBreak(c) && c != '\n'; // YAML 1.1 and 1.2 differ on them
    if (!isPrintable(c) || isOddBreak) styles.plain = styles.singleQuoted = styles.literal = false;
    if (c == ' ') {
      if (isFirst || isLast) styles.plain = false;
      if (isLast) styles.literal = false;
      if (!isFirst && previous == '\n') styles.plain = styles.singleQuoted = false;
    } else if (c == '\n') {
      styles.severalLines = true;
      styles.plain = false;
      if (!isFirst && previous == ' ') styles.singleQuoted = styles.literal = false;
    }
    previous = c;
  }
  return styles;
}

/// Reads a text the way of a regular expression: each call takes what it matches, if anything.
struct Matcher {
  std::string_view rest;

  std::size_t digits(std::string_view set = "0123456789") {
    auto length = std::min(rest.find_first_not_of(set), rest.size());
    rest.remove_prefix(length);
    return length;
  }
  bool oneOf(std::string_view set) {
    if (rest.empty() || set.find(rest[0]) == set.npos) return false;
    rest.remove_prefix(1);
    return true;
  }
  bool prefix(std::string_view wanted) {
    if (!rest.starts_with(wanted)) return false;
    rest.remove_prefix(wanted.size());
    return true;
  }
  bool atEnd() const { return rest.empty(); }
};

/// 0b101, 0o17, 017, 0x1F and decimal, with a sign: what Go's ParseInt takes with base 0.
bool isGoInteger(std::string_view text) {
  Matcher matcher{text};
  matcher.oneOf("+-");
  std::string_view digits = "0123456789";
  if (matcher.prefix("0x") || matcher.prefix("0X"))
    digits = "0123456789abcdefABCDEF";
  else if (matcher.prefix("0o") || matcher.prefix("0O"))
    digits = "01234567";
  else if (matcher.prefix("0b") || matcher.prefix("0B"))
    digits = "01";
  return matcher.digits(digits) > 0 && matcher.atEnd();
}

bool isYaml11Float(std::string_view text) {
  Matcher matcher{text};
  matcher.oneOf("+-");
  auto whole = matcher.digits();
  bool hasDot = matcher.oneOf(".");
  auto fraction = hasDot ? matcher.digits() : 0;
  if (whole == 0 && fraction == 0) return false;
  if (matcher.oneOf("eE")) {
    matcher.oneOf("+-");
    if (matcher.digits() == 0) return false;
  }
  return matcher.atEnd();
}

/// 12:30:45, a number to base 60 in YAML 1.1.
bool isBase60(std::string_view text) {
  Matcher matcher{text};
  matcher.oneOf("+-");
  if (matcher.rest.empty() || matcher.rest[0] == '_' || matcher.digits("0123456789_") == 0) return false;
  int groups = 0;
  for (; matcher.oneOf(":"); ++groups) {
    auto digits = matcher.rest;
    auto length = matcher.digits();
    if (length == 0 || length > 2 || (length == 2 && digits[0] > '5')) return false;
  }
  if (matcher.oneOf(".")) matcher.digits("0123456789_");
  return groups > 0 && matcher.atEnd();
}

bool isTimestamp(std::string_view text) {
  Matcher matcher{text};
  auto number = [&](std::size_t atMost) {
    auto length = matcher.digits();
    return length >= 1 && length <= atMost;
  };
  if (matcher.digits() != 4 || !matcher.oneOf("-") || !number(2) || !matcher.oneOf("-") || !number(2)) return false;
  if (matcher.atEnd()) return true;
  if (!matcher.oneOf("Tt \t")) return false;
  if (!number(2) || !matcher.oneOf(":") || !number(2) || !matcher.oneOf(":") || !number(2)) return false;
  if (matcher.oneOf(".,")) matcher.digits();
  matcher.digits(" \t");
  if (matcher.atEnd() || (matcher.oneOf("Z") && matcher.atEnd())) return true;
  if (!matcher.oneOf("+-") || !number(2)) return false;
  return matcher.atEnd() || (matcher.oneOf(":") && number(2) && matcher.atEnd());
}

bool isWordOfYaml11(std::string_view text) {
  constexpr std::string_view words[] = {"y", "yes", "on", "n", "no", "off", "true", "false", "null", "~", "<<", "="};
  if (text.size() > 5) return false;
  auto lowered = lower(text);
  // "yEs" is no boolean anywhere, but it costs nothing to quote it.
  return std::find(std::begin(words), std::end(words), lowered) != std::end(words);
}

/// Whether a YAML 1.1 or 1.2 reader, Go's or another, takes it for something else than a text when it is not quoted.
bool looksLikeAnotherType(std::string_view text) {
  if (scalarKind(text) != ScalarKind::text || isWordOfYaml11(text)) return true;
  bool mayBeNumber = isIn(static_cast<unsigned char>(text[0]), "+-.0123456789");
  if (!mayBeNumber) return false;
  auto plain = replaceAll(std::string(text), "_", "");
  return isGoInteger(plain) || isYaml11Float(plain) || isBase60(text) || isTimestamp(text);
}

std::string singleQuoted(std::string_view text) { return '\'' + replaceAll(std::string(text), "'", "''") + '\''; }

std::string escaped(char32_t c) {
  switch (c) {
  case 0x00: return "\\0";
  case 0x07: return "\\a";
  case 0x08: return "\\b";
  case 0x09: return "\\t";
  case 0x0a: return "\\n";
  case 0x0b: return "\\v";
  case 0x0c: return "\\f";
  case 0x0d: return "\\r";
  case 0x1b: return "\\e";
  case 0x22: return "\\\"";
  case 0x5c: return "\\\\";
  case 0x85: return "\\N";
  case 0xa0: return "\\_";
  case 0x2028: return "\\L";
  case 0x2029: return "\\P";
  }
  auto number = static_cast<std::uint32_t>(c);
  if (c <= 0xff) return fmt::format("\\x{:02X}", number);
  if (c <= 0xffff) return fmt::format("\\u{:04X}", number);
  return fmt::format("\\U{:08X}", number);
}

std::string doubleQuoted(std::string_view text) {
  std::string result = "\"";
  Characters input(text);
  for (std::string_view rest = text; auto c = input.next();) {
    std::size_t length = *c < 0x80 ? 1 : *c < 0x800 ? 2 : *c < 0x10000 ? 3 : 4;
    bool asItIs = isPrintable(*c) && !isBreak(*c) && *c != '"' && *c != '\\';
    if (asItIs)
      result += rest.substr(0, length);
    else
      result += escaped(*c);
    rest.remove_prefix(length);
  }
  return result + '"';
}

/// "|", or with hints "|2-": an indentation where the reader cannot guess it, and what becomes of the last line breaks.
std::string literal(std::string_view text, std::size_t indent) {
  std::string result = "|";
  if (text[0] == ' ' || text[0] == '\n') result += '2';
  if (!text.ends_with('\n'))
    result += '-';
  else if (text == "\n" || text.ends_with("\n\n"))
    result += '+';
  if (text.ends_with('\n')) text.remove_suffix(1);
  for (const auto& line : split(text, '\n')) {
    result += '\n';
    if (!line.empty()) result.append(indent, ' ') += line;
  }
  if (text.empty()) result += '\n'; // a single empty line
  return result;
}

/// Like Go on the way from JSON to YAML: whole numbers that fit an integer are written as one, others with the shortest
/// digits that read back, and with an exponent below 1e-4 and from 1e6 on.
std::string number(double value) {
  if (std::isnan(value)) return ".nan";
  if (std::isinf(value)) return value < 0 ? "-.inf" : ".inf";
  constexpr double uint64End = 18446744073709551616.0, int64Min = -9223372036854775808.0;
  bool isInteger = value == std::trunc(value) && value >= int64Min && value < uint64End;
  if (isInteger && value < 0) return fmt::format("{}", static_cast<std::int64_t>(value));
  if (isInteger) return fmt::format("{}", static_cast<std::uint64_t>(value));
  double magnitude = std::abs(value);
  auto format = magnitude < 1e-4 || magnitude >= 1e6 ? std::chars_format::scientific : std::chars_format::fixed;
  char buffer[32];
  auto end = std::to_chars(buffer, buffer + sizeof buffer, value, format).ptr;
  return {buffer, static_cast<std::size_t>(end - buffer)};
}

class Emitter {
public:
  std::string emit(const Value& value) {
    if (isCollection(value))
      collection(value, 0);
    else
      out_ += scalar(value, 2) + '\n';
    return std::move(out_);
  }

private:
  std::string out_;

  static bool isCollection(const Value& value) { return value.is_structured() && !value.empty(); }

  void startLine(std::size_t indent) {
    // After "- ", "? " or ": " the first line of a collection has begun already.
    if (out_.empty() || out_.back() == '\n') out_.append(indent, ' ');
  }

  void collection(const Value& value, std::size_t indent) {
    if (value.is_object())
      mapping(value, indent);
    else
      sequence(value, indent);
  }

  void mapping(const Value& value, std::size_t indent) {
    for (const auto& [key, member] : value.items()) {
      startLine(indent);
      auto styles = stylesFor(key);
      bool isSimple = !styles.severalLines && key.size() <= 128; // go-yaml's limit
      if (!isSimple) {
        out_ += "? " + text(key, indent + 2) + '\n';
        startLine(indent);
        item(":", member, indent);
      } else {
        out_ += text(key, indent + 2) + ':';
        simpleMember(member, indent);
      }
    }
  }

  void simpleMember(const Value& member, std::size_t indent) {
    if (!isCollection(member)) {
      out_ += ' ' + scalar(member, indent + 2) + '\n';
    } else {
      out_ += '\n';
      collection(member, member.is_array() ? indent : indent + 2);
    }
  }

  void sequence(const Value& value, std::size_t indent) {
    for (const auto& member : value) {
      startLine(indent);
      item("-", member, indent);
    }
  }

  void item(std::string_view indicator, const Value& member, std::size_t indent) {
    out_ += indicator;
    out_ += ' ';
    if (isCollection(member))
      collection(member, indent + 2);
    else
      out_ += scalar(member, indent + 2) + '\n';
  }

  static std::string scalar(const Value& value, std::size_t indent) {
    switch (value.type()) {
    case Value::value_t::object: return "{}";
    case Value::value_t::array: return "[]";
    case Value::value_t::string: return text(value.get_ref<const std::string&>(), indent);
    case Value::value_t::boolean: return value.get<bool>() ? "true" : "false";
    case Value::value_t::number_integer: return fmt::format("{}", value.get<std::int64_t>());
    case Value::value_t::number_unsigned: return fmt::format("{}", value.get<std::uint64_t>());
    case Value::value_t::number_float: return number(value.get<double>());
    default: return "null";
    }
  }

  static std::string text(std::string_view text, std::size_t indent) {
    if (text.empty()) return "\"\"";
    auto styles = stylesFor(text);
    if (styles.severalLines) return styles.literal ? literal(text, indent) : doubleQuoted(text);
    if (looksLikeAnotherType(text)) return doubleQuoted(text);
    if (styles.plain) return std::string(text);
    return styles.singleQuoted ? singleQuoted(text) : doubleQuoted(text);
  }
};
} // namespace

std::string emitYaml(const Value& value) { return Emitter().emit(value); }

std::string emitYamlStream(const std::vector<Value>& values) {
  std::string text;
  for (const auto& value : values) {
    if (!text.empty()) text += "---\n";
    text += emitYaml(value);
  }
  return text;
}

} // namespace kubestrap
