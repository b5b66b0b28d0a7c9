#include "support/sleep.hpp"

#include <doctest/doctest.h>

using namespace kubestrap;

TEST_CASE("a sleep that is told to stop, before or meanwhile, says so") {
  std::stop_source source;
  CHECK(sleepFor(std::chrono::milliseconds(1), source.get_token()));
  CHECK(sleepFor(Duration::zero(), source.get_token()));
  CHECK(sleepFor(Duration::zero(), {}));
  source.request_stop();
  CHECK_FALSE(sleepFor(std::chrono::hours(1), source.get_token()));
  CHECK_FALSE(sleepFor(Duration::zero(), source.get_token()));
}
