// The live object in the words of the wanted one: what a plan lays beside it.
#include "plan/declared.hpp"

#include <doctest/doctest.h>

using namespace kubestrap;
using namespace kubestrap::plan;

TEST_CASE("what the server and others have added is not shown") {
  const Value wanted{{"kind", "ConfigMap"}, {"metadata", {{"name", "a"}}}, {"data", {{"x", "2"}}}};
  const Value live{{"kind", "ConfigMap"},
                   {"metadata", {{"uid", "1"}, {"name", "a"}, {"labels", {{"theirs", "1"}}}, {"managedFields", Value::array()}}},
                   {"data", {{"x", "1"}, {"theirs", "1"}}},
                   {"status", {{"phase", "there"}}}};
  CHECK(asDeclared(live, wanted) == Value{{"kind", "ConfigMap"}, {"metadata", {{"name", "a"}}}, {"data", {{"x", "1"}}}});
}

TEST_CASE("what means the same is shown in the wanted words") {
  const Value wanted{{"spec", {{"volumes", Value::array({{{"name", "v"}, {"emptyDir", Value::object()}}})}, {"count", 1}, {"x", "2"}}}};
  const Value live{{"spec", {{"x", "1"}, {"count", 1.0}, {"volumes", Value::array({{{"name", "v"}, {"added", "1"}}})}}}};
  auto expected = wanted;
  expected["spec"]["x"] = "1";
  CHECK(asDeclared(live, wanted) == expected);
}

TEST_CASE("items of lists are held against those of their name, and others shown whole") {
  const auto list = [](const Value& first, const Value& second) { return Value{{"containers", Value::array({first, second})}}; };
  const Value a{{"name", "a"}, {"image", "1"}}, b{{"name", "b"}, {"image", "1"}}, c{{"name", "c"}, {"image", "1"}, {"x", "1"}};
  auto lived = b;
  lived["image"] = "0", lived["added"] = "1";
  auto shown = b;
  shown["image"] = "0";
  CHECK(asDeclared(list(c, lived), list(a, b)) == list(c, shown));
  CHECK(asDeclared(Value{{"args", Value::array({"x", "y", "z"})}}, Value{{"args", Value::array({"x"})}}) ==
        Value{{"args", Value::array({"x", "y", "z"})}});
}

TEST_CASE("what is ours and goes is shown") {
  Value live{{"metadata", {{"name", "a"}}}, {"data", {{"x.y", "1"}, {"z", "1"}, {"theirs", "1"}}}};
  live["metadata"]["managedFields"] =
      Value::array({{{"manager", "kubestrap"},
                     {"operation", "Apply"},
                     {"fieldsV1", {{"f:data", {{"f:x.y", Value::object()}, {"f:z", Value::object()}}}}}}});
  const Value wanted{{"metadata", {{"name", "a"}}}, {"data", {{"z", "1"}}}};
  CHECK(asDeclared(live, wanted) == Value{{"metadata", {{"name", "a"}}}, {"data", {{"z", "1"}, {"x.y", "1"}}}});
  const auto unwanted = ownedButUnwanted(live, wanted);
  REQUIRE(unwanted.size() == 1);
  CHECK(unwanted.front().dotted == "data.x.y");
}

TEST_CASE("what is ours and goes is found in the items of lists as well") {
  const auto spec = [](Value container) { return Value{{"spec", {{"containers", Value::array({Value{{"name", "x"}}, std::move(container)})}}}}; };
  auto live = spec({{"name", "y"}, {"image", "1"}, {"args", Value::array({"a"})}, {"terminationMessagePath", "/dev"}});
  live["metadata"]["managedFields"] = Value::array({{{"manager", "kubestrap"},
                                                     {"operation", "Apply"},
                                                     {"fieldsV1", parseJson(R"({"f:spec": {"f:containers": {
                                                       "k:{\"name\":\"x\"}": {".": {}, "f:name": {}},
                                                       "k:{\"name\":\"y\"}": {".": {}, "f:name": {}, "f:image": {}, "f:args": {}}}}})")}}});
  const auto wanted = spec({{"name", "y"}, {"image", "1"}});
  const auto unwanted = ownedButUnwanted(live, wanted);
  REQUIRE(unwanted.size() == 1);
  CHECK(unwanted.front().dotted == "spec.containers[1].args");
  CHECK(asDeclared(live, wanted) == spec({{"name", "y"}, {"image", "1"}, {"args", Value::array({"a"})}}));
}
