// What is written as YAML comes back as it was, whatever stands in it.
#include "support/yaml.hpp"

#include "tests/unit/support/message_of.hpp"

#include <doctest/doctest.h>

#include <random>

using namespace kubestrap;

namespace {
void checkRoundTrip(const Value& value) {
  auto text = emitYaml(value);
  CAPTURE(text);
  Value back;
  CHECK(messageOf([&] { back = parseYamlValue(text, "round trip"); }) == "");
  CHECK(back == value);
  CHECK(emitYaml(back) == text);
}
} // namespace

TEST_CASE("nasty texts come back as they were, as values, keys, items and documents") {
  const std::string nasty[] = {"",
                               " ",
                               "  ",
                               "\n",
                               "\n\n",
                               "\n\n\n",
                               " \n",
                               "\n ",
                               "\t",
                               "\ta",
                               "a\t",
                               "\t\n",
                               "\r",
                               "\r\n",
                               "a\r\nb\r\n",
                               "a\rb",
                               "true",
                               "False",
                               "yes",
                               "No",
                               "on",
                               "off",
                               "y",
                               "n",
                               "null",
                               "~",
                               "NULL",
                               "0",
                               "-0",
                               "+1",
                               "1.20",
                               "1e3",
                               "1E-3",
                               ".5",
                               "5.",
                               "0x1F",
                               "0X1f",
                               "0o17",
                               "017",
                               "08",
                               "0b11",
                               "1_0",
                               "12:30",
                               "1:2:3.5",
                               "2026-11-22",
                               "2026-1-2 3:4:5",
                               ".inf",
                               "-.INF",
                               ".nan",
                               "<<",
                               "=",
                               "-",
                               "--",
                               "---",
                               "--- a",
                               "...",
                               "?",
                               "? a",
                               ":",
                               ": a",
                               "a:",
                               "a: b",
                               "a:b",
                               "a :b",
                               "#",
                               "#a",
                               "a #b",
                               "a#b",
                               "# a\n",
                               "*",
                               "*a",
                               "&",
                               "&a",
                               "!",
                               "!!str",
                               "!a b",
                               "|",
                               "|-",
                               ">",
                               ">+",
                               "%",
                               "%YAML",
                               "@",
                               "`",
                               "'",
                               "''",
                               "'a'",
                               "\"",
                               "\"a\"",
                               "\\",
                               "\\n",
                               "{",
                               "}",
                               "{}",
                               "{a: b}",
                               "[",
                               "]",
                               "[]",
                               ",",
                               "a, b",
                               "a,b",
                               "- a",
                               "- - a",
                               "-a",
                               "-1a",
                               "+",
                               ".",
                               "..",
                               "e",
                               "1e",
                               " a",
                               "a ",
                               " a ",
                               "a  b",
                               "  a\n b\n",
                               "a\n  b\n c",
                               "a\n\n\nb",
                               "\n\na\n\n",
                               "a \nb",
                               "a\n b \nc",
                               "a\n\tb",
                               "\n\t",
                               "a\n ",
                               "---\na",
                               "a\n---\nb",
                               "a\n...\nb",
                               "%a\n%b",
                               "# a\n# b\n",
                               "a: b\nc: d\n",
                               "- a\n- b",
                               "|\n  a",
                               "\"a\nb\"",
                               "'a\nb'",
                               "é",
                               "ä\nö\n",
                               "\xc2\xa0",
                               "a\xc2\xa0z",
                               "\xc2\x85",
                               "a\xc2\x85\nb",
                               "\xe2\x80\xa8",
                               "a\n\xe2\x80\xa9",
                               "\xef\xbb\xbf",
                               "\xef\xbb\xbf"
                               "a\nb",
                               "😀",
                               "a😀\nb\n",
                               "\x7f",
                               "\x01\x02",
                               "\x1b[0m",
                               "\xef\xbf\xbd",
                               "\xef\xbf\xbe",
                               std::string(1, '\0'),
                               std::string("a\0b", 3),
                               std::string(127, 'a'),
                               std::string(129, 'a'),
                               std::string(2000, 'a'),
                               std::string(200, 'a') + "\n" + std::string(200, 'b'),
                               std::string(2000, ' ') + "x",
                               std::string(300, '\n')};
  CHECK(std::size(nasty) >= 60);
  for (const auto& text : nasty) {
    checkRoundTrip(text);
    checkRoundTrip(Value{{text, text}, {text + "2", Value::object({{text, Value::array({text, text})}})}});
    checkRoundTrip(Value::array({text, Value::array({text}), Value{{"a", text}, {"b", text}}}));
  }
}

namespace {
/// Small documents of all kinds of values; always the same ones.
class Generator {
public:
  Value document() { return value(4); }

private:
  std::mt19937 random_{20261122};

  std::size_t below(std::size_t end) { return random_() % end; }

  std::string text() {
    static const char* const pieces[] = {"a",        "b",
                                         "1",        "0",
                                         " ",        " ",
                                         ":",        "#",
                                         "-",        "?",
                                         ",",        "[",
                                         "]",        "{",
                                         "}",        "&",
                                         "*",        "!",
                                         "|",        ">",
                                         "'",        "\"",
                                         "%",        "@",
                                         "`",        "\\",
                                         "\n",       "\n",
                                         "\n\n",     "\n ",
                                         "  ",       "\t",
                                         ": ",       " #",
                                         "- ",       "true",
                                         "null",     "0x1",
                                         "1e3",      ".",
                                         "_",        "~",
                                         "=",        "<<",
                                         "---",      "...",
                                         "é",        "\xc2\xa0",
                                         "\xc2\x85", "\xe2\x80\xa8",
                                         "😀",        "\xef\xbb\xbf",
                                         "\r",       "\x07",
                                         "e",        "+",
                                         "x.y/z"};
    std::string result;
    for (auto length = below(7); length > 0; --length) result += pieces[below(std::size(pieces))];
    return result;
  }

  Value value(int depth) {
    switch (below(depth > 0 ? 9 : 5)) {
    case 0: return nullptr;
    case 1: return below(2) == 0;
    case 2: return static_cast<std::int64_t>(random_()) - (std::int64_t{1} << 31);
    case 3: return static_cast<double>(random_()) / 1024 + 0.0001; // 0.0001: never a whole number
    case 4: return text();
    case 5:
    case 6: {
      Value list = Value::array();
      for (auto length = below(4); length > 0; --length) list.push_back(value(depth - 1));
      return list;
    }
    default: {
      Value mapping = Value::object();
      for (auto length = below(4); length > 0; --length) mapping[text()] = value(depth - 1);
      return mapping;
    }
    }
  }
};
} // namespace

TEST_CASE("random documents come back as they were") {
  Generator generator;
  for (int i = 0; i < 3000; ++i) checkRoundTrip(generator.document());
}

TEST_CASE("what comes back as JSON is the same, too") {
  Generator generator;
  for (int i = 0; i < 500; ++i) {
    auto document = generator.document();
    CHECK(parseYamlValue(document.dump(2), "JSON") == document);
  }
}
