#include "support/secret.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <concepts>
#include <cstring>
#include <new>
#include <ostream>

using namespace kubestrap;

namespace {
template <typename T>
concept Streamable = requires(std::ostream& stream, T value) {
  stream << value;
};
} // namespace

static_assert(!Streamable<Secret>);
static_assert(!fmt::is_formattable<Secret>::value);
static_assert(!std::convertible_to<Secret, std::string>);

TEST_CASE("a secret is read by reveal only") {
  Secret secret("abc");
  CHECK(secret.reveal() == "abc");
  CHECK_FALSE(secret.empty());
  CHECK(Secret().empty());
}

TEST_CASE("a fingerprint tells secrets apart without telling them") {
  CHECK(Secret("abc").fingerprint() == "ba7816bf");
  CHECK(Secret("abc").fingerprint() != Secret("abd").fingerprint());
}

TEST_CASE("secrets are copied, moved and compared by their text") {
  Secret first("a rather long secret that does not fit into the string itself"), second = first;
  CHECK((first == second));
  Secret third = std::move(second);
  CHECK((third == first));
  third = Secret("short");
  CHECK(third.reveal() == "short");
  third = first;
  CHECK((third == first));
  auto& same = third;
  third = same;
  CHECK((third == first));
}

TEST_CASE("a secret is wiped when it goes") {
  // A short one lies inside of the object, in memory that is ours to look at afterwards.
  alignas(Secret) unsigned char memory[sizeof(Secret)];
  auto* secret = new (memory) Secret("s3cr3t");
  Secret moved = std::move(*secret);
  secret->~Secret();
  std::string_view left(reinterpret_cast<const char*>(memory), sizeof memory);
  CHECK(left.find("s3cr3t") == left.npos);
  CHECK(left.find("3cr3t") == left.npos);
  CHECK(moved.reveal() == "s3cr3t");
}
