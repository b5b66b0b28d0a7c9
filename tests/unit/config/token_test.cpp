#include "config/token.hpp"

#include <doctest/doctest.h>

#include <map>

namespace kubestrap::config {

TEST_CASE("a token is six and sixteen of a-z and 0-9 with a dot between") {
  const auto parts = parseToken("abcdef.0123456789abcdef");
  REQUIRE(parts);
  CHECK(parts->id == "abcdef");
  CHECK(parts->secret.reveal() == "0123456789abcdef");
  for (const char* wrong :
       {"", "abcdef", "abcde.0123456789abcdef", "abcdef.0123456789abcde", "abcdef.0123456789abcdefg",
        "Abcdef.0123456789abcdef", "abcdef:0123456789abcdef", "abcdef.0123456789abcde\n"})
    CHECK(!parseToken(wrong));
}

TEST_CASE("groups of tokens begin with system:bootstrappers: and end with a letter or digit") {
  const std::string prefix = "system:bootstrappers:";
  CHECK(isTokenGroup(prefix + "kubeadm:default-node-token"));
  CHECK(isTokenGroup(prefix + std::string(256, 'a')));
  for (const auto& wrong :
       {prefix, prefix + "a-", prefix + "A", prefix + std::string(257, 'a'), std::string("system:masters")})
    CHECK(!isTokenGroup(wrong));
}

TEST_CASE("octets that would favour some characters are thrown away") {
  // 252 and above are rejected: 7 * 36 = 252.
  int calls = 0;
  const auto random = [&](std::size_t count) {
    ++calls;
    return calls == 1 ? std::string(count, '\xfc') : std::string(count, '\xfb');
  };
  const auto parts = generateToken(random);
  CHECK(parts.id == "zzzzzz");
  CHECK(parts.secret.reveal() == std::string(16, 'z'));
  CHECK(calls == 3);
}

TEST_CASE("each of the 36 characters comes of the same number of octets") {
  std::map<char, int> seen;
  for (int octet = 0; octet < 252; ++octet) {
    const auto parts = generateToken([&](std::size_t count) { return std::string(count, static_cast<char>(octet)); });
    ++seen[parts.id.front()];
  }
  CHECK(seen.size() == 36);
  for (const auto& [character, count] : seen) CHECK_MESSAGE(count == 7, character);
}

TEST_CASE("a certificate key is 32 random octets in hexadecimal") {
  CHECK(generateCertificateKey([](std::size_t count) { return std::string(count, '\x0f'); }).reveal().substr(0, 6) ==
        "0f0f0f");
  CHECK(generateCertificateKey([](std::size_t count) { return std::string(count, 'x'); }).reveal().size() == 64);
}

} // namespace kubestrap::config
