#include "support/log.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <string>

using namespace kubestrap;

namespace {
/// What `body` writes to standard error (less than a pipe holds).
template <typename Body> std::string standardErrorOf(Body&& body) {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  int saved = dup(STDERR_FILENO);
  dup2(ends[1], STDERR_FILENO);
  close(ends[1]);
  body();
  dup2(saved, STDERR_FILENO);
  close(saved);
  std::string text(4096, '\0');
  auto length = read(ends[0], text.data(), text.size());
  close(ends[0]);
  text.resize(length < 0 ? 0 : static_cast<std::size_t>(length));
  return text;
}

struct Level {
  explicit Level(int level) { log::setLevel(level); }
  ~Level() { log::setLevel(0); }
};
} // namespace

TEST_CASE("a line is written at its level or more") {
  Level level(3);
  auto text = standardErrorOf([] {
    log::info(3, "step {} of {}", 1, 2);
    log::info(4, "not seen");
    log::write(4, "not seen either");
    log::write(0, "always");
  });
  CHECK(text == "step 1 of 2\nalways\n");
}

TEST_CASE("warnings are always written, and say so") {
  CHECK(standardErrorOf([] { log::warn("the clock is off"); }) == "warning: the clock is off\n");
}

TEST_CASE("a line that has its line end gets no other") {
  CHECK(standardErrorOf([] { log::write(0, "done\n"); }) == "done\n");
}
