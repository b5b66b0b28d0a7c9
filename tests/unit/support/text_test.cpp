#include "support/text.hpp"

#include <doctest/doctest.h>

using namespace kubestrap;
using Strings = std::vector<std::string>;

TEST_CASE("the last line of a text is the last that says something") {
  CHECK(lastLine("one\n  two \n\n") == "two");
  CHECK(lastLine(" \n\n").empty());
  CHECK(lastLine("").empty());
}

TEST_CASE("split keeps empty parts, but nothing has no parts") {
  CHECK(split("a,,b", ',') == Strings{"a", "", "b"});
  CHECK(split("a", ',') == Strings{"a"});
  CHECK(split(",", ',') == Strings{"", ""});
  CHECK(split("", ',').empty());
}

TEST_CASE("join is the opposite of split") {
  CHECK(join(Strings{"a", "", "b"}, ",") == "a,,b");
  CHECK(join(Strings{"a"}, ", ") == "a");
  CHECK(join(Strings{}, ",") == "");
}

TEST_CASE("trim takes white space from both ends") {
  CHECK(trim(" \t a b\r\n") == "a b");
  CHECK(trim(" \n") == "");
  CHECK(trim("") == "");
}

TEST_CASE("lower changes ASCII letters only") { CHECK(lower("ABC-xyz-Ä") == "abc-xyz-Ä"); }

TEST_CASE("replaceAll does not look at what it has put in") {
  CHECK(replaceAll("aaa", "a", "aa") == "aaaaaa");
  CHECK(replaceAll("a-b-c", "-", "") == "abc");
  CHECK(replaceAll("abc", "", "x") == "abc");
}

TEST_CASE("nearest finds what a slip was meant to be") {
  Strings words = {"init", "join", "reset", "upgrade", "podSubnet", "serviceSubnet"};
  CHECK(nearest("inti", words) == "init");
  CHECK(nearest("upgade", words) == "upgrade");
  CHECK(nearest("podsubnet", words) == "podSubnet");
  CHECK(nearest("podSubnets", words) == "podSubnet");
  CHECK(nearest("serviceNet", words) == "serviceSubnet");
}

TEST_CASE("texts of megabytes cost no more than their length") {
  Strings words = {"init", "join"};
  CHECK(nearest(std::string(2'000'000, 'i'), words) == "");
  CHECK(replaceAll(std::string(2'000'000, '/'), "/", "~1").size() == 4'000'000);
}

TEST_CASE("nearest is silent when nothing is near") {
  Strings words = {"init", "join"};
  CHECK(nearest("certs", words) == "");
  CHECK(nearest("jn", words) == "");
  CHECK(nearest("", words) == "");
  CHECK(nearest("init", Strings{}) == "");
}

TEST_CASE("DNS labels") {
  for (const char* good : {"a", "n1", "a-b", "0", "a--b"}) CHECK(isDns1123Label(good));
  for (const char* bad : {"", "-a", "a-", "A", "a.b", "a_b", "ä"}) CHECK_FALSE(isDns1123Label(bad));
  CHECK(isDns1123Label(std::string(63, 'a')));
  CHECK_FALSE(isDns1123Label(std::string(64, 'a')));
}

TEST_CASE("DNS subdomains") {
  for (const char* good : {"a", "a.b", "n1.example.org", "1.2"}) CHECK(isDns1123Subdomain(good));
  for (const char* bad : {"", ".", "a.", ".a", "a..b", "a.-b", "*.a", "A.b"}) CHECK_FALSE(isDns1123Subdomain(bad));
  CHECK_FALSE(isDns1123Subdomain(std::string(254, 'a')));
}

TEST_CASE("DNS wildcards") {
  CHECK(isWildcardDns1123Subdomain("*.example.org"));
  for (const char* bad : {"*", "*.", "a.*.b", "example.org", "**.a", "*a.b"})
    CHECK_FALSE(isWildcardDns1123Subdomain(bad));
}

TEST_CASE("a table has columns as wide as their widest cell and no blanks at its right edge") {
  CHECK(table({{"NAME", "EXPIRES", ""}, {"apiserver", "364d", "new"}, {"ca", "10y"}}) == "NAME        EXPIRES\n"
                                                                                         "apiserver   364d      new\n"
                                                                                         "ca          10y\n");
}

TEST_CASE("a table counts characters, not octets") { CHECK(table({{"ä", "b"}, {"xy", "c"}}) == "ä    b\nxy   c\n"); }

TEST_CASE("a table without rows is nothing") { CHECK(table({}) == ""); }
