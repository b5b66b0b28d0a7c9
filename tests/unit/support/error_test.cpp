#include "support/error.hpp"

#include <doctest/doctest.h>

using namespace kubestrap;

TEST_CASE("a problem is described with its place, its field and what was expected") {
  Problem problem{"cluster.yaml:14:3", "networking.podSubnet", "\"x\" is not a CIDR", "a range like 10.244.0.0/16"};
  CHECK(describe(problem) ==
        "cluster.yaml:14:3: networking.podSubnet: \"x\" is not a CIDR (expected a range like 10.244.0.0/16)");
}

TEST_CASE("a problem without a place is its message") { CHECK(describe({.message = "it is wrong"}) == "it is wrong"); }

TEST_CASE("problems are reported all at once, one a line") {
  Problems problems({{.where = "a:1:1", .message = "first"}, {.where = "a:2:1", .message = "second"}});
  CHECK(problems.message() == "a:1:1: first\na:2:1: second");
  CHECK(problems.exitCode() == ExitCode::usage);
  CHECK(problems.list().size() == 2);
}

TEST_CASE("an error collects the steps during which it happened, the innermost first") {
  auto sign = [] { while_("signing apiserver", [] { throw Error("no key", "make one"); }); };
  try {
    while_("phase certs", sign);
    FAIL("nothing was thrown");
  } catch (const Error& error) {
    CHECK(error.contexts() == std::vector<std::string>{"signing apiserver", "phase certs"});
    CHECK(error.message() == "no key");
    CHECK(error.hint() == "make one");
    CHECK(std::string(error.what()) == "no key");
  }
}

TEST_CASE("a step without errors gives its result, references included") {
  int number = 1;
  int& same = while_("adding", [&]() -> int& { return ++number; });
  CHECK(&same == &number);
  CHECK(number == 2);
}

TEST_CASE("an interruption has an exit code of its own") { CHECK(Interrupted().exitCode() == ExitCode::interrupted); }
