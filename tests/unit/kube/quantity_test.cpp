#include "kube/quantity.hpp"
#include "support/error.hpp"

#include <doctest/doctest.h>

using namespace kubestrap;

TEST_CASE("quantities of the API are numbers with a unit") {
  CHECK(kube::quantity("4") == 4);
  CHECK(kube::quantity("250m") == doctest::Approx(0.25));
  CHECK(kube::quantity("64Mi") == 64 * 1024 * 1024);
  CHECK(kube::quantity("1.5Gi") == 1.5 * 1024 * 1024 * 1024);
  CHECK(kube::quantity("2G") == 2e9);
  CHECK(kube::quantity("1e3") == 1000);
  CHECK(kube::quantity("2E") == 2e18);
  CHECK(kube::quantity("-3k") == -3000);
}

TEST_CASE("what is no quantity is an error") {
  for (const auto* text : {"", "Mi", "4 Mi", "4Mib", "four", "4mi"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(kube::quantity(text), Error);
  }
}
