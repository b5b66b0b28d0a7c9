// How long an API server is asked again, and after which answers.
#include "tests/unit/plan/world.hpp"

#include "kube/client.hpp"

#include <doctest/doctest.h>

using namespace kubestrap;
using namespace kubestrap::plan;
using namespace std::chrono_literals;
using net::TransportError;

namespace {

/// Seconds until patience with a call that always fails in this way is over.
template <typename Fail> long secondsOf(Fail&& fail, Duration patience = 60s) {
  SmallWorld small;
  const auto begin = small.host.now;
  CHECK_THROWS_AS(withPatience(small.applying(patience), "it", [&] { fail(); }), Error);
  return (small.host.now - begin) / 1s;
}

auto answers(int status, const char* reason) {
  return [=] { throw kube::ApiError(status, reason, "no"); };
}
auto transport(TransportError::Kind kind) {
  return [=] { throw TransportError(kind, "no"); };
}

} // namespace

TEST_CASE("what may pass is asked again for as long as configured") {
  CHECK(secondsOf(answers(500, "InternalError")) == 60);
  CHECK(secondsOf(answers(503, "ServiceUnavailable")) == 60);
  CHECK(secondsOf(answers(429, "TooManyRequests")) == 60);
  CHECK(secondsOf(transport(TransportError::Kind::refused)) == 60);
  CHECK(secondsOf(transport(TransportError::Kind::closed)) == 60);
  CHECK(secondsOf(transport(TransportError::Kind::timeout)) == 60);
}

TEST_CASE("what may settle is asked again for ten seconds") {
  CHECK(secondsOf(answers(403, "Forbidden")) == 10);
  CHECK(secondsOf(answers(404, "NotFound")) == 10);
  CHECK(secondsOf([] { throw Conflict("changed"); }) == 10);
}

TEST_CASE("what will not change is not asked again") {
  CHECK(secondsOf(answers(422, "Invalid")) == 0);
  CHECK(secondsOf(answers(400, "BadRequest")) == 0);
  CHECK(secondsOf(answers(409, "AlreadyExists")) == 0);
  CHECK(secondsOf([] { throw Error("a bad key"); }) == 0);
  CHECK(secondsOf([] { throw Interrupted(); }) == 0);
}

TEST_CASE("one who only looks does not wait") {
  SmallWorld small;
  const auto begin = small.host.now;
  CHECK_THROWS_AS(
      withPatience(small.looking(), "it", [] { throw TransportError(TransportError::Kind::refused, "no"); }),
      TransportError);
  CHECK(small.host.now == begin);
}

TEST_CASE("the second look comes soon, later ones at most half a second apart") {
  SmallWorld small;
  std::vector<long> at;
  const auto begin = small.host.now;
  CHECK_THROWS(withPatience(small.applying(3s), "it", [&] {
    at.push_back((small.host.now - begin) / 1ms);
    throw TransportError(TransportError::Kind::refused, "no");
  }));
  REQUIRE(at.size() > 6);
  CHECK(std::vector<long>(at.begin(), at.begin() + 6) == std::vector<long>{0, 50, 150, 350, 750, 1250});
  CHECK(at.back() >= 3000);
}

TEST_CASE("an operator who asks to stop is obeyed between two looks") {
  SmallWorld small;
  small.clock.stopped = true;
  CHECK_THROWS_AS(
      withPatience(small.applying(), "it", [] { throw TransportError(TransportError::Kind::refused, "no"); }),
      Interrupted);
}

TEST_CASE("what succeeds at last is a success") {
  SmallWorld small;
  int calls = 0;
  withPatience(small.applying(), "it", [&] {
    if (++calls < 4) throw kube::ApiError(503, "", "no");
  });
  CHECK(calls == 4);
}
