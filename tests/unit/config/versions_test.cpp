#include "config/versions.hpp"
#include "support/error.hpp"

#include <doctest/doctest.h>

namespace kubestrap::config {

namespace {
std::string resolve(std::string_view text) {
  std::vector<std::string> warnings;
  return resolveVersion(text, warnings).tag();
}
} // namespace

TEST_CASE("versions of the two newest minors are taken as they are") {
  CHECK(resolve("v1.37.2") == "v1.37.2");
  CHECK(resolve("1.36.0") == "v1.36.0");
  CHECK(resolve("v1.37.3-rc.1") == "v1.37.3-rc.1");
  CHECK(defaultVersion().tag() == "v1.37.2");
}

TEST_CASE("labels are resolved without a network, with a warning") {
  for (const char* label : {"stable", "stable-1", "latest", "latest-1", "stable-1.37", "release/stable-1"})
    CHECK(resolve(label) == "v1.37.2");
  CHECK(resolve("stable-1.36") == "v1.36.3");
  std::vector<std::string> warnings;
  resolveVersion("stable-1", warnings);
  CHECK(warnings ==
        std::vector<std::string>{"kubernetesVersion \"stable-1\" is taken as v1.37.2; no release server is asked"});
}

TEST_CASE("other versions are refused with what is possible") {
  for (const char* wrong :
       {"v1.35.9", "v1.38.0", "2.37.0", "1.37", "v1", "newest", "", "stable-1.35", "ci/latest", "v1.37.x"}) {
    std::vector<std::string> warnings;
    CAPTURE(wrong);
    CHECK_THROWS_AS(resolveVersion(wrong, warnings), Error);
  }
}

TEST_CASE("each minor has its own companions") {
  CHECK(findMinor(parseVersion("1.37.9"))->etcdTag == "3.7.0-0");
  CHECK(findMinor(parseVersion("1.37.9"))->coreDnsTag == "v1.14.6");
  CHECK(findMinor(parseVersion("1.36.0"))->etcdTag == "3.6.8-0");
  CHECK(findMinor(parseVersion("1.36.0"))->coreDnsTag == "v1.14.2");
  CHECK(findMinor(parseVersion("1.35.0")) == nullptr);
}

} // namespace kubestrap::config
