#include "support/yaml.hpp"

#include "tests/unit/support/message_of.hpp"

#include <doctest/doctest.h>

#include <cmath>

using namespace kubestrap;

namespace {
Value json(const char* text) { return Value::parse(text); }

/// One text as a member's value, as it is written.
std::string written(const std::string& text) {
  auto yaml = emitYaml(Value{{"k", text}});
  return yaml.substr(3, yaml.size() - 4);
}
} // namespace

TEST_CASE("a manifest is written with the bytes of kubeadm") {
  const std::string manifest = R"(apiVersion: v1
data:
  Corefile: |
    .:53 {
        errors
        forward . /etc/resolv.conf {
           max_concurrent 1000
        }
    }
  empty: ""
  key: |-
    a
    b
  yes: "yes"
items:
- args:
  - - nested
    - "1"
  - []
  command:
  - etcd
  - --listen-client-urls=https://127.0.0.1:2379,https://10.0.0.1:2379
  - '*'
  - '- x'
  emptyDir: {}
  name: etcd
  resources:
    requests:
      cpu: 100m
- |
  text
- null
kind: Pod
metadata:
  annotations:
    a.io/b: "true"
  creationTimestamp: "2026-11-22T18:46:44Z"
  labels: null
priority: 2000001000
status: {}
verbose: true
weight: 0.5
)";
  std::string quotedKey = manifest;
  quotedKey.replace(quotedKey.find("  yes: "), 7, "  \"yes\": "); // the only change: a reader of YAML 1.1 needs it
  CHECK(emitYaml(parseYamlValue(manifest, "file")) == quotedKey);
}

TEST_CASE("the order of keys is kept") { CHECK(emitYaml(json(R"({"b": 1, "a": 2})")) == "b: 1\na: 2\n"); }

TEST_CASE("documents of one value") {
  CHECK(emitYaml(nullptr) == "null\n");
  CHECK(emitYaml(Value::object()) == "{}\n");
  CHECK(emitYaml(Value::array()) == "[]\n");
  CHECK(emitYaml("a") == "a\n");
  CHECK(emitYaml("") == "\"\"\n");
  CHECK(emitYaml("a\nb\n") == "|\n  a\n  b\n");
  CHECK(emitYaml(json("[1, [2, {\"a\": 3, \"b\": [4]}]]")) == "- 1\n- - 2\n  - a: 3\n    b:\n    - 4\n");
}

TEST_CASE("a stream has its documents apart") {
  CHECK(emitYamlStream({json(R"({"a": 1})"), json("[2]")}) == "a: 1\n---\n- 2\n");
  CHECK(emitYamlStream({}) == "");
}

TEST_CASE("texts that look like something else have double quotes") {
  for (const char* text : {"true",
                           "false",
                           "True",
                           "yes",
                           "No",
                           "on",
                           "OFF",
                           "y",
                           "N",
                           "null",
                           "Null",
                           "~",
                           "",
                           "0",
                           "1",
                           "-1",
                           "+1",
                           "1.20",
                           "1e3",
                           "1e+06",
                           ".5",
                           "1.",
                           "0x1F",
                           "0o17",
                           "0644",
                           "0b1",
                           "1_000",
                           "12:30:45",
                           "-1:30",
                           "2026-11-22",
                           "2026-11-22T18:46:44Z",
                           "2001-12-14 21:59:43.10 -5",
                           ".inf",
                           "-.Inf",
                           ".nan",
                           "<<",
                           "=",
                           "8080",
                           "1e999"})
    CHECK(written(text) == '"' + std::string(text) + '"');
}

TEST_CASE("texts that YAML would take apart have single quotes") {
  for (const char* text : {"*",  "&a", "!x", "#x", "- a", "-",     "? a", "a: b", "a:", "a #b", "[a]",  "{a}",
                           "%a", "@a", "`a", "|",  ">",   "\"a\"", ",a",  " a",   "a ", "---",  "...x", ": a"})
    CHECK(written(text) == '\'' + std::string(text) + '\'');
  CHECK(written("'a'") == "'''a'''");
}

TEST_CASE("texts that need no quotes have none") {
  for (const char* text : {"a",
                           "a b",
                           "a:b",
                           "a#b",
                           "-a",
                           "--flag=true",
                           "?a",
                           ":a",
                           "https://10.0.0.1:2379",
                           "1.2.3",
                           "v1.37.2",
                           "100m",
                           "1h0m0s",
                           "10.96.0.0/12",
                           "a'b",
                           "a\"b",
                           "it's",
                           "a, b",
                           "a]",
                           "n1",
                           "yess",
                           "_1",
                           "1x",
                           "0x",
                           "fd00::1",
                           "2026-11",
                           "ä",
                           "é b",
                           "registry.k8s.io/etcd:3.7.0-0",
                           "=a",
                           "<a",
                           ".",
                           "+",
                           "1e",
                           "e1"})
    CHECK(written(text) == text);
}

TEST_CASE("texts with lines become blocks") {
  CHECK(written("a\nb") == "|-\n  a\n  b");
  CHECK(written("a\nb\n") == "|\n  a\n  b");
  CHECK(written("a\n\n") == "|+\n  a\n");
  CHECK(written("\na") == "|2-\n\n  a");
  CHECK(written(" a\nb") == "|2-\n   a\n  b");
  CHECK(written("a\n b\n\n\nc\n") == "|\n  a\n   b\n\n\n  c");
  CHECK(written("\n") == "|2+\n");
}

TEST_CASE("texts with lines that a block cannot hold have double quotes") {
  CHECK(written("a \nb") == R"("a \nb")");
  CHECK(written("a\nb ") == R"("a\nb ")");
  CHECK(written("a\tb\n") == R"("a\tb\n")");
  CHECK(written("a\r\nb") == R"("a\r\nb")");
}

TEST_CASE("characters that cannot be seen are escaped") {
  CHECK(written(std::string("\0", 1)) == R"("\0")");
  CHECK(written("\a\b\v\f\x1b\x7f") == R"("\a\b\v\f\e\x7F")");
  CHECK(written("\xc2\x85 \xe2\x80\xa8 \xe2\x80\xa9") == R"("\N \L \P")");
  CHECK(written("\xef\xbb\xbf") == R"("\uFEFF")");
  CHECK(written("😀") == R"("\U0001F600")");
  CHECK(written("a\"\\\t") == R"("a\"\\\t")");
}

TEST_CASE("a text that is not UTF-8 is refused") {
  for (const char* text : {"\xff", "\xc3", "\x80", "\xed\xa0\x80", "\xc0\xaf"})
    CHECK(messageOf([&] { emitYaml(text); }) == "a text that is not valid UTF-8 cannot be written as YAML");
}

TEST_CASE("long lines are not folded") {
  std::string text;
  for (int i = 0; i < 100; ++i) text += "word ";
  text += "end";
  CHECK(written(text) == text);
}

TEST_CASE("long keys and keys with lines are written with a question mark") {
  std::string key(129, 'k');
  CHECK(emitYaml(Value{{key, Value{{"a", 1}}}}) == "? " + key + "\n: a: 1\n");
  CHECK(emitYaml(Value{{key, json("[1, 2]")}}) == "? " + key + "\n: - 1\n  - 2\n");
  CHECK(emitYaml(Value{{"a\nb", 1}}) == "? |-\n  a\n  b\n: 1\n");
  CHECK(emitYaml(Value{{std::string(128, 'k'), 1}}) == std::string(128, 'k') + ": 1\n");
  CHECK(emitYaml(Value{{"", 1}, {"true", 2}, {"a: b", 3}}) == "\"\": 1\n\"true\": 2\n'a: b': 3\n");
}

TEST_CASE("numbers are written as Go does") {
  auto number = [](Value value) { return emitYaml(value); };
  CHECK(number(0) == "0\n");
  CHECK(number(-5) == "-5\n");
  CHECK(number(~std::uint64_t{0}) == "18446744073709551615\n");
  CHECK(number(1.0) == "1\n");
  CHECK(number(-0.0) == "0\n");
  CHECK(number(0.1) == "0.1\n");
  CHECK(number(0.0001) == "0.0001\n");
  CHECK(number(0.00001) == "1e-05\n");
  CHECK(number(123456.5) == "123456.5\n");
  CHECK(number(1234567.5) == "1.2345675e+06\n");
  CHECK(number(1e6) == "1000000\n");
  CHECK(number(1e21) == "1e+21\n");
  CHECK(number(-1e300) == "-1e+300\n");
  CHECK(number(std::nan("")) == ".nan\n");
  CHECK(number(-HUGE_VAL) == "-.inf\n");
}
