#include "cmd/reconfigure_wish.hpp"

#include <doctest/doctest.h>

using namespace kubestrap;

TEST_CASE("a node on which something was stopped goes on to the newer one of its version and the cluster's, and never back") {
  CHECK(cmd::upgradeThatGoesOn("v1.37.2", parseVersion("v1.36.3")) == "kubestrap upgrade apply v1.37.2 goes on");
  CHECK(cmd::upgradeThatGoesOn("v1.36.3", parseVersion("v1.37.2")) == "kubestrap upgrade node goes on");
}
