#include "support/version.hpp"

#include "tests/unit/support/message_of.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace kubestrap;

TEST_CASE("a version is read with and without its v, and without a patch number") {
  CHECK(parseVersion("v1.37.2").string() == "1.37.2");
  CHECK(parseVersion("1.37.2").tag() == "v1.37.2");
  CHECK(parseVersion("1.37").string() == "1.37.0");
  CHECK(parseVersion("v1.38.0-alpha.1+0a1b2c").string() == "1.38.0-alpha.1+0a1b2c");
}

TEST_CASE("a version names tags of releases, images and minors") {
  auto version = parseVersion("v1.37.2-rc.1+build.5");
  CHECK(version.preRelease == "rc.1");
  CHECK(version.build == "build.5");
  CHECK(version.tag() == "v1.37.2-rc.1+build.5");
  CHECK(version.imageTag() == "v1.37.2-rc.1_build.5");
  CHECK(version.minorTag() == "v1.37");
}

TEST_CASE("what is no version is refused") {
  for (const char* text :
       {"", "v", "1", "1.", "1.37.", "1.37.2.1", "1.037.2", "1.37.2-", "1.37.2-01", "1.37.2-a..b", "1.37.2+",
        "1.37-rc.1", "-1.2.3", "vv1.2.3", "1.37.x", " 1.37.2", "latest", "1.99999999999.0", "1.2.3-ä"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(parseVersion(text), Error);
  }
  CHECK(messageOf([] { parseVersion("latest"); }) == "\"latest\" is not a version");
}

TEST_CASE("versions have the order of semver.org, section 11") {
  const char* ascending[] = {"1.0.0-alpha",  "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta",
                             "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1",       "1.0.0",
                             "1.0.1",        "1.2.0",         "1.10.0",           "2.0.0"};
  for (const char* a : ascending)
    for (const char* b : ascending) {
      CAPTURE(a);
      CAPTURE(b);
      CHECK(((parseVersion(a) <=> parseVersion(b)) < 0) ==
            (std::find(ascending, std::end(ascending), a) < std::find(ascending, std::end(ascending), b)));
    }
}

TEST_CASE("the build part does not count") { CHECK((parseVersion("1.0.0+a") == parseVersion("1.0.0+b"))); }
