#include "certs/seal.hpp"

#include "fixture.hpp"
#include "support/encoding.hpp"

namespace kubestrap::certs {

namespace {

std::string raw(std::string_view digits) { return *fromHex(digits); }
const Secret zeroKey(std::string(32, '\0'));
const std::string zeroNonce(12, '\0');

} // namespace

TEST_CASE("sealing gives the published AES-256-GCM results") {
  // Test cases 13 to 15 of McGrew and Viega, "The Galois/Counter Mode of Operation", as in NIST's validation set.
  CHECK(hex(seal("", zeroKey, zeroNonce)) == hex(zeroNonce) + "530f8afbc74536b9a963b4f1c4cb738b");
  CHECK(hex(seal(std::string(16, '\0'), zeroKey, zeroNonce)) ==
        hex(zeroNonce) + "cea7403d4d606b6e074ec5d3baf39d18" + "d0d1c8a799996bf0265b98b5d48ab919");
  const Secret key(raw("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308"));
  const std::string plain = raw("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
                                "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255");
  CHECK(hex(seal(plain, key, raw("cafebabefacedbaddecaf888"))) ==
        "cafebabefacedbaddecaf888"
        "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
        "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad"
        "b094dac5d93471bdec1a502270e3cc6c");
}

TEST_CASE("what was sealed opens again, however long it is") {
  for (const std::size_t size : {0u, 1u, 15u, 16u, 17u, 1679u, 100000u}) {
    const std::string plain(size, 'k');
    const auto opened = unseal(seal(plain, zeroKey, "twelve bytes"), zeroKey);
    REQUIRE(opened);
    CHECK(opened->reveal() == plain);
  }
}

TEST_CASE("sealed bytes do not open after any one of them was changed") {
  const std::string sealed = seal("-----BEGIN", zeroKey, zeroNonce);
  for (std::size_t i = 0; i < sealed.size(); ++i) {
    std::string changed = sealed;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    CHECK(!unseal(changed, zeroKey));
  }
  CHECK(!unseal(sealed.substr(0, sealed.size() - 1), zeroKey));
  CHECK(!unseal(sealed + 'x', zeroKey));
  CHECK(!unseal("", zeroKey));
  CHECK(!unseal(std::string(27, '\0'), zeroKey));
}

TEST_CASE("sealed bytes do not open with another key") {
  const std::string sealed = seal("secret", zeroKey, zeroNonce);
  CHECK(!unseal(sealed, Secret(std::string(31, '\0') + '\1')));
  CHECK(!unseal(sealed, Secret(std::string(31, '\0'))));
}

TEST_CASE("a certificate key of the wrong length is named before anything is sealed") {
  const Error error = errorOf([] { seal("x", Secret("too short"), zeroNonce); });
  CHECK(error.message() == "the certificate key has 9 octets in place of 32");
  CHECK(error.hint() == "it is written as 64 hexadecimal digits");
  CHECK_THROWS_AS(seal("x", zeroKey, "short"), Error);
}

TEST_CASE("HMAC-SHA256 gives the results of RFC 4231") {
  CHECK(hex(hmacSha256(Secret(std::string(20, '\x0b')), "Hi There")) ==
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  CHECK(hex(hmacSha256(Secret("Jefe"), "what do ya want for nothing?")) ==
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  CHECK(hex(hmacSha256(Secret(std::string(131, '\xaa')), "Test Using Larger Than Block-Size Key - Hash Key First")) ==
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

} // namespace kubestrap::certs
