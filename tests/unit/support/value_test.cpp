#include "support/value.hpp"

#include "tests/unit/support/message_of.hpp"

#include <doctest/doctest.h>

using namespace kubestrap;
using Strings = std::vector<std::string>;

namespace {
Value json(const char* text) { return Value::parse(text); }
} // namespace

TEST_CASE("members are found by dotted paths, items of lists by their number") {
  auto pod = json(R"({"spec": {"containers": [{"name": "a"}, {"name": "b"}], "": 1}})");
  CHECK(*find(pod, "spec.containers.1.name") == "b");
  CHECK(find(pod, "") == &pod);
  CHECK(find(pod, "spec.volumes") == nullptr);
  CHECK(find(pod, "spec.containers.2") == nullptr);
  CHECK(find(pod, "spec.containers.x") == nullptr);
  CHECK(find(pod, "spec.containers.0.name.x") == nullptr);
}

TEST_CASE("a text is given, or what stands for it") {
  auto pod = json(R"({"metadata": {"name": "a", "generation": 1}})");
  CHECK(stringAt(pod, "metadata.name") == "a");
  CHECK(stringAt(pod, "metadata.namespace", "default") == "default");
  CHECK(stringAt(pod, "metadata.generation", "none") == "none");
}

TEST_CASE("documents are the same when only the order of keys differs") {
  CHECK(sameDocument(json(R"({"a": 1, "b": {"c": 1, "d": 2}})"), json(R"({"b": {"d": 2, "c": 1.0}, "a": 1})")));
  CHECK_FALSE(sameDocument(json(R"({"a": [1, 2]})"), json(R"({"a": [2, 1]})")));
  CHECK_FALSE(sameDocument(json(R"({"a": 1})"), json(R"({"a": 1, "b": null})")));
  CHECK_FALSE(sameDocument(json(R"({"a": 1, "c": 1})"), json(R"({"a": 1, "b": 1})")));
  CHECK_FALSE(sameDocument(json("1"), json("\"1\"")));
}

TEST_CASE("an object is covered by one in which defaults were filled") {
  auto live = json(R"({"spec": {"replicas": 2, "template": {"x": 1}, "list": [{"a": 1, "b": 2}]}, "status": {}})");
  CHECK(covers(live, json(R"({"spec": {"replicas": 2.0, "list": [{"b": 2}]}})")));
  CHECK_FALSE(covers(live, json(R"({"spec": {"replicas": 3}})")));
  CHECK_FALSE(covers(live, json(R"({"spec": {"list": []}})")));
  CHECK_FALSE(covers(live, json(R"({"spec": {"list": [{"a": 1}, {"a": 1}]}})")));
  CHECK_FALSE(covers(live, json(R"({"spec": []})")));
}

TEST_CASE("nothing, an empty mapping and an empty list are covered by nothing") {
  auto live = json(R"({"a": null, "d": "2026-11-22T18:46:44Z"})");
  CHECK(covers(live, json(R"({"a": {}, "b": [], "c": null, "d": null})")));
  CHECK(covers(json("null"), json("{}")));
  CHECK_FALSE(covers(live, json(R"({"b": ""})")));
  CHECK_FALSE(covers(live, json(R"({"b": {"c": {}}})")));
}

TEST_CASE("differences name the places, the first few of them") {
  auto found = json(R"({"a": 1, "b": {"c": [{"d": 1}, {"d": 2}]}, "e": [1]})");
  auto wanted = json(R"({"a": 2, "b": {"c": [{"d": 1}, {"d": 3}]}, "e": [1, 2], "f": {"g": 1}})");
  CHECK(differences(found, wanted) == Strings{"a", "b.c[1].d", "e", "f"});
  CHECK(differences(found, wanted, 2) == Strings{"a", "b.c[1].d"});
  CHECK(differences(found, found).empty());
  CHECK(differences(json("[]"), json("{}")) == Strings{"."});
}

TEST_CASE("keys are sorted as Go's YAML has them: numbers by value, letters last") {
  auto document =
      json(R"({"b": [{"z": 1, "a": 2}], "n10": 1, "n2": 1, "ca.crt": 1, "caBundle": 1, "_a": 1, "B": 1, "0": 1})");
  CHECK(sorted(document).dump() ==
        R"({"_a":1,"0":1,"B":1,"b":[{"a":2,"z":1}],"ca.crt":1,"caBundle":1,"n2":1,"n10":1})");
  CHECK(sorted(json(R"({"a10": 1, "a1": 1, "a01": 1, "a100": 1, "a11": 1})")).dump() ==
        R"({"a1":1,"a01":1,"a10":1,"a11":1,"a100":1})");
}

TEST_CASE("a JSON patch adds, removes, replaces, moves, copies and tests") {
  auto document = json(R"({"a": {"b": [1, 2, 3]}, "c/d": "x"})");
  auto patched = applyJsonPatch(document, json(R"([
    {"op": "test", "path": "/c~1d", "value": "x"},
    {"op": "add", "path": "/a/b/1", "value": 9},
    {"op": "add", "path": "/a/b/-", "value": 4},
    {"op": "remove", "path": "/a/b/0"},
    {"op": "replace", "path": "/c~1d", "value": {"n": null}},
    {"op": "copy", "from": "/a/b", "path": "/copy"},
    {"op": "move", "from": "/a/b/0", "path": "/first"},
    {"op": "add", "path": "/e", "value": []}
  ])"));
  CHECK(patched.dump() == R"({"a":{"b":[2,3,4]},"c/d":{"n":null},"copy":[9,2,3,4],"first":9,"e":[]})");
}

TEST_CASE("a JSON patch may replace or test the whole document, whatever the order of its keys") {
  auto document = json(R"({"a": 1, "b": 2})");
  CHECK(applyJsonPatch(document, json(R"([{"op": "test", "path": "", "value": {"b": 2, "a": 1}}])")) == document);
  CHECK(applyJsonPatch(document, json(R"([{"op": "replace", "path": "", "value": 5}])")) == 5);
}

TEST_CASE("a JSON patch that does not apply says which operation, and why") {
  auto reason = [](const char* patch) {
    return messageOf([&] { applyJsonPatch(json(R"({"a": [1], "b": 2})"), json(patch)); });
  };
  CHECK(reason(R"([{"op": "remove", "path": "/x/y"}])") ==
        "JSON patch, operation 1 (remove /x/y): there is no \"x\" at that path");
  CHECK(reason(R"([{"op": "replace", "path": "/x", "value": 1}])").ends_with("there is no \"x\" at that path"));
  CHECK(reason(R"([{"op": "add", "path": "/a/2", "value": 1}])").ends_with("the list has no place \"2\""));
  CHECK(reason(R"([{"op": "add", "path": "/b/c", "value": 1}])").ends_with("neither a mapping nor a list"));
  CHECK(reason(R"([{"op": "test", "path": "/b", "value": 3}])").ends_with("the value there is another one"));
  CHECK(reason(R"([{"op": "add", "path": "a", "value": 3}])").ends_with("does not start with a slash"));
  CHECK(reason(R"([{"op": "move", "from": "/a", "path": "/a/0"}])").ends_with("cannot be moved into itself"));
  CHECK(reason(R"([{"op": "add", "path": "/a"}])").ends_with("\"value\" is missing"));
  CHECK(reason(R"([{"path": "/a"}])") == "JSON patch, operation 1: \"op\" is missing");
  CHECK(reason(R"([{"op": "wish", "path": "/a"}])").ends_with("its operation is unknown"));
  CHECK(reason(R"([1])") == "JSON patch, operation 1: it is not a mapping");
  CHECK(reason(R"({"op": "add"})").ends_with("this one is not a list"));
}

TEST_CASE("a merge patch removes with null and replaces lists") {
  auto patched =
      applyMergePatch(json(R"({"a": {"b": 1, "c": 2}, "l": [1, 2]})"), json(R"({"a": {"b": null, "d": 3}, "l": [3]})"));
  CHECK(patched.dump() == R"({"a":{"c":2,"d":3},"l":[3]})");
  CHECK_THROWS_AS(applyMergePatch(json("{}"), json("[]")), Error);
}

TEST_CASE("JSON is read, or refused with its place") {
  CHECK(parseJson(R"({"b": 1, "a": [true]})").dump() == R"({"b":1,"a":[true]})");
  CHECK(messageOf([] { parseJson("{\n  \"a\": x\n}", "answer"); }).starts_with("answer:2:8: syntax error"));
  CHECK(messageOf([] { parseJson("{\"key\": \"a private one"); }).find("private") == std::string::npos);
  CHECK(messageOf([] { parseJson(""); }).starts_with("JSON:1:1: syntax error"));
  CHECK(messageOf([] { parseJson("\"\xff\""); }).starts_with("JSON:1:2: "));
  CHECK(messageOf([] { parseJson("[1e999]"); }).starts_with("JSON: "));
}
