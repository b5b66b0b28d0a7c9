#include "plan/kinds.hpp"

#include <doctest/doctest.h>

using namespace kubestrap;
using namespace kubestrap::plan;

TEST_CASE("a line diff shows what goes and what comes, with three lines around") {
  CHECK(lineDiff("a\nb\nc\n", "a\nB\nc\n") == " a\n-b\n+B\n c\n");
  CHECK(lineDiff("1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\nfive\n6\n7\n8\n9\n") ==
        " 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n");
}

TEST_CASE("changes far apart are shown apart") {
  std::string before, after;
  for (int i = 0; i < 30; ++i) {
    before += std::to_string(i) + "\n";
    after += i == 2 || i == 25 ? "x\n" : std::to_string(i) + "\n";
  }
  CHECK(lineDiff(before, after) == " 0\n 1\n-2\n+x\n 3\n 4\n 5\n...\n 22\n 23\n 24\n-25\n+x\n 26\n 27\n 28\n");
}

TEST_CASE("a text that is new or gone is shown whole, equal ones not at all") {
  CHECK(lineDiff("", "a\nb\n") == "+a\n+b\n");
  CHECK(lineDiff("a\n", "") == "-a\n");
  CHECK(lineDiff("a\nb", "a\nb") == "");
  CHECK(lineDiff("", "") == "");
}

TEST_CASE("a last line without its end is a line") { CHECK(lineDiff("a", "b") == "-a\n+b\n"); }

TEST_CASE("a long diff is cut where the limit says") {
  CHECK(lineDiff("", "a\nb\nc\n", 2) == "+a\n+b\n...\n");
  CHECK(lineDiff("", "a\nb\n", 2) == "+a\n+b\n");
}

TEST_CASE("a fingerprint tells contents apart, and absence from emptiness") {
  CHECK(fingerprint(std::nullopt) == "absent");
  CHECK(fingerprint("a") == "ca978112ca1bbdca");
  CHECK(fingerprint("") != fingerprint(std::nullopt));
}
