#include "certs/random.hpp"

#include <doctest/doctest.h>

#include <set>

namespace kubestrap::certs {

TEST_CASE("random octets come in the number asked for and are never the same") {
  CHECK(randomBytes(0).empty());
  std::set<std::string> seen;
  for (int i = 0; i < 100; ++i) {
    seen.insert(randomBytes(8));
    CHECK(seen.rbegin()->size() == 8);
  }
  CHECK(seen.size() == 100);
}

} // namespace kubestrap::certs
