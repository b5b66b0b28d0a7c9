#include "support/yaml.hpp"

#include "tests/unit/support/message_of.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <chrono>

using namespace kubestrap;

namespace {
/// What a text means, as JSON on one line.
std::string read(std::string_view text) { return parseYamlValue(text, "file").dump(); }
/// What is wrong with a text, one problem a line.
std::string refusal(std::string_view text) {
  return messageOf([&] { parseYaml(text, "file"); });
}

std::string repeated(std::size_t times, std::string_view text) {
  std::string result;
  for (std::size_t i = 0; i < times; ++i) result += text;
  return result;
}
} // namespace

TEST_CASE("a document keeps the order of its keys") {
  CHECK(read("b: 1\na:\n- x\n- y: 2\n  z: [1, {q: 'r'}]\n") == R"({"b":1,"a":["x",{"y":2,"z":[1,{"q":"r"}]}]})");
}

TEST_CASE("plain scalars have the types of YAML 1.2's core schema") {
  CHECK(read("[null, Null, NULL, ~, ]") == "[null,null,null,null]");
  CHECK(read("[true, True, TRUE, false, False, FALSE]") == "[true,true,true,false,false,false]");
  CHECK(read("[0, -1, +2, 0o17, 0x1F, 007]") == "[0,-1,2,15,31,7]");
  CHECK(read("[1.5, -.5, 1., 1e3, 1.5E-1, +1.0]") == "[1.5,-0.5,1.0,1000.0,0.15,1.0]");
  CHECK(read("[yes, no, on, off, y, tRUE, nULL, 1_000, 12:30, 0b1, 1e, ., +, -x, 0x, 2026-11-22]") ==
        R"(["yes","no","on","off","y","tRUE","nULL","1_000","12:30","0b1","1e",".","+","-x","0x","2026-11-22"])");
}

TEST_CASE("numbers beyond 64 bits become doubles, as in JSON") {
  CHECK(parseYamlValue("9223372036854775807", "f").is_number_integer());
  CHECK(parseYamlValue("18446744073709551615", "f").get<std::uint64_t>() == ~std::uint64_t{0});
  CHECK(parseYamlValue("-9223372036854775808", "f").get<std::int64_t>() == std::numeric_limits<std::int64_t>::min());
  CHECK(parseYamlValue("18446744073709551616", "f") == 18446744073709551616.0);
  CHECK(parseYamlValue("0x10000000000000000", "f") == 18446744073709551616.0);
  CHECK(parseYamlValue("1e-999", "f") == 0.0);
}

TEST_CASE("quotes make a text of everything") {
  CHECK(read("a: 'true'\nb: \"1\"\nc: ''\nd: 'it''s'\ne: \"\\ttab\\u00e4\\N\\_\\\"\"\n") ==
        "{\"a\":\"true\",\"b\":\"1\",\"c\":\"\",\"d\":\"it's\",\"e\":\"\\ttab\xc3\xa4\xc2\x85\xc2\xa0\\\"\"}");
}

TEST_CASE("core tags give types, other tags are refused") {
  CHECK(read("a: !!str 1\nb: !!int '5'\nc: !!float 1\nd: ! 1\ne: !!bool true\nf: !!map {}\ng: !!seq []\n") ==
        R"({"a":"1","b":5,"c":1.0,"d":"1","e":true,"f":{},"g":[]})");
  CHECK(refusal("a: !secret x\nb: !!binary aGk=\nc: !!set {x}\nd: !!int x\n") ==
        "file:1:4: a: the tag !secret is not supported (expected a value without a tag)\n"
        "file:2:4: b: the tag !!binary is not supported (expected a value without a tag)\n"
        "file:3:4: c: the tag !!set is not supported (expected a value without a tag)\n"
        "file:4:4: d: \"x\" does not fit its tag !!int");
}

TEST_CASE("blocks of text keep or fold their lines") {
  CHECK(read("a: |\n  x\n   y\n\n  z\nb: |-\n  x\nc: |+\n  x\n\nd: >-\n  x\n  y\ne: |2\n   x\n") ==
        R"({"a":"x\n y\n\nz\n","b":"x","c":"x\n\n","d":"x y","e":" x\n"})");
}

TEST_CASE("a last line without its end reads like one with it") {
  CHECK(read("a: |\n  x") == R"({"a":"x\n"})");
  CHECK(read("a: >-\n  x\n  ") == R"({"a":"x"})");
  CHECK(read("a: 'x'") == R"({"a":"x"})");
}

TEST_CASE("aliases repeat what their anchor named") {
  CHECK(read("a: &x {b: 1}\nc: *x\nd: &y text\n*y : 2\n") == R"({"a":{"b":1},"c":{"b":1},"d":"text","text":2})");
  CHECK(refusal("a: &x [*x]\n") == "file:1:8: a[0]: an alias stands inside of what it repeats");
  CHECK(refusal("a: *nobody\n").starts_with("file:1:4: an alias names an anchor that does not exist"));
}

TEST_CASE("anchors are forgotten at the end of a document") {
  CHECK(refusal("a: &x 1\n---\nb: *x\n").starts_with("file:3:4: an alias names an anchor"));
}

TEST_CASE("keys that are numbers become text, as they stand there") {
  CHECK(read("1: a\n0x1F: b\ntrue: c\n1.50: d\n") == R"({"1":"a","0x1F":"b","true":"c","1.50":"d"})");
}

TEST_CASE("keys that are nothing, a mapping or a list are refused") {
  CHECK(refusal("null: 1\n~: 2\n: 3\n").find("file:2:1: a key is empty or null") != std::string::npos);
  CHECK(refusal("a:\n  ? {b: 1}\n  : 2\n  c: .inf\n") ==
        "file:2:5: a: a mapping or a list stands where a key should (expected a text as key)\n"
        "file:4:6: a.c: .inf cannot be expressed in JSON (expected a finite number)");
  CHECK(refusal("a: {{ .Values.x }}\n").starts_with("file:1:5: a: a mapping or a list stands where a key should"));
}

TEST_CASE("a key that is given twice is reported with both places") {
  CHECK(refusal("a:\n  b: 1\n  c: 2\n  b: 3\n") == "file:4:3: a.b: the key \"b\" is given twice, before on line 2");
  CHECK(refusal("- x: {a: 1, a: 2}\n") == "file:1:13: [0].x.a: the key \"a\" is given twice, before on line 1");
}

TEST_CASE("what a repeated key holds is not compared with what the first one held") {
  CHECK(refusal("a: {x: 1}\na: {x: 2, y: .nan}\n") ==
        "file:2:1: a: the key \"a\" is given twice, before on line 1\n"
        "file:2:14: a.y: .nan cannot be expressed in JSON (expected a finite number)");
}

TEST_CASE("merge keys are refused, a quoted << is a key") {
  CHECK(refusal("a: &x {b: 1}\nc:\n  <<: *x\n") ==
        "file:3:3: c: merge keys (<<) are not supported: write the members out");
  CHECK(read("'<<': 1\n") == R"({"<<":1})");
}

TEST_CASE("numbers that JSON lacks are refused") {
  CHECK(refusal("a: .nan\n") == "file:1:4: a: .nan cannot be expressed in JSON (expected a finite number)");
  CHECK(refusal("a: 1e999\n") ==
        "file:1:4: a: the number 1e999 is too large (expected quotes around it if it is a text)");
}

TEST_CASE("a number that is octal in YAML 1.1 and decimal in YAML 1.2 is refused") {
  CHECK(refusal("defaultMode: 0644\n") == "file:1:14: defaultMode: 0644 is octal to some readers and decimal to others "
                                          "(expected 0o644 if it is octal, quotes "
                                          "if it is a text)");
  CHECK(read("[0o644, 08, 00, 0]") == "[420,8,0,0]");
}

TEST_CASE("tabs for indentation are refused where they stand") {
  CHECK(refusal("a:\n\tb: 1\n") == "file:2:1: a tab is used for indentation (expected spaces)");
  CHECK(refusal("a:\n  b: 1\n\tc: 2\n") == "file:3:1: a tab is used for indentation (expected spaces)");
  CHECK(refusal("a:\n\t- b\n") == "file:2:1: a tab is used for indentation (expected spaces)");
  CHECK(refusal("a:\n  \tb\n") == "file:2:3: a tab is used for indentation (expected spaces)");
}

TEST_CASE("tabs elsewhere are fine") {
  CHECK(read("a:\t1\t# comment\n\t\nb: |\n  \tx\n") == R"({"a":1,"b":"\tx\n"})");
  CHECK(read("a: {\n\tb: 1,\n\tc: [\n\t\t2 ]}\n") == R"({"a":{"b":1,"c":[2]}})");
}

TEST_CASE("a byte order mark and Windows line ends are accepted") {
  CHECK(read("\xef\xbb\xbf"
             "a: |\r\n  x\r\n  y\r\nb: 1\r\n") == R"({"a":"x\ny\n","b":1})");
}

TEST_CASE("what is no text is refused") {
  CHECK(refusal("a: \xff\n") == "file:1:4: an octet that is not UTF-8 (0xff) is no part of a text (expected UTF-8)");
  CHECK(refusal(std::string_view("a: 1\n\0", 6)) ==
        "file:2:1: a control character (0x00) is no part of a text (expected UTF-8)");
  CHECK(refusal("\x1f\x8b") != "");
  for (const char* foreign :
       {"\x80", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf0\x80\x80\x80", "\xf4\x90\x80\x80", "\xc3"})
    CHECK(refusal(foreign) != "");
}

TEST_CASE("documents come one by one, empty ones are left out") {
  auto documents = parseYaml("# nothing\n---\n---\na: 1\n...\n---\n# nothing\n--- |\n  text\n--- null\n", "file");
  REQUIRE(documents.size() == 3);
  CHECK(documents[0].value.dump() == R"({"a":1})");
  CHECK(documents[1].value == "text\n");
  CHECK(documents[2].value.is_null());
  CHECK(parseYaml("", "file").empty());
  CHECK(parseYaml("\n# only a comment\n", "file").empty());
}

TEST_CASE("exactly one document is asked for") {
  CHECK(messageOf([] { parseYamlValue("# nothing\n", "file"); }) == "file holds no document");
  CHECK(messageOf([] { parseYamlValue("a: 1\n---\nb: 1\n", "file"); }) ==
        "file holds 2 documents where one is expected");
}

TEST_CASE("directives are read before a document only") {
  CHECK(read("%YAML 1.2\n# comment\n---\na: 1\n") == R"({"a":1})");
  CHECK(refusal("a: 1\n%b: 2\n") == "file:2:1: no line can start with %, unless \"---\" follows");
}

TEST_CASE("mistakes that yaml-cpp would let pass are refused") {
  CHECK(refusal("a: 'x\nb: 1\n") == "file:3:1: a quoted text has no closing quote (it begins on line 1 or later)");
  CHECK(refusal("a: \"x\n").starts_with("file:2:1: a quoted text has no closing quote"));
  CHECK(refusal("a: 1\nb 2\n") == "file:2:1: b 2: a key lacks its colon");
  CHECK(refusal("- a: 1\n  b\n") == "file:2:3: [0].b: a key lacks its colon");
  CHECK(refusal("a: [1,, 2]\n") == "file:1:7: a[1]: an item is missing before this comma");
  CHECK(refusal("a:\n'b'\nc: 1\n") == "file:2:1: a: a value on a line of its own has to be indented more than its key");
  CHECK(refusal("{a: 1} b\n") ==
        "file:1:8: this does not belong to the document that ends before it (expected a line \"---\" between)");
  CHECK(refusal("  a: 1\nb: 2\n") ==
        "file:2:1: this does not belong to the document that ends before it (expected a line \"---\" between)");
}

TEST_CASE("what no document can begin with ends the reading, also after an end mark") {
  for (const auto* text : {"...\n, a\n", "...\n,+\n..\n: ", "a: 1\n...\n, b\n"}) {
    CAPTURE(text);
    CHECK(refusal(text).find("no document can begin with this") != std::string::npos);
  }
}

TEST_CASE("mistakes are explained with line and column") {
  CHECK(refusal("a: b: c\n").starts_with("file:1:5: a colon stands where none can"));
  CHECK(refusal("a:\n  b 1\n  c: 2\n").starts_with("file:3:4: a colon stands where none can"));
  CHECK(refusal("a: [1, 2\nb: 3\n").find("has no ]") != std::string::npos);
  CHECK(refusal("a: {b: 1\n").find("has no }") != std::string::npos);
  CHECK(refusal("a: ]\n") == "file:1:4: a } or ] has nothing to close");
  CHECK(refusal("a: @x\n") == "file:1:4: no value can start with this character: a text that does needs quotes");
  CHECK(refusal("a: \"\\q\"\n").find("a backslash that starts no escape") != std::string::npos);
  CHECK(refusal("a: \"\\\xc3\xa4\"\n").find("a backslash that starts no escape") != std::string::npos);
  CHECK(refusal("a: 'b' c\n").starts_with("file:1:8: this does not fit the mapping around it"));
  CHECK(refusal("a: | x\n  y\n") == "file:1:6: only a comment may follow the | or > of a block of text");
}

TEST_CASE("everything that is wrong is reported at once, over all documents") {
  CHECK(refusal("a: 'x\n---\nb: 1\nb: 2\n---\nc: [\n---\nd: .nan\n") ==
        "file:2:1: a quoted text has no closing quote (it begins on line 1 or later)\n"
        "file:4:1: b: the key \"b\" is given twice, before on line 3\n"
        "file:7:1: a [ has no ], or a comma is missing\n"
        "file:8:4: d: .nan cannot be expressed in JSON (expected a finite number)");
}

TEST_CASE("columns count characters") {
  CHECK(refusal("ä: {ö: 1, ü: .nan}\n") ==
        "file:1:14: ä.ü: .nan cannot be expressed in JSON (expected a finite number)");
}

TEST_CASE("a document knows where its members stood") {
  auto document =
      parseYaml("# c\nnetworking:\n  podSubnet: x\n  a/b~c:\n  - one\n  - two: {three: 3}\n", "cluster.yaml").at(0);
  CHECK(document.where("/networking/podSubnet") == "cluster.yaml:3:3");
  CHECK(document.where("/networking/a~1b~0c") == "cluster.yaml:4:3");
  CHECK(document.where("/networking/a~1b~0c/0") == "cluster.yaml:5:5");
  CHECK(document.where("/networking/a~1b~0c/1/two") == "cluster.yaml:6:5");
  CHECK(document.where("/networking/a~1b~0c/1/two/three") == "cluster.yaml:6:11");
}

TEST_CASE("what a document lacks stands where its nearest ancestor does") {
  auto document = parseYaml("\na:\n  b: 1\n", "file").at(0);
  CHECK(document.where("/a/c/d") == "file:2:1");
  CHECK(document.where("/x") == "file:2:1");
  CHECK(document.where("") == "file:2:1");
  CHECK(Document{.value = {}, .source = "flags", .positions = {}}.where("/x/y") == "flags");
}

TEST_CASE("JSON is read with places, too") {
  auto document =
      parseYaml("{\n\t\"a\\\"\": [1, -2.5e3 , true,\tnull, \"x\\\"\"],\n\t\"é\": {}, \"z\": \"\\ud83d\\ude00\\/\"\n}\n",
                "f.json")
          .at(0);
  CHECK(document.value.dump() == "{\"a\\\"\":[1,-2500.0,true,null,\"x\\\"\"],\"é\":{},\"z\":\"😀/\"}");
  CHECK(document.where("/a\"") == "f.json:2:2");
  CHECK(document.where("/a\"/0") == "f.json:2:10");
  CHECK(document.where("/a\"/1") == "f.json:2:13");
  CHECK(document.where("/a\"/2") == "f.json:2:22");
  CHECK(document.where("/a\"/3") == "f.json:2:28");
  CHECK(document.where("/a\"/4") == "f.json:2:34");
  CHECK(document.where("/é") == "f.json:3:2");
  CHECK(document.where("/z") == "f.json:3:11");
}

TEST_CASE("JSON has the same rules as YAML") {
  CHECK(refusal("{\"a\": 1,\n \"a\": 2}") == "file:2:2: a: the key \"a\" is given twice, before on line 1");
  CHECK(refusal("{\"a\" 1}").starts_with("file:1:6: a { has no }, or a comma is missing"));
  CHECK(refusal("{\n\t\"a\": 1\n\t\"b\": 2\n}").find("tab") == std::string::npos);
  CHECK(refusal("[1e999]").starts_with("file:1:2: [0]: the number 1e999 is too large"));
  CHECK(refusal(repeated(101, "[") + repeated(101, "]")).find("nested too deep") != std::string::npos);
  CHECK(read("{\"a\": 1, b: 'x', # a comment\n}") == R"({"a":1,"b":"x"})"); // no JSON, but YAML
}

TEST_CASE("a document of 100 levels is read, a deeper one refused") {
  auto nested = [](std::size_t depth) { return repeated(depth, "- ") + "x\n"; };
  CHECK(parseYaml(nested(100), "file").size() == 1);
  CHECK(refusal(nested(101)) ==
        fmt::format("file:1:201: {}: the document is nested too deep (expected at most 100 levels)",
                    repeated(100, "[0]")));
  std::string mappings;
  for (std::size_t i = 0; i < 5000; ++i) mappings += std::string(i, ' ') + "a:\n";
  CHECK(refusal(mappings).find("nested too deep") != std::string::npos);
  CHECK(refusal(repeated(20000, "[")).find("nested too deep") != std::string::npos);
  CHECK(refusal("x: " + repeated(20000, "{a: ")).find("nested too deep") != std::string::npos);
}

TEST_CASE("aliases cannot make a document deep or endless") {
  std::string laughs = "a: &a [x, x, x, x, x, x, x, x, x, x]\n";
  for (char name = 'b'; name <= 'i'; ++name)
    laughs += fmt::format("{0}: &{0} [{1}]\n", name, repeated(9, fmt::format("*{}, ", static_cast<char>(name - 1))));
  CHECK(refusal(laughs).find("aliases make this document grow without end") != std::string::npos);

  std::string deep =
      "a: &a " + repeated(60, "[") + repeated(60, "]") + "\nb: " + repeated(60, "[") + "*a" + repeated(60, "]");
  CHECK(refusal(deep).find("nested too deep") != std::string::npos);

  std::string heavy = "a: &a \"" + std::string(100'000, 'x') + "\"\nb:\n" + repeated(1000, "- *a\n");
  CHECK(refusal(heavy).find("aliases make this document grow without end") != std::string::npos);
}

TEST_CASE("a large file is read fast enough to be parsed at every start") {
  std::string text;
  for (int i = 0; text.size() < 300'000; ++i)
    text += fmt::format(
        "- name: item-{}\n  spec:\n    image: registry.k8s.io/x:v{}\n    args: [\"--a={}\", '--b', c]\n", i, i, i);
  auto start = std::chrono::steady_clock::now();
  auto value = parseYamlValue(text, "file");
  std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
  CHECK(value.is_array());
  CHECK(taken.count() <
        2.0); // 0.04 s when optimised; the limit is for sanitizers on a busy machine, and against squares
}

TEST_CASE("a manifest as kubeadm writes it is read") {
  auto pod = parseYamlValue(R"(apiVersion: v1
kind: Pod
metadata:
  annotations:
    kubeadm.kubernetes.io/etcd.advertise-client-urls: https://10.0.0.1:2379
  creationTimestamp: null
spec:
  containers:
  - command:
    - etcd
    - --listen-client-urls=https://127.0.0.1:2379,https://10.0.0.1:2379
    livenessProbe:
      httpGet:
        port: probe-port
      timeoutSeconds: 15
status: {}
)",
                            "etcd.yaml");
  CHECK(pod["spec"]["containers"][0]["command"].size() == 2);
  CHECK(pod["spec"]["containers"][0]["livenessProbe"]["timeoutSeconds"] == 15);
  CHECK(pod["metadata"]["creationTimestamp"].is_null());
  CHECK(pod["status"] == Value::object());
}
