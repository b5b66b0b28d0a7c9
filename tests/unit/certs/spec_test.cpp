#include "certs/spec.hpp"

#include <doctest/doctest.h>

namespace kubestrap::certs {

TEST_CASE("every key algorithm is found by the name that the configuration gives it") {
  using enum KeyAlgorithm;
  for (const KeyAlgorithm algorithm : {rsa2048, rsa3072, rsa4096, ecdsaP256, ecdsaP384, ed25519})
    CHECK(parseKeyAlgorithm(name(algorithm)) == algorithm);
  CHECK(name(rsa2048) == "RSA-2048");
  CHECK(name(rsa3072) == "RSA-3072");
  CHECK(name(rsa4096) == "RSA-4096");
  CHECK(name(ecdsaP256) == "ECDSA-P256");
  CHECK(name(ecdsaP384) == "ECDSA-P384");
}

TEST_CASE("a key algorithm that is written otherwise is not guessed") {
  for (const char* text : {"", "RSA", "RSA-1024", "rsa-2048", "ECDSA-P521", "ECDSA-P256 "})
    CHECK(!parseKeyAlgorithm(text));
}

TEST_CASE("alternative names are sorted and unique, addresses unique in their order") {
  const auto ip = [](const char* text) { return *IpAddress::parse(text); };
  const AlternativeNames names{.dns = {"n1", "localhost", "n1", "*.example.org"},
                               .ips = {ip("127.0.0.1"), ip("10.0.0.1"), ip("::1"), ip("127.0.0.1"), ip("0:0::1")}};
  CHECK(normalized(names) == AlternativeNames{.dns = {"*.example.org", "localhost", "n1"},
                                              .ips = {ip("127.0.0.1"), ip("10.0.0.1"), ip("::1")}});
  CHECK(normalized({}).empty());
}

} // namespace kubestrap::certs
