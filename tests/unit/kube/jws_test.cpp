#include "kube/jws.hpp"

#include <doctest/doctest.h>

using namespace kubestrap;
using namespace kubestrap::kube;

namespace {
const Secret secret("0123456789abcdef");
const std::string ofHello = "eyJhbGciOiJIUzI1NiIsImtpZCI6ImFiY2RlZiJ9..MxsnbCjBaYzcbNIFa06F-wuF9LX26rhMlrL4zA1511s";
} // namespace

TEST_CASE("a signature is what the bootstrap signer writes") {
  CHECK(signDetached("hello", "abcdef", secret) == ofHello);
}

TEST_CASE("a signature fits its content, its token and its secret only") {
  CHECK(verifyDetached(ofHello, "hello", "abcdef", secret));
  CHECK_FALSE(verifyDetached(ofHello, "hello!", "abcdef", secret));
  CHECK_FALSE(verifyDetached(ofHello, "hello", "abcdee", secret));
  CHECK_FALSE(verifyDetached(ofHello, "hello", "abcdef", Secret("0123456789abcdee")));
}

TEST_CASE("a signature is compared as a whole") {
  CHECK_FALSE(verifyDetached("", "hello", "abcdef", secret));
  CHECK_FALSE(verifyDetached(ofHello + "=", "hello", "abcdef", secret));
  CHECK_FALSE(verifyDetached(ofHello.substr(0, ofHello.size() - 1) + "t", "hello", "abcdef", secret));
  // The same header with another order of members says the same and is refused all the same.
  CHECK_FALSE(verifyDetached("eyJraWQiOiJhYmNkZWYiLCJhbGciOiJIUzI1NiJ9" + ofHello.substr(ofHello.find("..")), "hello",
                             "abcdef", secret));
}
