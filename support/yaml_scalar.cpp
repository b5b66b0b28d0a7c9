#include "support/yaml_scalar.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>

namespace kubestrap {

bool isAnyOf(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), text) != words.end();
}

namespace {
bool consistsOf(std::string_view text, std::string_view characters) {
  return !text.empty() && text.find_first_not_of(characters) == text.npos;
}

constexpr std::string_view decimalDigits = "0123456789";

std::string_view withoutSign(std::string_view text) {
  return text.starts_with('+') || text.starts_with('-') ? text.substr(1) : text;
}

bool isInteger(std::string_view text) {
  if (text.starts_with("0x")) return consistsOf(text.substr(2), "0123456789abcdefABCDEF");
  if (text.starts_with("0o")) return consistsOf(text.substr(2), "01234567");
  return consistsOf(withoutSign(text), decimalDigits);
}

bool isDecimal(std::string_view text) {
  text = withoutSign(text);
  if (auto e = text.find_first_of("eE"); e != text.npos) {
    if (!consistsOf(withoutSign(text.substr(e + 1)), decimalDigits)) return false;
    text = text.substr(0, e);
  }
  auto dot = text.find('.');
  auto whole = text.substr(0, dot), fraction = dot == text.npos ? std::string_view() : text.substr(dot + 1);
  bool wholeIsFine = whole.empty() || consistsOf(whole, decimalDigits);
  bool fractionIsFine = fraction.empty() || consistsOf(fraction, decimalDigits);
  return wholeIsFine && fractionIsFine && !(whole.empty() && fraction.empty());
}
} // namespace

ScalarKind scalarKind(std::string_view plain) {
  if (isAnyOf(plain, {"", "~", "null", "Null", "NULL"})) return ScalarKind::null;
  if (isAnyOf(plain, {"true", "True", "TRUE", "false", "False", "FALSE"})) return ScalarKind::boolean;
  if (isAnyOf(plain, {".nan", ".NaN", ".NAN"})) return ScalarKind::notFinite;
  if (isAnyOf(withoutSign(plain), {".inf", ".Inf", ".INF"})) return ScalarKind::notFinite;
  bool mayBeNumber = std::string_view("+-.0123456789").find(plain[0]) != std::string_view::npos;
  if (!mayBeNumber) return ScalarKind::text;
  if (isInteger(plain)) return ScalarKind::integer;
  return isDecimal(plain) ? ScalarKind::decimal : ScalarKind::text;
}

double scalarDecimal(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  double number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc::result_out_of_range) return number;
  auto e = text.find_first_of("eE");
  bool isTiny = e != text.npos && text.substr(e + 1).starts_with('-');
  return isTiny ? 0.0 : HUGE_VAL;
}

Value scalarInteger(std::string_view text) {
  int base = text.starts_with("0x") ? 16 : text.starts_with("0o") ? 8 : 10;
  if (base != 10) text.remove_prefix(2);
  if (text.starts_with('+')) text.remove_prefix(1);
  auto end = text.data() + text.size();
  std::int64_t number = 0;
  if (std::from_chars(text.data(), end, number, base).ec == std::errc())
    return number < 0 ? Value(number) : Value(static_cast<std::uint64_t>(number));
  std::uint64_t large = 0;
  if (std::from_chars(text.data(), end, large, base).ec == std::errc()) return large;
  if (base == 10) return scalarDecimal(text);
  double huge = 0;
  for (char digit : text) {
    int value = digit >= 'a' ? digit - 'a' + 10 : digit >= 'A' ? digit - 'A' + 10 : digit - '0';
    huge = huge * base + value;
  }
  return huge;
}

bool isAmbiguousOctal(std::string_view text) {
  text = withoutSign(text);
  bool isOctal = text.size() > 1 && text.front() == '0' && consistsOf(text, "01234567");
  auto significant = text.find_first_not_of('0');
  return isOctal && significant != text.npos && text.size() - significant > 1;
}

} // namespace kubestrap
