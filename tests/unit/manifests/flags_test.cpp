#include "manifests/flags.hpp"

#include <doctest/doctest.h>

using namespace kubestrap;
using manifests::flagList;
using Flags = std::vector<std::string>;

TEST_CASE("base flags come first, sorted by name and value") {
  CHECK(flagList({{"b", "2"}, {"a", "1"}, {"b", "1"}}, {}) == Flags{"--a=1", "--b=1", "--b=2"});
}

TEST_CASE("a flag of the operator's takes the place of every base flag of that name and goes to the end") {
  const std::vector<config::Arg> extra = {{"a", "mine"}};
  CHECK(flagList({{"a", "1"}, {"a", "2"}, {"b", "3"}}, extra) == Flags{"--b=3", "--a=mine"});
}

TEST_CASE("flags of the operator's keep their order and may repeat") {
  const std::vector<config::Arg> extra = {{"z", "1"}, {"c", "2"}, {"z", "0"}};
  CHECK(flagList({{"b", "3"}}, extra) == Flags{"--b=3", "--z=1", "--c=2", "--z=0"});
}

TEST_CASE("values are taken as they are, empty ones and equals signs included") {
  const std::vector<config::Arg> extra = {{"feature-gates", "A=true,B=false"}};
  CHECK(flagList({{"cluster-signing-key-file", ""}}, extra) ==
        Flags{"--cluster-signing-key-file=", "--feature-gates=A=true,B=false"});
}

TEST_CASE("the last of several values of a flag is the one that counts") {
  const std::vector<config::Arg> args = {{"a", "1"}, {"a", "2"}};
  CHECK(*manifests::lastValue(args, "a") == "2");
  CHECK(manifests::lastValue(args, "b") == nullptr);
  CHECK(manifests::flagOf(std::vector<std::string>{"etcd", "--a=1", "--a=2", "--ab=3"}, "a") == "2");
  CHECK(manifests::flagOf(std::vector<std::string>{"etcd", "--ab=3"}, "a") == "");
}
