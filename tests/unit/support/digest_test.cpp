#include "support/digest.hpp"
#include "support/encoding.hpp"

#include <doctest/doctest.h>

using namespace kubestrap;

TEST_CASE("a digest of pieces is that of the whole") {
  Sha256 pieces;
  for (const auto* text : {"one", "", "two", "three"}) pieces.add(text);
  CHECK(pieces.digest() == sha256("onetwothree"));
  CHECK(Sha256().digest() == sha256(""));
}
