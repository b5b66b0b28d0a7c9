#include "front/follow.hpp"

#include <doctest/doctest.h>

using namespace kubestrap::front;

namespace {

using Commands = std::vector<std::string>;
using kubestrap::config::Endpoint;

const Endpoint first{"10.0.0.11", 6443}, second{"10.0.0.12", 6443}, third{"10.0.0.13", 6443}, nowhere{"192.0.2.1", 6443};

const std::vector<Server> servers{{"n1", first, true}, {"n2", second, true}, {"spare1", nowhere, false}, {"spare2", nowhere, false}};

} // namespace

TEST_CASE("servers that are as they should be are left alone") {
  CHECK(commands({{"n1", first}, {"n2", second}}, servers).empty());
}

TEST_CASE("a new server takes a spare place, one that is gone goes into maintenance") {
  CHECK(commands({{"n1", first}, {"n3", third}}, servers) ==
        Commands{"set server apiservers/spare1 addr 10.0.0.13 port 6443", "set server apiservers/spare1 state ready",
                 "set server apiservers/n2 state maint"});
}

TEST_CASE("two new servers take two places") {
  CHECK(commands({{"n1", first}, {"n2", second}, {"n3", third}, {"n4", {"10.0.0.14", 6443}}}, servers) ==
        Commands{"set server apiservers/spare1 addr 10.0.0.13 port 6443", "set server apiservers/spare1 state ready",
                 "set server apiservers/spare2 addr 10.0.0.14 port 6443", "set server apiservers/spare2 state ready"});
}

TEST_CASE("a server that comes back to its place only leaves maintenance") {
  auto resting = servers;
  resting[1].inUse = false;
  CHECK(commands({{"n1", first}, {"n2", second}}, resting) == Commands{"set server apiservers/n2 state ready"});
  // And its place is nobody else's before.
  CHECK(commands({{"n1", first}, {"n2", second}, {"n0", third}}, resting) ==
        Commands{"set server apiservers/spare1 addr 10.0.0.13 port 6443", "set server apiservers/spare1 state ready",
                 "set server apiservers/n2 state ready"});
}

TEST_CASE("who knows of no server knows nothing") { CHECK(commands({}, servers).empty()); }

TEST_CASE("without a free place a server waits for the next start") {
  const std::vector<Server> full{{"n1", first, true}, {"n2", second, true}};
  CHECK(commands({{"n1", first}, {"n2", second}, {"n3", third}}, full).empty());
}
